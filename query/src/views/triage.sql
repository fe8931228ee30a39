-- verdict: What a person said of it last, `confirmed`, `benign` or `expected`; NULL: nobody spoke yet.
-- person: Who said it.
-- note: Why.
-- said_at: When it was said.
WITH said AS (
    SELECT
        finding_id,
        last_value(verdict ORDER BY time) AS verdict,
        last_value(person ORDER BY time) AS person,
        last_value(note ORDER BY time) AS note,
        max(time) AS said_at
    FROM dispositions
    GROUP BY finding_id
)
SELECT
    f.finding_id,
    f.time,
    f.detector,
    f.severity,
    f.agent_id,
    f.agent_class,
    f.action,
    f.counterparty_id,
    f.money_at_risk,
    f.currency,
    f.sponsor_id,
    f.summary,
    said.verdict,
    said.person,
    said.note,
    said.said_at
FROM findings AS f
LEFT JOIN said ON said.finding_id = f.finding_id
