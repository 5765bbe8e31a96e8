-- The queues. An id is the queue's number in the bits above 48 and a rising number below, so that each queue is one
-- stretch of the table in the order of arrival and needs no index. A delayed message lies in a stretch of its own
-- and moves to its lane's, under a new id, when it is due.
CREATE TABLE messages (
    id           INTEGER NOT NULL PRIMARY KEY,
    due_at       INTEGER,
    tier         TEXT,
    lane         TEXT    CHECK (lane IN ('live', 'slow', 'bulk')),
    redeliveries INTEGER NOT NULL DEFAULT 0,
    message_id   TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    headers      TEXT    CHECK (json_valid(headers)),
    payload      BLOB    NOT NULL,
    queue        TEXT    GENERATED ALWAYS AS (CASE id >> 48
        WHEN 1 THEN 'events' WHEN 2 THEN 'jobs.live' WHEN 3 THEN 'jobs.slow' WHEN 4 THEN 'jobs.bulk'
        WHEN 5 THEN 'outcomes' WHEN 6 THEN 'parking' WHEN 7 THEN 'delay'
    END) VIRTUAL,
    CHECK (((id >> 48) = 7) = (due_at IS NOT NULL)),
    CHECK ((due_at IS NULL) = (tier IS NULL) AND (due_at IS NULL) = (lane IS NULL))
) STRICT;

CREATE INDEX messages_due ON messages (due_at) WHERE due_at IS NOT NULL;
