-- `duplicates` counts further POSTs that were made under the same number (rule 2).
CREATE TABLE attempts (
    delivery_id   uuid        NOT NULL,
    number        integer     NOT NULL CHECK (number >= 1),
    round         integer     NOT NULL CHECK (round >= 1),
    execution_id  uuid        NOT NULL,
    started_at    timestamptz NOT NULL,
    duration_ms   bigint      NOT NULL CHECK (duration_ms >= 0),
    status_code   smallint,
    error         text,
    response_body bytea       NOT NULL,
    duplicates    integer     NOT NULL DEFAULT 0 CHECK (duplicates >= 0),
    PRIMARY KEY (delivery_id, number)
) PARTITION BY RANGE (delivery_id);
