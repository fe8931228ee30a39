SELECT
    count(grants_use.grant_id) FILTER (WHERE NOT grants_use.is_standing) AS numerator,
    count(*) AS denominator,
    count(grants_use.grant_id) FILTER (WHERE grants_use.is_standing) AS under_standing_grants,
    count(*) FILTER (WHERE grants_use.grant_id IS NULL) AS under_no_known_grant
FROM events_unique AS events
LEFT JOIN grants_use ON grants_use.grant_id = events.grant_id
