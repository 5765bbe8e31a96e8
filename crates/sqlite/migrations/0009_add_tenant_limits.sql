-- A JSON object; what stands not in it is left to the contract.
ALTER TABLE tenants ADD COLUMN limits TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(limits));
