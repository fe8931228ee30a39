//! The normalisers: golden records, faults, secrets, and any bytes at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use schemas::{KafkaPartition, Offset, Offsets, Outcome, Part, Topic};

use super::*;

mod cloud;
mod everywhere;
mod moments;
mod several;
mod spans;
mod spelled;
mod vendors;
mod wrapped;

use crate::{Poll, Replay, Source as _};

const NATIVE: &str = include_str!("../../../schemas/json/credential_event.v1.example.json");
/// Twenty records of a real account, session tokens removed. Source: invictus-ir/aws_dataset (MIT).
const REAL_CLOUDTRAIL: &str = include_str!("golden/cloudtrail.real.jsonl");

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(b"a key of the test, longer than 32 bytes"));

fn normaliser(format: Format) -> Normaliser {
    Normaliser::new(format, REDACTOR.clone())
}

fn read(format: Format, payload: Option<&[u8]>) -> Result<CredentialEvent, Reject> {
    let topic = Topic::new("uses");
    normaliser(format).normalise_one(&record(&topic, payload), Timestamp::EPOCH)
}

/// A record without a time in Kafka.
pub(super) fn record<'a>(topic: &'a Topic, payload: Option<&'a [u8]>) -> RawRecord<'a> {
    let (partition, offset) = (KafkaPartition(2), Offset(40));
    RawRecord { topic, partition, offset, part: Part::FIRST, record_time: None, payload }
}

type Read = Result<CredentialEvent, Reject>;

/// What stands in a record, or in a part of one: one outcome, or more.
fn outcomes(format: Format, payload: &[u8], part: Part) -> Vec<Read> {
    let topic = Topic::new("uses");
    let record = RawRecord { part, ..record(&topic, Some(payload)) };
    let read = normaliser(format).normalise(&record, Timestamp::EPOCH);
    read.map_or_else(NotOne::parts, |event| vec![Ok(event)])
}

fn native(json: &str) -> Result<CredentialEvent, Reject> {
    read(Format::Native, Some(json.as_bytes()))
}

fn cloudtrail(json: &str) -> Result<CredentialEvent, Reject> {
    read(Format::CloudTrail, Some(json.as_bytes()))
}

/// The example with `json` in front of its first field.
fn native_with(json: &str) -> String {
    NATIVE.replacen('{', &format!("{{{json},"), 1)
}

fn replaced(from: &str, to: &str) -> String {
    assert!(NATIVE.contains(from), "{from}");
    NATIVE.replacen(from, to, 1)
}

#[test]
fn a_native_event_is_what_the_producer_wrote() {
    let event = native(NATIVE).unwrap();

    assert_eq!(event.event_id.as_str(), "evt-7f3a91");
    assert_eq!(event.amount.unwrap().to_string(), "49800.00");
    assert_eq!(event.attributes.get("cost_center"), Some("4400"));
}

