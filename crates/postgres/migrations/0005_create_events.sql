-- Partitioned by day on the id, which begins with its time. body is what receivers get; the publisher's data
-- lies in it from data_start to data_end.
CREATE TABLE events (
    id            uuid        NOT NULL,
    tenant_id     text        NOT NULL,
    event_type    text        NOT NULL,
    occurred_at   timestamptz NOT NULL,
    body          bytea       NOT NULL,
    data_start    integer     NOT NULL,
    data_end      integer     NOT NULL,
    traceparent   text        NOT NULL,
    tracestate    text        NOT NULL,
    only_endpoint uuid,
    PRIMARY KEY (id),
    CHECK (0 <= data_start AND data_start <= data_end)
) PARTITION BY RANGE (id);

CREATE INDEX events_of_tenant ON events (tenant_id, id);
