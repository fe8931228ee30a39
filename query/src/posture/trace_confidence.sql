WITH split AS (
    SELECT CAST(trace_confidence AS DOUBLE) AS confidence FROM events_unique
)
SELECT
    count(*) FILTER (WHERE 0.95 <= confidence) AS numerator,
    count(*) AS denominator,
    count(*) FILTER (WHERE 0.95 <= confidence) AS sure,
    count(*) FILTER (WHERE 0.75 <= confidence AND confidence < 0.95) AS likely,
    count(*) FILTER (WHERE 0 < confidence AND confidence < 0.75) AS weak,
    count(*) FILTER (WHERE confidence = 0) AS none
FROM split
