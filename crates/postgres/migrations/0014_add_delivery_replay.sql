-- The replay that took the delivery last. The index is made on the partitions one by one, without stopping writers,
-- after the migrations: so are all that say ON ONLY.
ALTER TABLE deliveries ADD COLUMN replay_id uuid;

CREATE INDEX deliveries_in_flight ON ONLY deliveries (replay_id)
    WHERE replay_id IS NOT NULL AND state IN ('pending', 'waiting');
