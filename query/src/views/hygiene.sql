-- kind: What is wrong; docs/sql.md lists the kinds.
-- subject: The credential, agent or grant that it is about.
-- agent_id: Who did it, or whose it is.
-- credential_id: The credential, where one is concerned.
-- sponsor_id: Who answered for the last of the events.
-- first_time: Time of the first event.
-- last_time: Time of the last event.
-- events: How many events there are; 0 for what the registry alone shows.
-- evidence: Ids of the first and the last event, or of the event that taught it.
WITH keys AS (
    SELECT
        subject,
        valid_from,
        valid_to,
        next_from,
        arrow_cast(json_get(change, 'expires_at'), 'Timestamp(Microsecond, Some("UTC"))') AS expires_at,
        json_get(change, 'rotated_at') AS rotated_at
    FROM registry_facts
    WHERE kind = 'credential'
),
rotated AS (
    SELECT subject FROM keys WHERE next_from IS NULL AND rotated_at IS NOT NULL
),
ending AS (
    SELECT * FROM keys WHERE expires_at IS NOT NULL OR valid_to IS NOT NULL
),
purposes AS (
    SELECT subject, valid_from, valid_to, next_from, json_get(change, 'model') AS model
    FROM registry_facts
    WHERE kind = 'agent'
),
acts AS (
    SELECT
        CASE WHEN ending.valid_to <= e.time THEN 'used_after_revocation' ELSE 'used_after_expiry' END AS kind,
        e.credential_id AS subject,
        e.agent_id,
        e.credential_id,
        e.sponsor_id,
        e.time,
        e.event_id
    FROM events AS e
    INNER JOIN ending ON ending.subject = e.credential_id
    WHERE ending.valid_from <= e.time
        AND (ending.next_from IS NULL OR e.time < ending.next_from)
        AND (ending.valid_to <= e.time OR ending.expires_at <= e.time)
    UNION ALL
    SELECT
        CASE WHEN purposes.valid_to <= e.time THEN 'used_after_purpose' ELSE 'unapproved_model' END AS kind,
        e.agent_id AS subject,
        e.agent_id,
        NULL AS credential_id,
        e.sponsor_id,
        e.time,
        e.event_id
    FROM events AS e
    INNER JOIN purposes ON purposes.subject = e.agent_id
    WHERE purposes.valid_from <= e.time
        AND (purposes.next_from IS NULL OR e.time < purposes.next_from)
        AND (purposes.valid_to <= e.time OR purposes.model <> e.model)
    UNION ALL
    SELECT
        CASE trace_status WHEN 'orphaned' THEN 'orphaned_agent' ELSE 'unregistered_agent' END AS kind,
        agent_id AS subject,
        agent_id,
        NULL AS credential_id,
        sponsor_id,
        time,
        event_id
    FROM events
    WHERE trace_status IN ('orphaned', 'unregistered')
    UNION ALL
    SELECT
        'never_rotated' AS kind,
        e.credential_id AS subject,
        e.agent_id,
        e.credential_id,
        e.sponsor_id,
        e.time,
        e.event_id
    FROM events AS e
    LEFT JOIN rotated ON rotated.subject = e.credential_id
    WHERE e.credential_kind = 'static_key' AND rotated.subject IS NULL
    UNION ALL
    SELECT
        CASE WHEN grants_use.is_standing THEN 'standing_grant' ELSE 'used_after_grant' END AS kind,
        e.grant_id AS subject,
        e.agent_id,
        NULL AS credential_id,
        e.sponsor_id,
        e.time,
        e.event_id
    FROM events AS e
    INNER JOIN grants_use ON grants_use.grant_id = e.grant_id
    WHERE grants_use.is_standing OR grants_use.valid_to <= e.time
),
done AS (
    SELECT
        kind,
        subject,
        agent_id,
        credential_id,
        last_value(sponsor_id ORDER BY time, event_id) AS sponsor_id,
        min(time) AS first_time,
        max(time) AS last_time,
        count(*) AS events,
        make_array(
            first_value(event_id ORDER BY time, event_id), last_value(event_id ORDER BY time, event_id)
        ) AS evidence
    FROM acts
    GROUP BY kind, subject, agent_id, credential_id
),
words AS (
    SELECT grant_id, agent_id, unnest(string_to_array(scope, ' ')) AS word FROM grants_use
),
may AS (
    SELECT agent_id, word FROM words GROUP BY agent_id, word
),
parents AS (
    SELECT subject AS agent_id, json_get(change, 'parent_agent_id') AS parent_id
    FROM registry_facts
    WHERE kind = 'delegation' AND next_from IS NULL
),
holders AS (
    SELECT agent_id FROM words GROUP BY agent_id
),
wider AS (
    SELECT words.grant_id, words.agent_id
    FROM words
    INNER JOIN parents ON parents.agent_id = words.agent_id
    INNER JOIN holders ON holders.agent_id = parents.parent_id
    LEFT JOIN may ON may.agent_id = parents.parent_id AND may.word = words.word
    WHERE may.word IS NULL
    GROUP BY words.grant_id, words.agent_id
),
minted AS (
    SELECT subject, json_get(change, 'agent_id') AS agent_id, evidence
    FROM registry_facts
    WHERE kind = 'issue' AND next_from IS NULL
),
minted_uses AS (
    SELECT
        minted.subject,
        last_value(e.sponsor_id ORDER BY e.time) AS sponsor_id,
        min(e.time) AS first_time,
        max(e.time) AS last_time,
        count(*) AS events
    FROM events AS e
    INNER JOIN minted ON minted.subject = e.credential_id
    GROUP BY minted.subject
)
SELECT kind, subject, agent_id, credential_id, sponsor_id, first_time, last_time, events, evidence
FROM done
UNION ALL
SELECT
    'minted_credential' AS kind,
    minted.subject,
    minted.agent_id,
    minted.subject AS credential_id,
    minted_uses.sponsor_id,
    minted_uses.first_time,
    minted_uses.last_time,
    coalesce(minted_uses.events, 0) AS events,
    make_array(minted.evidence) AS evidence
FROM minted
LEFT JOIN minted_uses ON minted_uses.subject = minted.subject
UNION ALL
SELECT
    'unused_grant' AS kind,
    grant_id AS subject,
    agent_id,
    NULL AS credential_id,
    approved_by AS sponsor_id,
    NULL AS first_time,
    NULL AS last_time,
    0 AS events,
    NULL AS evidence
FROM grants_use
WHERE events = 0
UNION ALL
SELECT
    'wider_than_parent' AS kind,
    wider.grant_id AS subject,
    wider.agent_id,
    NULL AS credential_id,
    grants_use.approved_by AS sponsor_id,
    grants_use.first_use AS first_time,
    grants_use.last_use AS last_time,
    grants_use.events,
    NULL AS evidence
FROM wider
INNER JOIN grants_use ON grants_use.grant_id = wider.grant_id
