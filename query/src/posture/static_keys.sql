SELECT
    count(*) FILTER (WHERE credential_kind = 'static_key') AS numerator,
    count(*) AS denominator,
    count(*) FILTER (WHERE credential_kind = 'static_key' AND rotated_at IS NULL) AS never_rotated
FROM credentials
