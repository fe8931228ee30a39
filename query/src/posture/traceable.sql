SELECT
    count(sponsor_id) AS numerator,
    count(*) AS denominator,
    count(*) FILTER (WHERE trace_status = 'orphaned') AS orphaned,
    count(*) FILTER (WHERE trace_status = 'unregistered') AS unregistered,
    count(*) FILTER (WHERE trace_status = 'gap') AS gap
FROM events_unique
