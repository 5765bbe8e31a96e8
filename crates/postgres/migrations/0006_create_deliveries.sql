-- One event on its way to one endpoint, partitioned as its event is. state_at is the next attempt of a retrying
-- delivery and the end of a succeeded or failed one; reason says why a delivery failed or waits. No foreign keys:
-- the log outlives endpoints and tenants, and partitions must be droppable.
CREATE TABLE deliveries (
    id            uuid        NOT NULL,
    event_id      uuid        NOT NULL,
    endpoint_id   uuid        NOT NULL,
    tenant_id     text        NOT NULL,
    event_type    text        NOT NULL,
    state         text        NOT NULL
        CHECK (state IN ('pending', 'retrying', 'waiting', 'held', 'succeeded', 'failed', 'cancelled')),
    reason        text,
    state_at      timestamptz,
    round         integer     NOT NULL CHECK (round >= 1),
    first_attempt integer     NOT NULL CHECK (first_attempt >= 1),
    attempt       integer     NOT NULL CHECK (attempt >= 1),
    attempts      integer     NOT NULL DEFAULT 0,
    status_code   smallint,
    error         text,
    sweep_at      timestamptz,
    sweeps        smallint    NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    CHECK (CASE state
        WHEN 'failed' THEN reason IS NOT NULL AND reason IN ('exhausted', 'gone', 'refused', 'expired')
        WHEN 'waiting' THEN reason IS NOT NULL AND reason IN ('manual', 'deferred', 'release', 'replay')
        ELSE reason IS NULL
    END),
    CHECK ((state IN ('retrying', 'succeeded', 'failed')) = (state_at IS NOT NULL)),
    -- A job is out for pending and retrying deliveries only: nothing else is swept.
    CHECK (sweep_at IS NULL OR state IN ('pending', 'retrying'))
) PARTITION BY RANGE (id);

CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_overdue ON deliveries (sweep_at) WHERE sweep_at IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state = 'waiting';
