-- Makes the partitions of the UTC days from `first` to before `past` that do not exist yet, and says how many
-- days were new. It runs with its owner's rights, so that the role that Whimbrel runs as needs no right to
-- create tables: `GRANT EXECUTE` is enough (rule 27).
--
-- A partition is made as a table of its own and attached, which lets reads and writes of the parent go on;
-- `CREATE TABLE … PARTITION OF` would wait for them, and hold up those that come after.
CREATE FUNCTION whimbrel_ensure_partitions(first date, past date) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path FROM CURRENT
    -- A lock that does not come soon is given up, lest everyone queue behind this one.
    SET lock_timeout = '5s'
AS $$
DECLARE
    day       date;
    parent    text;
    partition text;
    made      integer := 0;
BEGIN
    IF past - first > 92 THEN
        RAISE EXCEPTION 'whimbrel_ensure_partitions makes at most 92 days at once, not those from % to %', first, past;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('whimbrel_ensure_partitions', 0));
    FOR day IN SELECT generate_series(first::timestamp, past::timestamp - interval '1 day', interval '1 day')::date LOOP
        -- `attempts` comes last: where it exists, the others do.
        IF to_regclass(format('attempts_%s', to_char(day, 'YYYYMMDD'))) IS NOT NULL THEN
            CONTINUE;
        END IF;
        FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
            partition := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s)',
                partition, parent, CASE parent WHEN 'deliveries' THEN 75 ELSE 100 END);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, partition, whimbrel_first_id(day), whimbrel_first_id(day + 1));
        END LOOP;
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- The least UUIDv7 of a UTC day.
CREATE FUNCTION whimbrel_first_id(day date) RETURNS uuid
    LANGUAGE sql
    IMMUTABLE
AS $$
    SELECT rpad(lpad(to_hex((day - date '1970-01-01')::bigint * 86400000), 12, '0'), 32, '0')::uuid
$$;

REVOKE ALL ON FUNCTION whimbrel_ensure_partitions(date, date) FROM PUBLIC;
