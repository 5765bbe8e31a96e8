-- What a tenant used on a UTC day. It outlives the tenant and the day's log.
CREATE TABLE usage (
    tenant_id  text   NOT NULL,
    day        date   NOT NULL,
    events     bigint NOT NULL,
    deliveries bigint NOT NULL,
    attempts   bigint NOT NULL,
    PRIMARY KEY (tenant_id, day)
);
