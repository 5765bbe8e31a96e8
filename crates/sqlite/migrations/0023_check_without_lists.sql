-- SQLite builds a temporary index for a list in a CHECK, anew for every row: a quarter of what writing a delivery cost.
-- The rules stay as they are and are said row by row of the delivery machine. A CHECK changes nothing in the file's pages,
-- so its text is replaced, as SQLite's own documentation of ALTER TABLE has it, and no table copied.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = 'CREATE TABLE deliveries (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    event_id      BLOB    NOT NULL,
    endpoint_id   BLOB    NOT NULL,
    tenant_id     TEXT    NOT NULL,
    event_type    TEXT    NOT NULL,
    state         TEXT    NOT NULL,
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
    replay_id     BLOB    CHECK (replay_id IS NULL OR length(replay_id) = 16),
    -- A job is out for pending and retrying deliveries only: nothing else is swept.
    CHECK (CASE state
        WHEN ''pending''   THEN state_at IS NULL     AND reason IS NULL
        WHEN ''retrying''  THEN state_at IS NOT NULL AND reason IS NULL
        WHEN ''succeeded'' THEN state_at IS NOT NULL AND reason IS NULL AND sweep_at IS NULL
        WHEN ''failed''    THEN state_at IS NOT NULL AND sweep_at IS NULL AND CASE reason
            WHEN ''exhausted'' THEN true WHEN ''gone'' THEN true WHEN ''refused'' THEN true WHEN ''expired'' THEN true
            ELSE false END
        WHEN ''waiting''   THEN state_at IS NULL AND sweep_at IS NULL AND CASE reason
            WHEN ''manual'' THEN true WHEN ''deferred'' THEN true WHEN ''release'' THEN true WHEN ''replay'' THEN true
            ELSE false END
        WHEN ''held''      THEN state_at IS NULL AND reason IS NULL AND sweep_at IS NULL
        WHEN ''cancelled'' THEN state_at IS NULL AND reason IS NULL AND sweep_at IS NULL
        ELSE false
    END)
) STRICT, WITHOUT ROWID' WHERE type = 'table' AND name = 'deliveries';

UPDATE sqlite_schema SET sql = replace(
    sql,
    'CHECK (lane IN (''live'', ''slow'', ''bulk''))',
    'CHECK (lane = ''live'' OR lane = ''slow'' OR lane = ''bulk'')'
) WHERE type = 'table' AND name = 'messages';

PRAGMA writable_schema = RESET;

-- Other connections notice a schema that has changed by its version, which this raises.
CREATE TABLE schema_touched (once INTEGER) STRICT;
DROP TABLE schema_touched;
