-- A partition holds one UTC day: a UUIDv7 begins with its millisecond, so the id says which day. There is
-- no default partition, and nothing refers to a partitioned table, so that days can be detached (rule 27).
-- Bodies are bytes, never jsonb: they go out as they came (rule 19).
CREATE TABLE events (
    id            uuid        PRIMARY KEY,
    tenant_id     text COLLATE "C" NOT NULL,
    event_type    text        NOT NULL,
    occurred_at   timestamptz NOT NULL,
    body          bytea       NOT NULL,
    data_start    integer     NOT NULL,
    data_end      integer     NOT NULL CHECK (0 <= data_start AND data_start <= data_end),
    traceparent   text        NOT NULL,
    tracestate    text        NOT NULL,
    only_endpoint uuid
) PARTITION BY RANGE (id);

CREATE INDEX events_tenant ON events (tenant_id, id);
