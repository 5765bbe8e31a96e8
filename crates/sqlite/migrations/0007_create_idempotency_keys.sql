CREATE TABLE idempotency_keys (
    tenant_id    TEXT    NOT NULL,
    key_hash     BLOB    NOT NULL CHECK (length(key_hash) = 32),
    event_id     BLOB    NOT NULL CHECK (length(event_id) = 16),
    content_hash BLOB    NOT NULL CHECK (length(content_hash) = 32),
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
