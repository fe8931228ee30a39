-- grant_id: The grant.
-- agent_id: Whom it was given to.
-- scope: What it permits.
-- approved_by: Who approved it.
-- valid_to: Until when; NULL: without an end.
-- is_standing: Whether it has no end, so that it was not given for one task.
-- events: How many events name it.
-- tasks: How many tasks these were for.
-- first_use: Time of the first of them.
-- last_use: Time of the last of them.
WITH uses AS (
    SELECT
        grant_id,
        count(*) AS events,
        count(DISTINCT task_id) AS tasks,
        min(time) AS first_use,
        max(time) AS last_use
    FROM events_unique
    WHERE grant_id IS NOT NULL
    GROUP BY grant_id
),
known AS (
    SELECT
        subject AS grant_id,
        json_get(change, 'agent_id') AS agent_id,
        json_get(change, 'scope') AS scope,
        json_get(change, 'approved_by') AS approved_by,
        valid_from,
        valid_to
    FROM registry_facts
    WHERE kind = 'grant' AND next_from IS NULL
)
SELECT
    known.grant_id,
    known.agent_id,
    known.scope,
    known.approved_by,
    known.valid_from,
    known.valid_to,
    known.valid_to IS NULL AS is_standing,
    coalesce(uses.events, 0) AS events,
    coalesce(uses.tasks, 0) AS tasks,
    uses.first_use,
    uses.last_use
FROM known
LEFT JOIN uses ON uses.grant_id = known.grant_id
