-- The version and the status that were announced last. The defaults are what a binary without these columns
-- begins an endpoint with.
ALTER TABLE endpoints
    ADD COLUMN announced_version bigint NOT NULL DEFAULT 1,
    ADD COLUMN announced_status  text   NOT NULL DEFAULT 'active'
        CHECK (announced_status IN ('active', 'suspended', 'disabled'));

UPDATE endpoints SET announced_version = version, announced_status = status
WHERE (announced_version, announced_status) IS DISTINCT FROM (version, status);

CREATE INDEX endpoints_unannounced ON endpoints (id) WHERE announced_version <> version;