#[test]
fn fields_the_schema_does_not_know_are_kept_as_attributes() {
    let json = native_with(
        r#""zone":"eu","retries":3,"nested":{"a":[1]},"cost_center":"other","none":null"#,
    );
    let event = native(&json).unwrap();

    let found: Vec<_> = event.attributes.iter().collect();
    assert_eq!(
        found,
        [
            ("cost_center", "4400"),
            ("extra.cost_center", "other"),
            ("nested", r#"{"a":[1]}"#),
            ("none", "null"),
            ("retries", "3"),
            ("zone", "eu"),
        ]
    );
    assert_eq!(event.agent_id, native(NATIVE).unwrap().agent_id);
}

#[test]
fn each_fault_has_its_reason_and_says_where() {
    let deep = native_with(&format!("\"x\":{}{}", "[".repeat(64), "]".repeat(64)));
    let long = native_with(&format!("\"x\":\"{}\"", "x".repeat(RECORD_BYTES_MAX)));
    for (json, reason, detail) in [
        ("", RejectReason::Empty, "found no value"),
        (&long, RejectReason::TooLarge, "wanted at most 262144 bytes"),
        (&deep, RejectReason::TooDeep, "wanted at most 64 levels"),
        ("{\"schema\":", RejectReason::NotJson, "found its end at 1:10"),
        ("{\"schema\":x}", RejectReason::NotJson, "found another text at 1:11"),
        ("\"text\"", RejectReason::BadField, "found string at 1:6"),
        ("{}", RejectReason::BadField, "wanted field `schema`, found none"),
        (&replaced("\"agent_id\"", "\"agent\""), RejectReason::NoAgent, "wanted field `agent_id`"),
        (&native_with("\"agent_id\":\"x\""), RejectReason::DuplicateField, "`agent_id` once"),
        (&native_with("\"zone\":1,\"zone\":2"), RejectReason::DuplicateField, "each field once"),
        (
            &native_with("\"zone\":1,\"agent_id\":2"),
            RejectReason::DuplicateField,
            "`agent_id` once",
        ),
        (
            &replaced("\"success\"", "\"hunter2\""),
            RejectReason::BadField,
            "`success`, `denied`, `error`",
        ),
        (
            &replaced("\"order.approve\"", "7"),
            RejectReason::BadField,
            "a string, found integer at 13:",
        ),
        (&replaced("2026-03-01", "2026-13-01"), RejectReason::BadField, "wanted an RFC 3339 time"),
        (
            &replaced("\"currency\": \"EUR\",", ""),
            RejectReason::BadField,
            "a currency beside the amount",
        ),
        (
            &replaced("10.20.3.4", "hunter2"),
            RejectReason::BadField,
            "`source_ip`: wanted an IP address alone, found another text at",
        ),
        (
            &replaced("[\"planning-agent-1\"]", "null"),
            RejectReason::BadField,
            "`delegation`: wanted a sequence, found null at",
        ),
        (
            &replaced("[\"planning-agent-1\"]", "\"hunter2\""),
            RejectReason::BadField,
            "`delegation`: wanted a sequence, found string at",
        ),
        (
            &replaced("\"4400\"", "4400"),
            RejectReason::BadField,
            "`attributes`: wanted a string, found integer at",
        ),
        (
            &native_with("\"zone\":1").replace("\"success\"", "\"hunter2\""),
            RejectReason::BadField,
            "`outcome`: wanted one of `success`, `denied`, `error`, found another text at",
        ),
    ] {
        let reject = native(json).unwrap_err();

        assert_eq!(reject.reason, reason, "{}", reject.detail);
        assert!(reject.detail.contains(detail), "wanted {detail}, found {}", reject.detail);
        assert!(!reject.detail.contains("hunter2"), "{}", reject.detail);
    }
    assert_eq!(read(Format::Native, None).unwrap_err().reason, RejectReason::Empty);
    let not_utf8 = read(Format::Native, Some(b"{\"a\":\"\xff\"}")).unwrap_err();
    assert_eq!(not_utf8.reason, RejectReason::NotUtf8);
}

#[test]
fn brackets_inside_texts_are_not_depth() {
    let json = native_with(&format!(
        "\"x\":\"{}\",\"y\":{}",
        "[".repeat(200),
        "[".repeat(63) + &"]".repeat(63)
    ));

    assert!(native(&json).is_ok());
}

#[test]
fn a_million_levels_are_refused_at_once() {
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let json = open.repeat(120_000 / open.len());
        assert_eq!(native(&json).unwrap_err().reason, RejectReason::TooDeep);
        assert_eq!(cloudtrail(&json).unwrap_err().reason, RejectReason::TooDeep);
    }
}

#[test]
fn no_secret_of_a_record_is_in_its_event_or_reject() {
    let token = "ghp_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d";
    let places = [
        "evt-7f3a91",
        "svc-erp-purchasing",
        "pod-5c9f",
        "order.approve",
        "planning-agent-1",
        "4400",
    ];
    for place in places {
        let event = native(&NATIVE.replace(place, token)).unwrap();
        let text = format!("{event:?}");
        assert!(!text.contains("ghp_") && text.contains("fp:"), "{place}: {text}");

        let escaped = token.replace("ghp", "\\u0067hp");
        let event = native(&NATIVE.replace(place, &escaped)).unwrap();
        assert!(!format!("{event:?}").contains("ghp_"), "{place}");

        let reject = native(&NATIVE.replace(place, token).replace("success", "x")).unwrap_err();
        assert!(!String::from_utf8(reject.raw).unwrap().contains("ghp_"), "{place}");
    }
    let event = native(&replaced("\"cost_center\"", "\"session_token\"")).unwrap();
    assert!(event.attributes.get("session_token").unwrap().starts_with("fp:"));
    let event = native(&native_with("\"login\":{\"password\":\"hunter2\"}")).unwrap();
    assert!(event.attributes.get("login").unwrap().starts_with("{\"password\":\"fp:"));
    let event = native(&native_with("\"password\":\"hunter2\"")).unwrap();
    assert!(event.attributes.get("password").unwrap().starts_with("fp:"));
}

