-- agent_class: Its class, as of its last event.
-- reason: The trace status of its last event, or `no_sponsor` for one that is registered without a sponsor and never acted.
-- first_seen: Time of the agent's first event.
-- last_seen: Time of the agent's last event.
-- events: How many events it made.
-- money: Money of its successful events, if all of it is of one currency.
-- currency: The currency of the money, or `several`.
WITH registered AS (
    SELECT subject AS agent_id
    FROM registry_facts
    WHERE kind = 'agent' AND next_from IS NULL AND json_get(change, 'sponsor_id') IS NULL
)
SELECT
    agent_id,
    agent_class,
    trace_status AS reason,
    first_seen,
    last_seen,
    events,
    money,
    currency
FROM agents
WHERE sponsor_id IS NULL
UNION ALL
SELECT
    registered.agent_id,
    NULL AS agent_class,
    'no_sponsor' AS reason,
    NULL AS first_seen,
    NULL AS last_seen,
    0 AS events,
    NULL AS money,
    NULL AS currency
FROM registered
LEFT JOIN agents ON agents.agent_id = registered.agent_id
WHERE agents.agent_id IS NULL
