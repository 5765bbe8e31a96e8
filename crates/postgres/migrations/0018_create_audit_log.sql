-- Who changed what over the API. The id holds the time.
CREATE TABLE audit_log (
    id         uuid     PRIMARY KEY,
    actor      text     NOT NULL,
    tenant_id  text,
    action     text     NOT NULL,
    subject    text     NOT NULL,
    status     smallint NOT NULL,
    request_id text     NOT NULL
);

CREATE INDEX audit_log_of_tenant ON audit_log (tenant_id, id);
