-- first_seen: Time of the agent's first event.
-- last_seen: Time of the agent's last event.
-- events: How many events it made.
-- events_24h: How many of them in the 24 hours before the newest event of the lake.
-- credentials: How many credentials it used.
-- models: How many models were behind it.
-- counterparties: How many counterparties it dealt with.
-- findings: How many findings there are on it.
-- money: Money of its successful events, if all of it is of one currency.
-- currency: The currency of the money, or `several`.
-- agent_class: Its class, as of its last event.
-- sponsor_id: Who answered for its last event.
-- trace_status: How well its last event leads to the sponsor.
WITH newest AS (
    SELECT max(time) - INTERVAL '24 hours' AS day_before FROM events
),
-- Few rows for each agent: what comes after costs next to nothing.
uses AS (
    SELECT
        agent_id,
        agent_class,
        sponsor_id,
        trace_status,
        credential_id,
        model,
        outcome,
        currency,
        min(time) AS first_seen,
        max(time) AS last_seen,
        count(*) AS events,
        count(*) FILTER (WHERE newest.day_before < time) AS events_24h,
        sum(amount) AS money
    FROM events_unique
    CROSS JOIN newest
    GROUP BY agent_id, agent_class, sponsor_id, trace_status, credential_id, model, outcome, currency
),
used AS (
    SELECT
        agent_id,
        last_value(agent_class ORDER BY last_seen) AS agent_class,
        last_value(sponsor_id ORDER BY last_seen) AS sponsor_id,
        last_value(trace_status ORDER BY last_seen) AS trace_status,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        sum(events) AS events,
        sum(events_24h) AS events_24h,
        count(DISTINCT credential_id) AS credentials,
        count(DISTINCT model) AS models,
        sum(money) FILTER (WHERE outcome = 'success') AS money,
        min(currency) FILTER (WHERE outcome = 'success') AS currency_min,
        max(currency) FILTER (WHERE outcome = 'success') AS currency_max
    FROM uses
    GROUP BY agent_id
),
met AS (
    SELECT agent_id, count(*) AS counterparties
    FROM counterparty_edges
    GROUP BY agent_id
),
found AS (
    SELECT agent_id, count(*) AS findings FROM findings GROUP BY agent_id
)
SELECT
    used.agent_id,
    used.agent_class,
    used.sponsor_id,
    used.first_seen,
    used.last_seen,
    used.events,
    used.events_24h,
    used.credentials,
    used.models,
    coalesce(met.counterparties, 0) AS counterparties,
    coalesce(found.findings, 0) AS findings,
    CASE WHEN used.currency_min = used.currency_max THEN used.money END AS money,
    CASE
        WHEN used.currency_min = used.currency_max THEN used.currency_min
        WHEN used.currency_min <> used.currency_max THEN 'several'
    END AS currency,
    used.trace_status
FROM used
LEFT JOIN met ON met.agent_id = used.agent_id
LEFT JOIN found ON found.agent_id = used.agent_id
