-- While a tenant's payloads are being erased: those of its events accepted before erase_before, of which all up to
-- the id erase_after are done.
ALTER TABLE tenants ADD COLUMN erase_before INTEGER;
ALTER TABLE tenants ADD COLUMN erase_after BLOB
    CHECK (erase_after IS NULL OR (erase_before IS NOT NULL AND length(erase_after) = 16));

CREATE INDEX tenants_erasing ON tenants (id) WHERE erase_before IS NOT NULL;
