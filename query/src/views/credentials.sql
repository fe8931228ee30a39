-- agents: How many agents used it.
-- sponsors: How many sponsors answered for its uses.
-- events: How often it was used.
-- first_use: When it was used first.
-- last_use: When it was used last.
-- is_shared: Whether more than one agent used it.
-- is_static: Whether it is a key or password without an expiry of its own.
-- is_registered: Whether the registry knows it.
-- expires_at: When it expires, by the registry's last word.
-- is_expired: Whether it was used at or after that time.
-- rotated_at: When it was last replaced, by the registry's last word.
-- owner_id: Who sees to it, by the registry's last word.
WITH known AS (
    SELECT
        subject AS credential_id,
        last_value(change ORDER BY valid_from, recorded_at) AS change
    FROM registry_changes
    WHERE kind = 'credential'
    GROUP BY subject
),
-- Few rows for each credential: what comes after costs next to nothing.
uses AS (
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
        last_value(credential_kind ORDER BY last_use) AS credential_kind,
        count(DISTINCT agent_id) AS agents,
        count(DISTINCT sponsor_id) AS sponsors,
        sum(events) AS events,
        min(first_use) AS first_use,
        max(last_use) AS last_use
    FROM uses
    GROUP BY credential_id
),
registered AS (
    SELECT
        used.*,
        known.change IS NOT NULL AS is_registered,
        arrow_cast(json_get(known.change, 'expires_at'), 'Timestamp(Microsecond, Some("UTC"))') AS expires_at,
        arrow_cast(json_get(known.change, 'rotated_at'), 'Timestamp(Microsecond, Some("UTC"))') AS rotated_at,
        json_get(known.change, 'owner_id') AS owner_id
    FROM used
    LEFT JOIN known ON known.credential_id = used.credential_id
)
SELECT
    credential_id,
    credential_kind,
    agents,
    sponsors,
    events,
    first_use,
    last_use,
    1 < agents AS is_shared,
    credential_kind IN ('static_key', 'password') AS is_static,
    is_registered,
    expires_at,
    coalesce(expires_at <= last_use, false) AS is_expired,
    rotated_at,
    owner_id
FROM registered
