-- Who does which background job; expires_at is compared with this database's clock only.
CREATE TABLE leases (
    name       text        PRIMARY KEY,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
