-- The lowest id of a moment: its milliseconds, then zeros.
CREATE FUNCTION whimbrel_first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Makes the partitions of these days (UTC) that do not exist. SECURITY DEFINER: the services that call it own no
-- table.
CREATE FUNCTION whimbrel_ensure_partitions(first_day date, last_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    day    date;
    parent text;
    child  text;
    fill   integer;
BEGIN
    IF last_day - first_day > 400 THEN
        RAISE EXCEPTION 'partitions for more than 400 days at once';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('whimbrel_ensure_partitions'));
    FOR day IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
        FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            -- Room in the page, so that a delivery's later states stay beside its first.
            fill := CASE parent WHEN 'deliveries' THEN 70 ELSE 100 END;
            IF to_regclass(child) IS NULL THEN
                -- Made apart and then attached: that stops no reader or writer of the other days.
                EXECUTE format(
                    'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = %s)',
                    child,
                    parent,
                    fill
                );
                EXECUTE format(
                    'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent,
                    child,
                    whimbrel_first_id(day::timestamp AT TIME ZONE 'UTC'),
                    whimbrel_first_id((day + 1)::timestamp AT TIME ZONE 'UTC')
                );
            END IF;
        END LOOP;
    END LOOP;
END
$$;

-- It acts as its owner: only those whom the owner names may call it.
REVOKE ALL ON FUNCTION whimbrel_ensure_partitions(date, date) FROM PUBLIC;