/// What an event says, as JSON, but for what is empty.
fn told(event: &CredentialEvent) -> serde_json::Value {
    let mut told = serde_json::json!({
        "event_id": event.event_id,
        "time": event.time,
        "agent_id": event.agent_id,
        "agent_class": event.agent_class,
        "agent_instance": event.agent_instance,
        "model": event.model,
        "session_id": event.session_id,
        "task_id": event.task_id,
        "grant_id": event.grant_id,
        "amount": event.amount,
        "currency": event.currency,
        "credential_id": event.credential_id,
        "credential_kind": event.credential_kind,
        "action": event.action,
        "resource": event.resource,
        "resource_kind": event.resource_kind,
        "counterparty_id": event.counterparty_id,
        "counterparty_kind": event.counterparty_kind,
        "outcome": event.outcome,
        "outcome_reason": event.outcome_reason,
        "source_ip": event.source_ip,
        "user_agent": event.user_agent,
        "delegation": event.delegation,
        "attributes": event.attributes,
    });
    let fields = told.as_object_mut().unwrap();
    fields.retain(|_, value| !value.is_null() && *value != serde_json::json!([]));
    told
}

/// The golden records of each format but the native one.
fn golden(format: Format) -> String {
    let path = Path::new("src/format/golden");
    std::fs::read_to_string(path.join(format!("{format}.jsonl"))).unwrap()
}

fn formats_of_others() -> impl Iterator<Item = Format> {
    Format::ALL.iter().copied().filter(|format| *format != Format::Native)
}

#[test]
fn the_golden_records_of_each_format_give_the_golden_events() {
    for format in formats_of_others() {
        let path = Path::new("src/format/golden");
        let path = path.join(format!("{format}.events.jsonl"));
        let mut found = String::new();
        for line in golden(format).lines() {
            let told_of = |outcome: &Read| match outcome {
                Ok(event) => told(event),
                Err(reject) => {
                    serde_json::json!({"reject": reject.reason, "detail": reject.detail})
                }
            };
            let all = outcomes(format, line.as_bytes(), Part::FIRST);
            let line = match &all[..] {
                [one] => told_of(one),
                parts => parts.iter().map(told_of).collect(),
            };
            found.push_str(&line.to_string());
            found.push('\n');
        }
        #[expect(clippy::disallowed_methods, reason = "the switch that rewrites, not compares")]
        if std::env::var("SURETY_REWRITE_DOCUMENTS").is_ok() {
            std::fs::write(&path, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&path).unwrap();
        for (found, wanted) in found.lines().zip(wanted.lines()) {
            assert_eq!(found, wanted, "{format}");
        }
        assert_eq!(found.lines().count(), wanted.lines().count(), "{format}");
    }
}

#[test]
fn a_parameter_that_stands_twice_is_refused() {
    let json = r#"{"eventTime":"2023-07-10T11:42:18Z","eventName":"GetObject","userIdentity":{"arn":"arn:aws:iam::1:user/a"},
        "requestParameters":{"bucketName":"a","bucketName":"b"}}"#;
    assert_eq!(cloudtrail(json).unwrap_err().reason, RejectReason::DuplicateField);
    let json =
        json.replace("\"eventName\":\"GetObject\"", "\"eventName\":\"a\",\"eventname\":\"b\"");
    assert_eq!(cloudtrail(&json).unwrap_err().reason, RejectReason::DuplicateField);
}

/// A sample of real records beside the workspace; `None` where this checkout has none.
#[expect(clippy::print_stderr, reason = "a test that could not run says so")]
fn sample(path: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new("../../shared/data").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("NOT RUN for want of {}: {test}", path.display());
    None
}

