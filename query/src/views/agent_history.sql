-- event_number: How many events of the agent there are up to this one, this one counted.
-- previous_time: Time of the agent's event before this one.
-- counterparty_number: How many events with this counterparty there are up to this one.
-- is_new_counterparty: Whether the agent never dealt with this counterparty before.
-- is_new_action: Whether the agent never did this before.
SELECT
    time,
    agent_id,
    action,
    resource,
    counterparty_id,
    amount,
    currency,
    outcome,
    row_number() OVER (PARTITION BY agent_id ORDER BY time, event_id) AS event_number,
    lag(time) OVER (PARTITION BY agent_id ORDER BY time, event_id) AS previous_time,
    CASE
        WHEN counterparty_id IS NOT NULL
            THEN row_number() OVER (PARTITION BY agent_id, counterparty_id ORDER BY time, event_id)
    END AS counterparty_number,
    counterparty_id IS NOT NULL
        AND row_number() OVER (PARTITION BY agent_id, counterparty_id ORDER BY time, event_id) = 1
        AS is_new_counterparty,
    row_number() OVER (PARTITION BY agent_id, action ORDER BY time, event_id) = 1 AS is_new_action,
    credential_id,
    credential_kind,
    model,
    session_id,
    task_id,
    source_ip,
    sponsor_id,
    trace_status,
    trace_confidence,
    event_id
FROM events_unique
