-- Who may do a piece of background work, and until when. The embedded engine has one process, but its roles take leases
-- as they do elsewhere.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     BLOB    NOT NULL CHECK (length(holder) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
