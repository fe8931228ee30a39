-- day: The day, UTC.
-- events: How many events there were.
-- traced: How many of them lead to a sponsor who was active at that time.
-- claimed: How many of the traced ones rest on the event's own claim.
-- share: Traced events of all events, 0 to 1.
SELECT
    CAST(time AS DATE) AS day,
    format,
    agent_class,
    count(*) AS events,
    count(sponsor_id) AS traced,
    count(*) FILTER (WHERE sponsor_id IS NOT NULL AND trace_status = 'claimed') AS claimed,
    CAST(count(sponsor_id) AS DOUBLE) / count(*) AS share
FROM events_unique
GROUP BY CAST(time AS DATE), format, agent_class