fn normalise_file(format: Format, path: &Path) -> (Vec<CredentialEvent>, Vec<Reject>) {
    let mut replay = Replay::open(path, Topic::new("sample")).unwrap();
    replay.seek(&Offsets::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let normaliser = normaliser(format);
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    loop {
        match runtime.block_on(replay.poll(1_000, Duration::ZERO)).unwrap() {
            Poll::Records(batch) => batch.iter().for_each(|record| {
                match normaliser.normalise_one(&record, Timestamp::EPOCH) {
                    Ok(event) => events.push(event),
                    Err(reject) => rejects.push(reject),
                }
            }),
            Poll::End => return (events, rejects),
            other @ (Poll::Idle | Poll::Reassigned { .. }) => panic!("{other:?}"),
        }
    }
}

#[test]
fn real_cloudtrail_records_are_events_with_agent_and_credential() {
    let events: Vec<_> = REAL_CLOUDTRAIL.lines().map(|line| cloudtrail(line).unwrap()).collect();

    let mut kinds = BTreeMap::new();
    for event in &events {
        *kinds.entry(event.credential_kind.as_str()).or_insert(0) += 1;
    }
    let wanted =
        [("password", 2), ("platform", 3), ("session", 1), ("static_key", 8), ("temporary_key", 6)];
    assert_eq!(kinds, BTreeMap::from(wanted));
    let attribute = |name| events.iter().filter(|one| one.attributes.get(name).is_some()).count();
    assert_eq!(attribute("issued_access_key_id"), 3);
    assert_eq!(attribute("ec2_role_delivery"), 2);
    let outcomes = |wanted| events.iter().filter(|event| event.outcome == wanted).count();
    assert_eq!((outcomes(Outcome::Denied), outcomes(Outcome::Error)), (4, 2));
    let fingerprints = events.iter().filter(|event| format!("{event:?}").contains("fp:"));
    assert_eq!(fingerprints.count(), 0, "nothing in them is a secret");
}

#[test]
fn a_secret_that_escapes_hide_is_in_no_event() {
    for field in [
        r#""login":{"url":"postgres:\/\/bob:hunter2@h"}"#,
        r#""login":{"\u0070assword":"hunter2"}"#,
        r#""login":["x",{"a":{"pass\u0077ord":["hunter2"]}}]"#,
        r#""login":"{\"\\u0070assword\":\"hunter2\"}""#,
        r#""login":{"body":"{\"\\u0070assword\":\"hunter2\"}"}"#,
        r#""login":{"body":"{\u0022password\u0022:\u0022hunter2\u0022}"}"#,
        r#""\u0070assword":"hunter2""#,
        r#""note":"postgres:\/\/bob:hunter2@h""#,
    ] {
        let json = native_with(field);
        let text = format!("{:?}", native(&json).unwrap());
        assert!(!text.contains("hunter2") && text.contains("fp:"), "{field}: {text}");
    }
    // What holds none stays as it was written.
    let event = native(&native_with(r#""page":{"url":"https:\/\/h\/a"}"#)).unwrap();
    assert_eq!(event.attributes.get("page"), Some(r#"{"url":"https:\/\/h\/a"}"#));
}

#[test]
fn no_piece_of_a_secret_stays_where_a_long_text_is_cut() {
    let token = "ghp_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d";
    for (before, cut) in [(4_090, "native"), (506, "cloudtrail"), (2_042, "target")] {
        let long = format!("{} {token}", "x".repeat(before - 1));
        let event = match cut {
            "native" => native(&native_with(&format!("\"note\":\"{long}\""))),
            "cloudtrail" => cloudtrail(&REAL_CLOUDTRAIL.lines().next().unwrap().replacen(
                '{',
                &format!("{{\"errorMessage\":\"{long}\","),
                1,
            )),
            _ => cloudtrail(&format!(
                "{{\"eventTime\":\"2026-03-02T10:00:00Z\",\"eventName\":\"a\",\"userIdentity\":{{\"arn\":\"a\"}},\"requestParameters\":{{\"name\":\"{long}\"}}}}"
            )),
        };
        let text = format!("{:?}", event.unwrap());
        assert!(text.contains("xx fp:") && !text.contains("ghp"), "{cut}: {text}");
    }
}

#[test]
fn every_record_of_a_real_cloudtrail_stream_is_an_event_with_agent_and_credential() {
    let Some(path) = sample("cloudtrail-attack-run/events.jsonl.gz", "the real CloudTrail stream")
    else {
        return;
    };

    let (events, rejects) = normalise_file(Format::CloudTrail, &path);

    assert_eq!(rejects, []);
    assert_eq!(events.len(), 2_900);
    let mut kinds = BTreeMap::new();
    for event in &events {
        *kinds.entry(event.credential_kind.as_str()).or_insert(0) += 1;
    }
    let wanted = [
        ("password", 3),
        ("platform", 76),
        ("session", 6),
        ("static_key", 2_182),
        ("temporary_key", 633),
    ];
    assert_eq!(kinds, BTreeMap::from(wanted));
    let denied = events.iter().filter(|event| event.outcome == Outcome::Denied).count();
    assert_eq!(denied, 44 + 16, "UnauthorizedOperation and AccessDenied");
    assert!(events.iter().any(|event| event.attributes.get("issued_access_key_id").is_some()));
}

#[test]
fn vendor_samples_that_miss_fields_are_events_or_say_what_they_miss() {
    let Some(path) = sample("audit-samples/cloudtrail.jsonl", "the vendor's CloudTrail samples")
    else {
        return;
    };

    let (events, rejects) = normalise_file(Format::CloudTrail, &path);

    assert_eq!(events.len() + rejects.len(), 238);
    let mut reasons = BTreeMap::new();
    for reject in &rejects {
        *reasons.entry(reject.detail.as_str()).or_insert(0) += 1;
    }
    let wanted = [
        ("`eventTime`: wanted an RFC 3339 time such as 2026-03-01T09:30:00Z", 1),
        ("wanted an identity in `userIdentity`, found none", 10),
        ("wanted field `eventTime`, found none", 3),
    ];
    assert_eq!(reasons, BTreeMap::from(wanted));
}

/// The golden records of all formats, but for lists of them.
fn every_record() -> Vec<String> {
    let golden: Vec<String> = formats_of_others().map(golden).collect();
    let lines = golden.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with('{'));
    lines.chain([NATIVE]).map(str::to_owned).collect()
}

/// Any JSON, with the words that the redactor looks for.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "password", "Bearer ", "eyJ", "://a:b@c", "token", "\\u0070", "sk-"
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A field of `record`, or a field of an object in it.
fn place(record: &mut serde_json::Value, mut at: usize) -> &mut serde_json::Value {
    let mut value = record;
    loop {
        let count = value.as_object().map_or(0, serde_json::Map::len);
        if count == 0 {
            return value;
        }
        let fields = value.as_object_mut().unwrap();
        value = fields.values_mut().nth(at % count).unwrap();
        at /= count;
        if at.is_multiple_of(2) {
            return value;
        }
    }
}

proptest! {
    #[test]
    fn a_record_with_any_json_in_a_field_is_an_event_or_a_reject_and_always_the_same(
        line in 0_usize..200, at in 0_usize..10_000, more in any_json(), field in any_json(),
    ) {
        let lines = every_record();
        let mut record: serde_json::Value = serde_json::from_str(&lines[line % lines.len()]).unwrap();
        record["more"] = more;
        *place(&mut record, at) = field;
        let bytes = record.to_string().into_bytes();
        for format in Format::ALL {
            let once = read(*format, Some(&bytes));
            prop_assert_eq!(once, read(*format, Some(&bytes)));
        }
    }

    #[test]
    fn any_bytes_are_an_event_or_a_reject(bytes: Vec<u8>) {
        for format in Format::ALL {
            let reject = read(*format, Some(&bytes)).unwrap_err();
            prop_assert_eq!(reject.raw_bytes, bytes.len() as u64);
        }
    }

    #[test]
    fn a_record_with_a_flipped_byte_is_an_event_or_a_reject(line in 0_usize..200, at: usize, byte: u8) {
        let lines = every_record();
        let mut bytes = lines[line % lines.len()].as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= byte;
        for format in Format::ALL {
            let once = read(*format, Some(&bytes));
            prop_assert_eq!(once, read(*format, Some(&bytes)));
        }
    }
}
