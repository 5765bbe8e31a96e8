-- What a tenant says about an event type, besides its contract's catalogue. schema is JSON text, kept as it came.
CREATE TABLE event_types (
    tenant_id   text        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    event_type  text        COLLATE "C" NOT NULL,
    description text,
    schema      text,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
);
