-- The state machine: `reason` says why it failed or waits; `state_at` when it ended or the next attempt is
-- due; `sweep_at` is set exactly while a job is out (rule 18).
CREATE TABLE deliveries (
    id            uuid     PRIMARY KEY,
    event_id      uuid     NOT NULL,
    endpoint_id   uuid     NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    event_type    text     NOT NULL,
    state         text     NOT NULL,
    reason        text,
    state_at      timestamptz,
    round         integer  NOT NULL DEFAULT 1 CHECK (round >= 1),
    first_attempt integer  NOT NULL DEFAULT 1 CHECK (first_attempt >= 1),
    attempt       integer  NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    attempts      integer  NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    status_code   smallint,
    error         text,
    sweep_at      timestamptz,
    sweeps        integer  NOT NULL DEFAULT 0 CHECK (sweeps >= 0),
    CONSTRAINT deliveries_state CHECK (CASE state
        WHEN 'pending'   THEN reason IS NULL     AND state_at IS NULL
        WHEN 'retrying'  THEN reason IS NULL     AND state_at IS NOT NULL
        WHEN 'waiting'   THEN reason IS NOT NULL AND reason IN ('manual', 'deferred', 'release', 'replay')
                              AND state_at IS NULL
        WHEN 'held'      THEN reason IS NULL     AND state_at IS NULL
        WHEN 'succeeded' THEN reason IS NULL     AND state_at IS NOT NULL
        WHEN 'failed'    THEN reason IS NOT NULL AND reason IN ('exhausted', 'gone', 'refused', 'expired')
                              AND state_at IS NOT NULL
        WHEN 'cancelled' THEN reason IS NULL     AND state_at IS NULL
        ELSE false
    END),
    CONSTRAINT deliveries_sweep CHECK ((sweep_at IS NOT NULL) = (state IN ('pending', 'retrying')))
) PARTITION BY RANGE (id);

-- The log of an endpoint, newest first.
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
-- Only what is not over: these stay as small as what is under way.
CREATE INDEX deliveries_sweep ON deliveries (sweep_at) WHERE sweep_at IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state = 'waiting';
CREATE INDEX deliveries_held ON deliveries (endpoint_id, id) WHERE state = 'held';
