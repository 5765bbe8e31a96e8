-- Ids of tenants are the caller's. Compared byte by byte, so that pages come in the order that the code has.
CREATE TABLE tenants (
    id                text COLLATE "C" PRIMARY KEY,
    name              text,
    contract          text        NOT NULL,
    endpoints_version bigint      NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL
);

CREATE TABLE api_keys (
    id         uuid        PRIMARY KEY,
    tenant_id  text COLLATE "C" REFERENCES tenants ON DELETE CASCADE,
    name       text        NOT NULL,
    hash       bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at timestamptz NOT NULL
);

CREATE INDEX api_keys_tenant ON api_keys (tenant_id);

-- Not partitioned: a key is looked for without knowing when it came (rule 6).
CREATE TABLE idempotency_keys (
    tenant_id    text COLLATE "C" NOT NULL,
    key_hash     bytea            NOT NULL CHECK (length(key_hash) = 32),
    content_hash bytea            NOT NULL CHECK (length(content_hash) = 32),
    event_id     uuid             NOT NULL,
    expires_at   timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, key_hash)
);
