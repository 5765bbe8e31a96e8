-- secrets is sealed under the key ring, bound to the id.
CREATE TABLE endpoints (
    id                   uuid        PRIMARY KEY,
    tenant_id            text        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    url                  text        NOT NULL,
    events               text[]      NOT NULL,
    description          text,
    secrets              bytea       NOT NULL,
    status               text        NOT NULL CHECK (status IN ('active', 'suspended', 'disabled')),
    suspend_reason       text        CHECK (suspend_reason IN ('consecutive_failures', 'failing_too_long', 'gone')),
    suspended_since      timestamptz,
    consecutive_failures integer     NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    failing_since        timestamptz,
    activated_at         timestamptz,
    version              bigint      NOT NULL,
    created_at           timestamptz NOT NULL,
    CHECK ((status = 'suspended') = (suspend_reason IS NOT NULL)),
    CHECK ((status = 'suspended') = (suspended_since IS NOT NULL)),
    CHECK ((consecutive_failures > 0) = (failing_since IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX endpoints_of_tenant ON endpoints (tenant_id, id);
