-- What replays take, by endpoint and in order, and what people asked for again: however many others there are.
CREATE INDEX deliveries_held ON deliveries (endpoint_id, id) WHERE state = 'held';
CREATE INDEX deliveries_deferred ON deliveries (endpoint_id, id) WHERE state = 'waiting' AND reason = 'deferred';
CREATE INDEX deliveries_manual ON deliveries (id) WHERE state = 'waiting' AND reason = 'manual';
