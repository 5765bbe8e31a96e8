-- What a tenant used on a UTC day, which is named by its first moment. The counts outlive what was counted.
CREATE TABLE usage (
    tenant_id  TEXT    NOT NULL,
    day        INTEGER NOT NULL CHECK (day % 86400000000 = 0),
    events     INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day)
) STRICT, WITHOUT ROWID;
