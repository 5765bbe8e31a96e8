-- What a tenant says about its event types. schema is a JSON Schema; a change raises the tenant's endpoints_version.
CREATE TABLE event_types (
    tenant_id   TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    event_type  TEXT    NOT NULL,
    description TEXT,
    schema      TEXT    CHECK (schema IS NULL OR json_valid(schema)),
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
) STRICT, WITHOUT ROWID;
