SELECT
    agent_id,
    counterparty_id,
    min(time) AS first_time,
    max(time) AS last_time,
    count(*) AS events
FROM events
WHERE counterparty_id IS NOT NULL AND dup_of IS NULL
GROUP BY agent_id, counterparty_id
