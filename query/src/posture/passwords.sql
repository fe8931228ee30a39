SELECT
    count(*) FILTER (WHERE credential_kind = 'password') AS numerator,
    count(*) AS denominator
FROM credentials
