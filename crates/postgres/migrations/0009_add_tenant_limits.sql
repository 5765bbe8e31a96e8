-- What the tenant may have and send, where that is less than its contract allows.
ALTER TABLE tenants ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';
