//! The columns of every table.
//!
//! Invariant: this order is the order of the columns in the files. New columns go to the end.

use super::Column;
use super::ColumnType::{
    self, Binary, Float32, Float64, Int32, Int64, Money, Timestamp, Utf8, Utf8List, Utf8Map,
};

const fn one(name: &'static str, column_type: ColumnType, doc: &'static str) -> Column {
    Column { name, column_type, is_nullable: false, is_later: false, doc }
}

const fn maybe(name: &'static str, column_type: ColumnType, doc: &'static str) -> Column {
    Column { name, column_type, is_nullable: true, is_later: false, doc }
}

/// A column that the table did not always have.
const fn later(name: &'static str, column_type: ColumnType, doc: &'static str) -> Column {
    Column { name, column_type, is_nullable: true, is_later: true, doc }
}

const TOPIC: Column = one("topic", Utf8, "Kafka topic, or the name of the replayed file.");
const KAFKA_PARTITION: Column = one("kafka_partition", Int32, "Kafka partition.");
const KAFKA_OFFSET: Column =
    one("kafka_offset", Int64, "Kafka offset; in a replayed file the line, from 0.");
const RECORD_PART: Column = later(
    "record_part",
    Int32,
    "Which one it is of several in its record, from 1 for the second. Null for the first, and for one that stands alone.",
);
const MONTH: Column =
    one("month", Utf8, "Month of `time`, UTC, e.g. `2026-03`: the partition column.");

pub(super) const EVENTS: &[Column] = &[
    one(
        "event_id",
        Utf8,
        "The source's id, or `topic-partition-offset`, with `.1` behind it for the second of several in one record.",
    ),
    one("time", Timestamp, "When it happened, by the source's clock."),
    one("ingested_at", Timestamp, "When Surety read the record."),
    one("agent_id", Utf8, "The agent that acted."),
    maybe("agent_class", Utf8, "What the agent is for: its blueprint, charter or role."),
    maybe("agent_instance", Utf8, "The running copy of the agent: a pod, a process, a run."),
    maybe("model", Utf8, "The model behind the agent, with its version."),
    maybe("session_id", Utf8, "The session in which it acted."),
    maybe("task_id", Utf8, "The task it worked on."),
    maybe("grant_id", Utf8, "The just-in-time permission it acted under."),
    one(
        "credential_id",
        Utf8,
        "Identifier or keyed fingerprint of the credential; never the secret.",
    ),
    one(
        "credential_kind",
        Utf8,
        "`static_key`, `temporary_key`, `access_token`, `service_account_token`, `certificate`, `password`, `session`, `platform`, `anonymous` or `unknown`.",
    ),
    one("action", Utf8, "What was done, e.g. `order.approve` or `s3.amazonaws.com:GetObject`."),
    maybe("resource", Utf8, "What it was done to."),
    maybe("resource_kind", Utf8, "Kind of the resource."),
    maybe(
        "counterparty_id",
        Utf8,
        "The other side: a vendor, an account, a recipient, a host, a tenant.",
    ),
    maybe("counterparty_kind", Utf8, "Kind of the counterparty."),
    maybe("amount", Money, "Money moved or approved."),
    maybe("currency", Utf8, "ISO 4217 code of the amount."),
    one("outcome", Utf8, "`success`, `denied` or `error`."),
    maybe("outcome_reason", Utf8, "The source's word for why it was denied or failed."),
    maybe("source_ip", Utf8, "Network address of the use."),
    maybe("user_agent", Utf8, "Software of the use, as it names itself."),
    one("delegation", Utf8List, "On whose behalf, as the source claims, nearest first."),
    maybe("sponsor_id", Utf8, "Who answered for it, by what the registry knew when it was read."),
    one(
        "trace_status",
        Utf8,
        "`traced`, `delegated`, `claimed`, `shared`, `orphaned`, `unregistered` or `gap`.",
    ),
    one("trace_confidence", Float32, "Product of the hops' confidences, 0 to 1."),
    one(
        "labels",
        Utf8List,
        "Labels of the source, and those that start with `lapse:`: what the registry had against the use when it was read.",
    ),
    one("attributes", Utf8Map, "Further fields of the source, bounded, secrets replaced."),
    one("format", Utf8, "The format the record was read from."),
    TOPIC,
    KAFKA_PARTITION,
    KAFKA_OFFSET,
    MONTH,
    later(
        "dup_of",
        Utf8,
        "If the event is a copy: `topic/partition@offset` of the record that came first with the same id and content (and `.1` for the second in it). Null in lakes of releases that did not look for copies.",
    ),
    RECORD_PART,
];

pub(super) const REJECTS: &[Column] = &[
    TOPIC,
    KAFKA_PARTITION,
    KAFKA_OFFSET,
    maybe("record_time", Timestamp, "The record's own time in Kafka."),
    one("time", Timestamp, "When it was rejected."),
    one("format", Utf8, "The format it was read as."),
    one(
        "reason",
        Utf8,
        "`empty`, `too_large`, `not_utf8`, `too_deep`, `not_json`, `unsupported_encoding`, `several_records`, `bad_field`, `duplicate_field`, `no_agent`, or `lost` for records that Kafka deleted before they were read.",
    ),
    one("detail", Utf8, "What was wanted and what was found."),
    one("raw", Binary, "Its bytes, at most 16 KiB, secrets replaced."),
    one("raw_bytes", Int64, "How long it was, in bytes."),
    MONTH,
    RECORD_PART,
];

