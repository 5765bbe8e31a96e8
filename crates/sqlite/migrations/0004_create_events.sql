-- The body is what receivers get, byte for byte; the publisher's data lies in it from data_start to data_end.
-- The tenant leads the key, so that one index serves the log's pages as well as the look-up: ids are unique
-- without it. Bodies are too large for a table without rowids.
CREATE TABLE events (
    id            BLOB    NOT NULL CHECK (length(id) = 16),
    tenant_id     TEXT    NOT NULL,
    event_type    TEXT    NOT NULL,
    occurred_at   INTEGER NOT NULL,
    body          BLOB    NOT NULL,
    data_start    INTEGER NOT NULL,
    data_end      INTEGER NOT NULL,
    traceparent   TEXT    NOT NULL,
    tracestate    TEXT    NOT NULL,
    only_endpoint BLOB,
    PRIMARY KEY (tenant_id, id),
    CHECK (0 <= data_start AND data_start <= data_end AND data_end <= length(body))
) STRICT;
