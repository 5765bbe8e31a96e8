-- Every tenant's events in the order of time, for retention, usage and transfer.
CREATE INDEX events_by_id ON events (id);
