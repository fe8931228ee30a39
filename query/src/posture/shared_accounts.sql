SELECT
    count(*) FILTER (WHERE is_shared) AS numerator,
    count(*) AS denominator,
    count(*) FILTER (WHERE is_shared AND 1 < sponsors) AS of_several_sponsors
FROM credentials
