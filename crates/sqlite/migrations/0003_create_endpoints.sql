-- events is a JSON array of subscriptions; secrets is sealed under the key ring, bound to the id.
CREATE TABLE endpoints (
    id                   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id            TEXT    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    url                  TEXT    NOT NULL,
    events               TEXT    NOT NULL CHECK (json_valid(events)),
    description          TEXT,
    secrets              BLOB    NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN ('active', 'suspended', 'disabled')),
    suspend_reason       TEXT    CHECK (suspend_reason IN ('consecutive_failures', 'failing_too_long', 'gone')),
    suspended_since      INTEGER,
    consecutive_failures INTEGER NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    failing_since        INTEGER,
    activated_at         INTEGER,
    version              INTEGER NOT NULL,
    created_at           INTEGER NOT NULL,
    CHECK ((status = 'suspended') = (suspend_reason IS NOT NULL)),
    CHECK ((status = 'suspended') = (suspended_since IS NOT NULL)),
    CHECK ((consecutive_failures > 0) = (failing_since IS NOT NULL))
) STRICT;

CREATE INDEX endpoints_of_tenant ON endpoints (tenant_id, id);
