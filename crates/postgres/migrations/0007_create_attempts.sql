-- One POST as the log keeps it, partitioned as its delivery is. A second POST under the same number is counted in
-- duplicates, not kept.
CREATE TABLE attempts (
    delivery_id   uuid        NOT NULL,
    number        integer     NOT NULL CHECK (number >= 1),
    round         integer     NOT NULL CHECK (round >= 1),
    execution_id  uuid        NOT NULL,
    started_at    timestamptz NOT NULL,
    duration_ms   integer     NOT NULL,
    status_code   smallint,
    error         text,
    response_body bytea       NOT NULL,
    duplicates    integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (delivery_id, number)
) PARTITION BY RANGE (delivery_id);
