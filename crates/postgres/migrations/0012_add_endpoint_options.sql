-- headers is sealed as secrets is, for a purpose of its own; NULL when there are none.
ALTER TABLE endpoints ADD COLUMN headers bytea, ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
