-- A JSON object; what stands not in it is left to the contract or the deployment.
ALTER TABLE endpoints ADD COLUMN options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options));
