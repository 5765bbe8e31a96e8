-- endpoints_version rises with every change of any of the tenant's endpoints.
CREATE TABLE tenants (
    id                text        PRIMARY KEY CHECK (id ~ '^[a-z0-9_-]{1,64}$'),
    name              text,
    contract          text        NOT NULL,
    endpoints_version bigint      NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL
);
