-- One event on its way to one endpoint. The id holds the event's time in front, so an event's deliveries lie side
-- by side. state_at is the next attempt of a retrying delivery and the end of a succeeded or failed one; reason
-- says why a delivery failed or waits. No foreign keys: the log outlives endpoints and tenants.
CREATE TABLE deliveries (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    event_id      BLOB    NOT NULL,
    endpoint_id   BLOB    NOT NULL,
    tenant_id     TEXT    NOT NULL,
    event_type    TEXT    NOT NULL,
    state         TEXT    NOT NULL
        CHECK (state IN ('pending', 'retrying', 'waiting', 'held', 'succeeded', 'failed', 'cancelled')),
    reason        TEXT,
    state_at      INTEGER,
    round         INTEGER NOT NULL CHECK (round >= 1),
    first_attempt INTEGER NOT NULL CHECK (first_attempt >= 1),
    attempt       INTEGER NOT NULL CHECK (attempt >= 1),
    attempts      INTEGER NOT NULL DEFAULT 0,
    status_code   INTEGER,
    error         TEXT,
    sweep_at      INTEGER,
    sweeps        INTEGER NOT NULL DEFAULT 0,
    CHECK (CASE state
        WHEN 'failed' THEN reason IN ('exhausted', 'gone', 'refused', 'expired') AND reason IS NOT NULL
        WHEN 'waiting' THEN reason IN ('manual', 'deferred', 'release', 'replay') AND reason IS NOT NULL
        ELSE reason IS NULL
    END),
    CHECK ((state IN ('retrying', 'succeeded', 'failed')) = (state_at IS NOT NULL)),
    -- A job is out for pending and retrying deliveries only: nothing else is swept.
    CHECK (sweep_at IS NULL OR state IN ('pending', 'retrying'))
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_overdue ON deliveries (sweep_at) WHERE sweep_at IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state = 'waiting';
