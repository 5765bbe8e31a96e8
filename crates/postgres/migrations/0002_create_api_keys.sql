-- The key itself is never stored. A key without a tenant is an admin key.
CREATE TABLE api_keys (
    id         uuid        PRIMARY KEY,
    tenant_id  text        REFERENCES tenants (id) ON DELETE CASCADE,
    name       text        NOT NULL,
    hash       bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at timestamptz NOT NULL
);

CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, id);
