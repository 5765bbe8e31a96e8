-- endpoints_version rises with every change of any of the tenant's endpoints, so that ingest can keep a copy of
-- its subscriptions. Times are microseconds since the Unix epoch, UTC, in every table.
CREATE TABLE tenants (
    id                TEXT    NOT NULL PRIMARY KEY,
    name              TEXT,
    contract          TEXT    NOT NULL,
    endpoints_version INTEGER NOT NULL DEFAULT 0,
    created_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
