-- Releases, drops, replays, and what brings back deferred deliveries. since, until, failed_only and event_types (a JSON
-- array, empty for all) say which deliveries; cursor is the delivery after which a replay goes on. No foreign key: the
-- record of what was done outlives the endpoint.
CREATE TABLE replays (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   TEXT    NOT NULL,
    endpoint_id BLOB    NOT NULL CHECK (length(endpoint_id) = 16),
    kind        TEXT    NOT NULL CHECK (kind IN ('release', 'drop', 'replay', 'deferred')),
    since       INTEGER,
    until       INTEGER,
    failed_only INTEGER NOT NULL CHECK (failed_only IN (0, 1)),
    event_types TEXT    NOT NULL CHECK (json_valid(event_types)),
    state       TEXT    NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    total       INTEGER NOT NULL CHECK (total >= 0),
    taken       INTEGER NOT NULL CHECK (taken >= 0),
    cursor      BLOB    CHECK (cursor IS NULL OR length(cursor) = 16),
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    CHECK ((state = 'running') = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX replays_of_tenant ON replays (tenant_id, id) WHERE kind <> 'deferred';
CREATE INDEX replays_running ON replays (id) WHERE state = 'running';
CREATE INDEX replays_ended ON replays (finished_at) WHERE finished_at IS NOT NULL;
-- Only requested replays may stand side by side.
CREATE UNIQUE INDEX replays_running_of_endpoint ON replays (endpoint_id, kind)
    WHERE state = 'running' AND kind <> 'replay';
