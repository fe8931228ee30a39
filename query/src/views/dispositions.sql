-- What this version keeps in the registry, and what an earlier one may have kept in the table.
SELECT finding_id, time, verdict, person, note FROM kept.dispositions
UNION ALL
SELECT
    subject AS finding_id,
    recorded_at AS time,
    json_get(change, 'verdict') AS verdict,
    json_get(change, 'by') AS person,
    json_get(change, 'note') AS note
FROM registry_changes
WHERE kind = 'disposition'
