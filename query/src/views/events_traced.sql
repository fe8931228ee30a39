-- sponsor_name: The sponsor's name, by the registry's last word.
-- sponsor_unit: The sponsor's unit, by the registry's last word.
WITH latest AS (
    SELECT
        subject AS sponsor_id,
        last_value(change ORDER BY valid_from, recorded_at) AS change
    FROM registry_changes
    WHERE kind = 'sponsor'
    GROUP BY subject
),
known AS (
    SELECT
        sponsor_id,
        json_get(change, 'name') AS name,
        json_get(change, 'unit') AS unit
    FROM latest
)
SELECT
    events.time,
    events.event_id,
    events.agent_id,
    events.agent_class,
    events.action,
    events.resource,
    events.counterparty_id,
    events.amount,
    events.currency,
    events.outcome,
    events.credential_id,
    events.credential_kind,
    events.sponsor_id,
    known.name AS sponsor_name,
    known.unit AS sponsor_unit,
    events.trace_status,
    events.trace_confidence
FROM events
LEFT JOIN known ON known.sponsor_id = events.sponsor_id
