-- The replay that took the delivery last, for counting what it has in flight.
ALTER TABLE deliveries ADD COLUMN replay_id BLOB CHECK (replay_id IS NULL OR length(replay_id) = 16);

CREATE INDEX deliveries_of_replay ON deliveries (replay_id)
    WHERE replay_id IS NOT NULL AND state IN ('pending', 'waiting');
