-- Binaries that know this schema read packs of events; older ones do not. Packs are written where none of those may run:
-- at once in a database that nothing has used yet, elsewhere when a later migration says so.
UPDATE schema_compatibility SET oldest_supported = 22 WHERE NOT EXISTS (SELECT FROM tenants);
