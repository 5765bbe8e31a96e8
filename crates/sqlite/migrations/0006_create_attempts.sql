-- One POST as the log keeps it. A second POST under the same number is counted in duplicates, not kept.
CREATE TABLE attempts (
    delivery_id   BLOB    NOT NULL CHECK (length(delivery_id) = 16),
    number        INTEGER NOT NULL CHECK (number >= 1),
    round         INTEGER NOT NULL CHECK (round >= 1),
    execution_id  BLOB    NOT NULL CHECK (length(execution_id) = 16),
    started_at    INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    status_code   INTEGER,
    error         TEXT,
    response_body BLOB    NOT NULL,
    duplicates    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
