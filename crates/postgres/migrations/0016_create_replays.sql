-- Deliveries of one endpoint brought back, a window at a time. No foreign keys: a replay ends by itself when its
-- endpoint is gone. cursor is the last delivery that a replay of kind `replay` took.
CREATE TABLE replays (
    id          uuid        PRIMARY KEY,
    tenant_id   text        NOT NULL,
    endpoint_id uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('release', 'drop', 'replay', 'deferred')),
    since       timestamptz,
    until       timestamptz,
    failed_only boolean     NOT NULL,
    event_types text[]      NOT NULL,
    state       text        NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    total       bigint      NOT NULL,
    taken       bigint      NOT NULL DEFAULT 0,
    cursor      uuid,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK ((state = 'running') = (finished_at IS NULL)),
    CHECK (cursor IS NULL OR kind = 'replay')
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX replays_running_once ON replays (endpoint_id, kind) WHERE state = 'running' AND kind <> 'replay';
CREATE INDEX replays_running ON replays (id) WHERE state = 'running';
CREATE INDEX replays_of_tenant ON replays (tenant_id, id);
CREATE INDEX replays_ended ON replays (finished_at) WHERE finished_at IS NOT NULL;
