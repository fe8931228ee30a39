WITH known AS (
    SELECT
        subject AS agent_id,
        last_value(change ORDER BY valid_from, recorded_at) AS change,
        last_value(valid_to ORDER BY valid_from, recorded_at) AS valid_to
    FROM registry_changes
    WHERE kind = 'agent'
    GROUP BY subject
),
judged AS (
    SELECT
        agents.agent_id,
        known.change IS NULL AS is_unregistered,
        known.change IS NOT NULL AND json_get(known.change, 'sponsor_id') IS NULL AS is_unowned,
        known.change IS NOT NULL AND known.valid_to IS NULL AS is_endless
    FROM agents
    LEFT JOIN known ON known.agent_id = agents.agent_id
)
SELECT
    count(*) FILTER (WHERE is_unregistered OR is_unowned OR is_endless) AS numerator,
    count(*) AS denominator,
    count(*) FILTER (WHERE is_unregistered) AS unregistered,
    count(*) FILTER (WHERE is_unowned) AS no_owner,
    count(*) FILTER (WHERE is_endless) AS no_end
FROM judged
