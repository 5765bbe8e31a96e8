-- Not partitioned: a key must be unique over all days.
CREATE TABLE idempotency_keys (
    tenant_id    text        NOT NULL,
    key_hash     bytea       NOT NULL CHECK (length(key_hash) = 32),
    content_hash bytea       NOT NULL CHECK (length(content_hash) = 32),
    event_id     uuid        NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_hash)
);

CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at);
