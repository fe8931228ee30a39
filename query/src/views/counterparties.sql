-- first_time: Time of the first event with it.
-- last_time: Time of the last event with it.
-- agents: How many agents dealt with it.
-- events: How many events there were.
-- money: Money that successful events moved or approved, if all of it is of one currency.
-- currency: The currency of the money, or `several`.
-- findings: How many findings name it.
WITH met AS (
    SELECT
        counterparty_id,
        min(first_time) AS first_time,
        max(last_time) AS last_time,
        count(*) AS agents,
        sum(events) AS events
    FROM counterparty_edges
    GROUP BY counterparty_id
),
paid AS (
    SELECT
        counterparty_id,
        sum(amount) AS money,
        min(currency) AS currency_min,
        max(currency) AS currency_max
    FROM events_unique
    WHERE amount IS NOT NULL AND outcome = 'success'
    GROUP BY counterparty_id
),
found AS (
    SELECT counterparty_id, count(*) AS findings FROM findings GROUP BY counterparty_id
)
SELECT
    met.counterparty_id,
    met.first_time,
    met.last_time,
    met.agents,
    met.events,
    CASE WHEN paid.currency_min = paid.currency_max THEN paid.money END AS money,
    CASE
        WHEN paid.currency_min = paid.currency_max THEN paid.currency_min
        WHEN paid.currency_min <> paid.currency_max THEN 'several'
    END AS currency,
    coalesce(found.findings, 0) AS findings
FROM met
LEFT JOIN paid ON paid.counterparty_id = met.counterparty_id
LEFT JOIN found ON found.counterparty_id = met.counterparty_id
