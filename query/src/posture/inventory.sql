WITH newest AS (
    SELECT max(time) - INTERVAL '24 hours' AS day_before FROM events
),
active AS (
    SELECT agent_id
    FROM events
    CROSS JOIN newest
    WHERE newest.day_before < time
    GROUP BY agent_id
),
known AS (
    SELECT subject AS agent_id
    FROM registry_changes
    WHERE kind IN ('agent', 'delegation')
    GROUP BY subject
)
SELECT
    count(known.agent_id) FILTER (WHERE active.agent_id IS NOT NULL) AS numerator,
    count(active.agent_id) AS denominator,
    count(active.agent_id) AS active,
    count(known.agent_id) AS registered,
    count(active.agent_id) FILTER (WHERE known.agent_id IS NULL) AS unregistered,
    count(known.agent_id) FILTER (WHERE active.agent_id IS NULL) AS registered_not_active
FROM active
FULL JOIN known ON known.agent_id = active.agent_id
