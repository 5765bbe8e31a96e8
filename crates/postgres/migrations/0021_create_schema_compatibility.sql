-- The oldest schema version whose binaries may run against this schema; a migration that takes something away
-- raises it.
CREATE TABLE schema_compatibility (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    oldest_supported bigint  NOT NULL
);

INSERT INTO schema_compatibility (oldest_supported) VALUES (8);
