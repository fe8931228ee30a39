-- subject: What it is about, as in `registry_changes`.
-- valid_from: From when it holds.
-- valid_to: Until when, by its own word: a credential's revocation, an agent's purpose, a grant's end.
-- next_from: From when the next fact of the same kind and subject holds.
WITH told AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY kind, subject, valid_from ORDER BY recorded_at DESC, change_id DESC
        ) AS nth
    FROM registry_changes
)
SELECT
    kind,
    subject,
    valid_from,
    valid_to,
    lead(valid_from) OVER (PARTITION BY kind, subject ORDER BY valid_from) AS next_from,
    change,
    evidence
FROM told
WHERE nth = 1
