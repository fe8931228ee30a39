SELECT kind, count(DISTINCT subject) AS subjects, sum(events) AS events
FROM hygiene
GROUP BY kind
ORDER BY kind