pub(super) const FINDINGS: &[Column] = &[
    one(
        "finding_id",
        Utf8,
        "Made of detector, agent and triggering record; also the `webhook-id`.",
    ),
    one("time", Timestamp, "The triggering event's time."),
    one("detected_at", Timestamp, "When Surety found it."),
    one(
        "detector",
        Utf8,
        "`unusual_volume`, `unusual_amount`, `new_counterparty`, `counterparty_burst`, `new_action`, `stolen_credential`, `structuring`, `fan_out`, `failure_burst`, `unusual_time`, `shared_credential`, `fleet_shift` or `new_exposure`.",
    ),
    one(
        "severity",
        Utf8,
        "`review`, `page` or `block`: at most 0.1, 0.03 or 0.01 false findings per agent and day.",
    ),
    one("agent_id", Utf8, "The agent."),
    maybe("agent_class", Utf8, "Its class."),
    one("credential_id", Utf8, "The credential it used."),
    maybe("sponsor_id", Utf8, "Who answers for it, as of the event's time."),
    one("trace_status", Utf8, "How well the event leads to the sponsor."),
    one("event_id", Utf8, "The triggering event."),
    one("action", Utf8, "What was done."),
    maybe("counterparty_id", Utf8, "With whom."),
    one("score", Float64, "Minus the decimal logarithm of the combined probability."),
    one(
        "false_findings_per_agent_day",
        Float64,
        "False findings expected per agent and day at this score.",
    ),
    one("summary", Utf8, "One or two sentences for people, with numbers from the baseline."),
    one("features", Utf8, "JSON list: feature, expected, seen, probability, share."),
    one("maturity", Utf8, "`cold`, `young` or `mature`: what the baseline rests on."),
    one("maturity_events", Int64, "Events of the agent before this one."),
    one("maturity_days", Float32, "Days since the agent was first seen."),
    one("evidence", Utf8List, "Ids of the events it names: the triggering one."),
    maybe("money_at_risk", Money, "Money that went to the counterparty (or in the burst) so far."),
    maybe("currency", Utf8, "ISO 4217 code of the money at risk."),
    one("tags", Utf8List, "Tags of public catalogues."),
    TOPIC,
    KAFKA_PARTITION,
    KAFKA_OFFSET,
    MONTH,
    RECORD_PART,
];

pub(super) const DELIVERIES: &[Column] = &[
    one("sequence", Int64, "Number of the attempt, without gaps."),
    one("time", Timestamp, "When the attempt began."),
    one("finding_id", Utf8, "The finding, which is the `webhook-id`."),
    one("endpoint", Utf8, "Name of the endpoint in the configuration."),
    one("attempt", Int32, "1 for the first try."),
    one("duration_us", Int64, "How long the attempt took, in microseconds."),
    one("outcome", Utf8, "`delivered`, `failed`, `dead` or `disabled`."),
    maybe("status", Int32, "HTTP status of the answer."),
    maybe("error", Utf8, "Class of the failure."),
];

pub(super) const REGISTRY_CHANGES: &[Column] = &[
    one("change_id", Utf8, "Made of what the change says: the same where it is told again."),
    one("kind", Utf8, "`sponsor`, `agent`, `agent_class`, `credential`, `delegation` or `grant`."),
    one("subject", Utf8, "The id it is about."),
    one("valid_from", Timestamp, "From when it is true."),
    maybe("valid_to", Timestamp, "Until when, exclusive."),
    one("recorded_at", Timestamp, "When Surety learned it."),
    maybe("evidence", Utf8, "Where it comes from."),
    one("change", Utf8, "The whole change as JSON, schema `surety.registry_change.v1`."),
];

pub(super) const COUNTERPARTY_EDGES: &[Column] = &[
    one("agent_id", Utf8, "The agent."),
    one("counterparty_id", Utf8, "The other side."),
    one("first_time", Timestamp, "Time of the first event between them."),
    one("last_time", Timestamp, "Time of the last event between them."),
    one("events", Int64, "How many events there were."),
];

pub(super) const DISPOSITIONS: &[Column] = &[
    one("finding_id", Utf8, "The finding."),
    one("time", Timestamp, "When it was said."),
    one("verdict", Utf8, "`confirmed`, `benign` or `expected`."),
    one("person", Utf8, "Who said it."),
    maybe("note", Utf8, "Why."),
];

pub(super) const SEALS: &[Column] = &[
    one("sequence", Int64, "Number of the seal, without gaps."),
    one("time", Timestamp, "When it was made."),
    one("root", Binary, "Merkle root over the records of the commit (RFC 6962)."),
    one("previous", Binary, "Hash of the seal before it."),
    one(
        "note",
        Utf8,
        "The signed note (C2SP signed-note): what counts; the other columns repeat it.",
    ),
    one("version", Int64, "The version of `events` that the commit made."),
    one("records", Int64, "Records of the commit: events and rejects."),
    one("rejects", Int64, "How many of them are rejects."),
];

pub(super) const QUERY_LOG: &[Column] = &[
    one("time", Timestamp, "When it was asked."),
    one("principal", Utf8, "Who asked."),
    one("statement", Utf8, "The SQL."),
    one("rows", Int64, "Rows answered."),
    one("duration_us", Int64, "How long it took, in microseconds."),
];
