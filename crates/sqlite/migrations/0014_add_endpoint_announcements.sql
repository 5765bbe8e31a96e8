-- Which version was announced last, and its status. What is there already counts as announced.
ALTER TABLE endpoints ADD COLUMN announced_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN announced_status TEXT NOT NULL DEFAULT 'active'
    CHECK (announced_status IN ('active', 'suspended', 'disabled'));

UPDATE endpoints SET announced_version = version, announced_status = status;

CREATE INDEX endpoints_unannounced ON endpoints (id) WHERE announced_version <> version;
