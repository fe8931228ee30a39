-- finding_id: The finding that a person spoke of.
-- verdict: `confirmed`, `benign` or `expected`.
-- said_by: Who said so.
-- note: Why.
-- said_at: When it was recorded.
-- valid_to: Up to when it holds, by the time of events; NULL is for ever.
-- is_last: Whether nothing was said of the finding since.
-- time: Time of the finding's event; NULL if the lake has no such finding.
-- detector: The finding's detector.
-- severity: The finding's severity.
-- agent_id: The finding's agent.
-- agent_class: Its class.
-- action: What was done.
-- counterparty_id: With whom.
-- money_at_risk: The finding's money at risk.
-- currency: Its currency.
-- sponsor_id: Who answers for the finding's event.
-- summary: The finding in words.
WITH said AS (
    SELECT
        subject AS finding_id,
        change,
        recorded_at,
        valid_to,
        row_number() OVER (PARTITION BY subject ORDER BY recorded_at DESC, change_id DESC) AS age
    FROM registry_changes
    WHERE kind = 'disposition'
)
SELECT
    said.finding_id,
    json_get(said.change, 'verdict') AS verdict,
    json_get(said.change, 'by') AS said_by,
    json_get(said.change, 'note') AS note,
    said.recorded_at AS said_at,
    said.valid_to,
    said.age = 1 AS is_last,
    f.time,
    json_get(said.change, 'detector') AS detector,
    f.severity,
    json_get(said.change, 'agent_id') AS agent_id,
    f.agent_class,
    json_get(said.change, 'action') AS action,
    json_get(said.change, 'counterparty_id') AS counterparty_id,
    f.money_at_risk,
    f.currency,
    f.sponsor_id,
    f.summary
FROM said
LEFT JOIN findings AS f ON f.finding_id = said.finding_id
