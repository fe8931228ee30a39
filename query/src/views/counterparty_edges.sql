-- first_time: Time of the first event between them.
-- last_time: Time of the last event between them.
-- events: How many events there were.
SELECT
    agent_id,
    counterparty_id,
    min(first_time) AS first_time,
    max(last_time) AS last_time,
    sum(events) AS events
FROM kept.counterparty_edges
GROUP BY agent_id, counterparty_id
