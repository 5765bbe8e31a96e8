-- Sealed like the secrets, since values may be credentials; NULL where there are none.
ALTER TABLE endpoints ADD COLUMN headers BLOB;
