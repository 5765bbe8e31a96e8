-- While payloads are being erased: those of events accepted before erase_before; erase_after is the last one done.
ALTER TABLE tenants ADD COLUMN erase_before timestamptz, ADD COLUMN erase_after uuid;

CREATE INDEX tenants_erasing ON tenants (id) WHERE erase_before IS NOT NULL;
