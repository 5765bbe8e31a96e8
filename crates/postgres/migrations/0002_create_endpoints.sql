-- Rows are written over and over while an endpoint fails: room on the page, and no index on what changes.
CREATE TABLE endpoints (
    id                   uuid        PRIMARY KEY,
    tenant_id            text COLLATE "C" NOT NULL REFERENCES tenants ON DELETE CASCADE,
    url                  text        NOT NULL,
    events               text[]      NOT NULL,
    description          text,
    secrets              bytea       NOT NULL,
    status               text        NOT NULL,
    suspend_reason       text,
    suspended_since      timestamptz,
    consecutive_failures integer     NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    failing_since        timestamptz,
    activated_at         timestamptz,
    version              bigint      NOT NULL,
    created_at           timestamptz NOT NULL,
    CONSTRAINT endpoints_status CHECK (CASE status
        WHEN 'suspended' THEN suspended_since IS NOT NULL
            AND suspend_reason IN ('consecutive_failures', 'failing_too_long', 'gone')
            AND suspend_reason IS NOT NULL
        WHEN 'active'   THEN suspended_since IS NULL AND suspend_reason IS NULL
        WHEN 'disabled' THEN suspended_since IS NULL AND suspend_reason IS NULL
        ELSE false
    END)
) WITH (fillfactor = 70);

CREATE INDEX endpoints_tenant ON endpoints (tenant_id, id);
