-- reason: Why it is not an event.
-- detail: What was wanted and what was found.
-- raw: The record's first bytes, secrets replaced.
SELECT
    r.topic,
    r.kafka_partition,
    r.kafka_offset,
    r.record_time,
    r.time,
    r.format,
    r.reason,
    r.detail,
    r.raw,
    r.raw_bytes,
    r.record_part
FROM rejects AS r
LEFT JOIN (
    SELECT DISTINCT attributes['replay_of'] AS place FROM events WHERE topic = 'rejects.replay'
) AS e
    ON concat(r.topic, '/', CAST(r.kafka_partition AS VARCHAR), '@', CAST(r.kafka_offset AS VARCHAR), CASE WHEN r.record_part IS NULL THEN '' ELSE concat('.', CAST(r.record_part AS VARCHAR)) END) = e.place
WHERE e.place IS NULL AND r.topic <> 'rejects.replay'
