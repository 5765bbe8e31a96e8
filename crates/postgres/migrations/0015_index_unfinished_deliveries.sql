-- Together with deliveries_overdue and deliveries_waiting these find every delivery that is not at its end.
CREATE INDEX deliveries_held ON ONLY deliveries (endpoint_id, id) WHERE state = 'held';
CREATE INDEX deliveries_deferred ON ONLY deliveries (endpoint_id, id) WHERE state = 'waiting' AND reason = 'deferred';
CREATE INDEX deliveries_manual ON ONLY deliveries (id) WHERE state = 'waiting' AND reason = 'manual';
-- Empty in health: what has a job out is swept.
CREATE INDEX deliveries_unswept ON ONLY deliveries (id) WHERE sweep_at IS NULL AND state IN ('pending', 'retrying');
