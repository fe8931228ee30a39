SELECT * FROM events WHERE dup_of IS NULL
