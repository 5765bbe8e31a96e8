-- Changes made over the API. The id holds the time.
CREATE TABLE audit_log (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    actor      TEXT    NOT NULL,
    tenant_id  TEXT,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    request_id TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_log_of_tenant ON audit_log (tenant_id, id) WHERE tenant_id IS NOT NULL;
