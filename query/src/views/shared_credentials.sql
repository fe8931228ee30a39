-- agent_id: One of the agents that used it.
-- agents: How many agents used it.
-- events: How often this agent used it.
-- first_use: When this agent used it first.
-- last_use: When this agent used it last.
WITH uses AS (
    SELECT
        credential_id,
        credential_kind,
        agent_id,
        sponsor_id,
        count(*) AS events,
        min(time) AS first_use,
        max(time) AS last_use
    FROM events_unique
    GROUP BY credential_id, credential_kind, agent_id, sponsor_id
),
used AS (
    SELECT
        credential_id,
        agent_id,
        last_value(credential_kind ORDER BY last_use) AS credential_kind,
        last_value(sponsor_id ORDER BY last_use) AS sponsor_id,
        sum(events) AS events,
        min(first_use) AS first_use,
        max(last_use) AS last_use
    FROM uses
    GROUP BY credential_id, agent_id
),
counted AS (
    SELECT *, count(*) OVER (PARTITION BY credential_id) AS agents FROM used
)
SELECT credential_id, credential_kind, agents, agent_id, sponsor_id, events, first_use, last_use
FROM counted
WHERE 1 < agents
