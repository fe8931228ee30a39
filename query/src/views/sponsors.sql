-- sponsor_id: The sponsor; NULL is what nobody answers for.
-- name: Name, by the registry's last word.
-- unit: Unit of the organisation, by the registry's last word.
-- is_active: Whether the registry's last word is that the sponsor may answer; NULL if it has none.
-- agents: How many agents acted in the sponsor's name.
-- events: How many events they made.
-- first_time: Time of the first of them.
-- last_time: Time of the last of them.
-- money: Money of the successful ones, if all of it is of one currency.
-- currency: The currency of the money, or `several`.
-- findings: How many findings there are on them.
WITH known AS (
    SELECT
        subject AS sponsor_id,
        last_value(change ORDER BY valid_from, recorded_at) AS change
    FROM registry_changes
    WHERE kind = 'sponsor'
    GROUP BY subject
),
uses AS (
    SELECT
        sponsor_id,
        agent_id,
        outcome,
        currency,
        count(*) AS events,
        min(time) AS first_time,
        max(time) AS last_time,
        sum(amount) AS money
    FROM events_unique
    GROUP BY sponsor_id, agent_id, outcome, currency
),
used AS (
    SELECT
        sponsor_id,
        count(DISTINCT agent_id) AS agents,
        sum(events) AS events,
        min(first_time) AS first_time,
        max(last_time) AS last_time,
        sum(money) FILTER (WHERE outcome = 'success') AS money,
        min(currency) FILTER (WHERE outcome = 'success') AS currency_min,
        max(currency) FILTER (WHERE outcome = 'success') AS currency_max
    FROM uses
    GROUP BY sponsor_id
),
found AS (
    SELECT coalesce(sponsor_id, '') AS sponsor_id, count(*) AS findings
    FROM findings
    GROUP BY coalesce(sponsor_id, '')
),
answering AS (
    SELECT
        coalesce(used.sponsor_id, known.sponsor_id) AS sponsor_id,
        known.change,
        used.agents,
        used.events,
        used.first_time,
        used.last_time,
        used.money,
        used.currency_min,
        used.currency_max
    FROM used
    FULL JOIN known ON known.sponsor_id = used.sponsor_id
)
SELECT
    answering.sponsor_id,
    json_get(answering.change, 'name') AS name,
    json_get(answering.change, 'unit') AS unit,
    json_get(answering.change, 'active') = 'true' AS is_active,
    coalesce(answering.agents, 0) AS agents,
    coalesce(answering.events, 0) AS events,
    answering.first_time,
    answering.last_time,
    CASE WHEN answering.currency_min = answering.currency_max THEN answering.money END AS money,
    CASE
        WHEN answering.currency_min = answering.currency_max THEN answering.currency_min
        WHEN answering.currency_min <> answering.currency_max THEN 'several'
    END AS currency,
    coalesce(found.findings, 0) AS findings
FROM answering
LEFT JOIN found ON found.sponsor_id = coalesce(answering.sponsor_id, '')
