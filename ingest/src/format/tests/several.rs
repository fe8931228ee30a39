//! Several records in one: each is what it is alone, and what is wrong with one is wrong with no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wrapped::gzip;
use super::*;
use crate::format::batch::PARTS_MAX;

/// What stands in a record: one outcome, or more.
fn all(format: Format, payload: &str) -> Vec<Read> {
    outcomes(format, payload.as_bytes(), Part::FIRST)
}

/// What a text is as the part of this number.
fn alone(format: Format, text: &str, part: usize) -> Read {
    let part = Part(u16::try_from(part).unwrap());
    let [outcome] = outcomes(format, text.as_bytes(), part).try_into().unwrap();
    outcome
}

/// What can be compared wherever it stood.
fn compared(outcome: &Read) -> (Option<Value>, Option<(RejectReason, String)>) {
    match outcome {
        Ok(event) => (Some(told(event)), None),
        Err(reject) => (None, Some((reject.reason, reject.detail.clone()))),
    }
}

fn event(number: usize) -> String {
    NATIVE.trim().replace("evt-7f3a91", &format!("evt-{number}")).replace('\n', " ")
}

#[test]
fn each_of_a_list_is_an_event_or_a_reject_of_its_own() {
    let bad = event(1).replace("\"success\"", "\"x\"");
    let list = format!("[{}, {bad},\n {}]", event(0), event(2));

    let parts = all(Format::Native, &list);

    let [Ok(first), Err(reject), Ok(last)] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!((first.event_id.as_str(), last.event_id.as_str()), ("evt-0", "evt-2"));
    assert_eq!(reject.position.to_string(), "uses/2@40.1");
    assert_eq!((reject.reason, reject.raw_bytes), (RejectReason::BadField, bad.len() as u64));
    assert_eq!(reject.raw, REDACTOR.raw(bad.as_bytes()), "its own bytes and no other's");
}

#[test]
fn ids_that_are_made_of_the_place_have_the_part_behind_them() {
    let record = r#"{"published":"2026-03-02T10:00:00Z","eventType":"a","actor":{"id":"jo"}}"#;

    let parts = all(Format::Okta, &format!("{record}\n{record}\n{record}\n"));
    let list = format!("[{record},{record},{record}]");

    for listed in
        [format!(r#"{{"audit_log":{list}}}"#), format!(r#"{{"data":{list},"meta":{{"total":3}}}}"#)]
    {
        assert_eq!(all(Format::Okta, &listed), parts);
    }
    let ids: Vec<&str> = parts.iter().map(|one| one.as_ref().unwrap().event_id.as_str()).collect();
    assert_eq!(ids, ["uses-2-40", "uses-2-40.1", "uses-2-40.2"]);
}

#[test]
fn messages_of_pubsub_are_pulled_as_they_are_pushed() {
    let text = golden(Format::CloudEvents);
    let pushed = text.lines().rfind(|line| line.starts_with("{\"message\"")).unwrap();
    let delivery: Value = serde_json::from_str(pushed).unwrap();
    let pulled = json!({"receivedMessages": [{"ackId": "1", "message": delivery["message"]}]});

    let wanted = all(Format::CloudEvents, pushed);

    assert!(wanted[0].is_ok());
    let found = all(Format::CloudEvents, &pulled.to_string());
    assert_eq!(
        found.iter().map(compared).collect::<Vec<_>>(),
        wanted.iter().map(compared).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_wrong_with_one_is_wrong_with_no_other() {
    let good = event(0);
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let long = format!("\"x\":\"{}\"", "x".repeat(RECORD_BYTES_MAX));
    let with = |field: &str| good.replacen('{', &format!("{{{field},"), 1);
    for (bad, reason) in [
        (with(&format!("\"x\":{deep}")), RejectReason::TooDeep),
        (with(&long), RejectReason::TooLarge),
        (with("\"a\":{\"b\":1,\"b\":2},\"agent_id\":\"y\""), RejectReason::DuplicateField),
        ("[]".to_owned(), RejectReason::BadField),
        ("7".to_owned(), RejectReason::BadField),
        (format!("[[[[[{good}]]]]]"), RejectReason::NotJson),
    ] {
        for batch in [
            format!("[{good},{bad},{good}]"),
            format!("{good}\n{bad}\n{good}"),
            format!("[[{good},{bad}],{good}]"),
        ] {
            let parts = all(Format::Native, &batch);
            let [Ok(_), Err(reject), Ok(_)] = &parts[..] else { panic!("{reason}: {parts:?}") };
            assert_eq!(reject.reason, reason, "{}", reject.detail);
        }
    }
    let parts = all(Format::Native, &format!("{good}\n{}\n\n{good}\n", &good[..40]));
    let [Ok(_), Err(reject), Ok(_)] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(reject.reason, RejectReason::NotJson, "a line that is cut off");
}

#[test]
fn what_is_no_batch_stays_one() {
    let lines = event(0).replace("\"success\"", "\"x\"").replace(", ", ",\n");
    for (text, detail) in [
        (lines.as_str(), "`outcome`: wanted one of `success`"),
        ("[]", "wanted one record in `the list`, found none"),
        (r#"{"Records":[]}"#, "wanted one record in `Records`, found none"),
        (r#"{"note":"x","items":[{"a":1},{"b":2}]}"#, "wanted field `schema`"),
        (r#"{"names":["a","b"],"events":["a","b"]}"#, "wanted field `schema`"),
        // It does not show itself as an envelope, and there is no event in it.
        (r#"{"note":"x","data":{"events":[{"a":1},{"b":2}]}}"#, "wanted field `schema`"),
        (r#"{"Records":[{"a":1},{"b":2}],"Records":[]}"#, "wanted each field once"),
    ] {
        let parts = all(Format::Native, text);
        let [Err(reject)] = &parts[..] else { panic!("{text}: {parts:?}") };
        assert!(reject.detail.starts_with(detail), "{text}: {}", reject.detail);
        assert_eq!(reject.position.part, Part::FIRST);
    }
    let found = format!(r#"{{"note":"x","data":{{"events":[{},{{}}]}}}}"#, event(0));
    assert_eq!(all(Format::Native, &found).len(), 2, "there is an event in it");
}

#[test]
fn a_record_has_bounds_whatever_it_holds() {
    let too_many = format!("[{}]", vec!["{}"; PARTS_MAX + 1].join(","));
    let nested = format!("[{0},{0},{{}}]", format!("[{}]", vec!["{}"; PARTS_MAX / 2].join(",")));
    let too_large = format!("[{}]", "{}\n".repeat(BATCH_BYTES_MAX));
    let one = format!("{{\"schema\":\"{}\"}}", "x".repeat(2 * RECORD_BYTES_MAX));
    let bomb = STANDARD.encode(gzip(&vec![b'{'; BATCH_BYTES_MAX - 1]));
    let bombs = vec![json!({"kinesis": {"data": bomb}}); 40];
    for (text, reason, detail) in [
        (too_many, RejectReason::SeveralRecords, "wanted at most 8192 records in one, found 8193"),
        (nested, RejectReason::SeveralRecords, "wanted at most 8192 records in one, found 8193"),
        (too_large, RejectReason::TooLarge, "wanted at most 1048576 bytes"),
        (one, RejectReason::TooLarge, "wanted at most 262144 bytes"),
        (json!({ "Records": bombs }).to_string(), RejectReason::TooLarge, "when taken apart"),
    ] {
        let parts = all(Format::Native, &text);
        let [Err(reject)] = &parts[..] else { panic!("{reason}: {}", parts.len()) };
        assert_eq!(reject.reason, reason, "{}", reject.detail);
        assert!(reject.detail.contains(detail), "{}", reject.detail);
        assert_eq!(reject.raw_bytes, text.len() as u64);
    }
    let most = format!("[{}]", vec!["{}"; PARTS_MAX].join(","));
    assert_eq!(all(Format::Native, &most).len(), PARTS_MAX);
    let large: Vec<String> = (0..900).map(event).collect();
    let large = large.join("\n");
    assert!(
        3 * RECORD_BYTES_MAX < 2 * large.len() && large.len() < BATCH_BYTES_MAX,
        "{}",
        large.len()
    );
    for bytes in [large.as_bytes().to_vec(), gzip(large.as_bytes())] {
        let parts = outcomes(Format::Native, &bytes, Part::FIRST);
        assert_eq!(parts.iter().filter(|part| part.is_ok()).count(), 900);
    }
}

#[test]
fn a_part_that_is_read_again_is_one_or_a_reject() {
    let payload = format!("[{},{}]", event(0), event(1));
    let topic = Topic::new("uses");
    let record = RawRecord {
        topic: &topic,
        partition: KafkaPartition(2),
        offset: Offset(40),
        part: Part(3),
        record_time: None,
        payload: Some(payload.as_bytes()),
    };

    let again = normaliser(Format::Native).normalise(&record, Timestamp::EPOCH).unwrap_err();

    let NotOne::Reject(reject) = again else { panic!("{again:?}") };
    assert_eq!(reject.detail, "wanted one record, found 2");
    assert_eq!(reject.position, record.position());
    let one = normaliser(Format::Native).normalise_one(&record, Timestamp::EPOCH).unwrap_err();
    assert_eq!(one.reason, RejectReason::SeveralRecords);
}

#[test]
fn no_part_hides_a_secret_or_tells_that_of_another() {
    let token = ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat();
    let good = event(0).replace("4400", &token);
    let bad = good.replace("\"success\"", "\"x\"");
    for batch in [
        format!("[{good},{bad}]"),
        format!("{good}\n{bad}"),
        json!({"logEvents": [{"id": "1", "timestamp": 1, "message": good}, {"id": "2", "timestamp": 1, "message": bad}], "messageType": "DATA_MESSAGE"}).to_string(),
    ] {
        let parts = all(Format::Native, &batch);
        let [Ok(event), Err(reject)] = &parts[..] else { panic!("{parts:?}") };
        assert!(!format!("{event:?}").contains(&token[..8]) && format!("{event:?}").contains("fp:"));
        assert!(!String::from_utf8_lossy(&reject.raw).contains(&token[..8]), "{reject:?}");
    }
}

fn span(id: &str, parent: &str, attributes: &[(&str, &str)]) -> Value {
    let attributes = attributes.iter();
    let attributes =
        attributes.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
    json!({"traceId": "t", "spanId": id, "parentSpanId": parent, "startTimeUnixNano": "1772445600000000000",
        "attributes": attributes.collect::<Vec<_>>()})
}

fn request(service: &str, spans: &[Value]) -> Value {
    let service = json!([{"key": "service.name", "value": {"stringValue": service}}]);
    json!({"resource": {"attributes": service}, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]})
}

#[test]
fn each_span_of_a_request_has_its_resource_and_what_the_spans_around_it_lend() {
    let agent = [("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.id", "planner")];
    let tool = [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "pay")];
    let export = json!({"resourceSpans": [
        request("buyer", &[span("a", "", &agent), span("b", "a", &[("k", "v")]), span("c", "b", &tool)]),
        request("seller", &[span("d", "e", &tool), span("e", "d", &[("user.id", "jo")])]),
    ]});

    let parts = all(Format::Otel, &export.to_string());

    let names = |outcome: &Read| match outcome {
        Ok(event) => {
            let service = event.attributes.get("service").unwrap().to_owned();
            let behind: Vec<String> = event.delegation.iter().map(ToString::to_string).collect();
            format!("{} {} {service} {}", event.event_id, event.agent_id, behind.join(","))
        }
        Err(reject) => reject.detail.clone(),
    };
    let found: Vec<String> = parts.iter().map(names).collect();
    let none = "wanted field `gen_ai.operation.name`, found none";
    // Spans that are around each other end too.
    let wanted = ["t:a planner buyer ", none, "t:c planner buyer ", "t:d seller seller jo", none];
    assert_eq!(found, wanted);
    assert!(parts[2].as_ref().unwrap().attributes.get("suretyAround").is_none());
}

#[test]
fn a_trace_of_jaeger_with_one_span_is_read_with_its_process() {
    let tags = json!([{"key": "gen_ai.tool.name", "type": "string", "value": "pay"}]);
    let span = json!({"traceID": "t", "spanID": "a", "operationName": "execute_tool pay", "tags": tags,
        "startTime": 1_772_445_600_000_000_i64, "processID": "p1"});
    let answer = json!({"data": [{"traceID": "t", "spans": [span],
        "processes": {"p1": {"serviceName": "buyer", "tags": []}}}], "total": 0});

    let parts = all(Format::Otel, &answer.to_string());

    let [Ok(event)] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!((event.agent_id.as_str(), event.action.as_str()), ("buyer", "execute_tool:pay"));
}

#[test]
fn a_span_that_was_refused_can_be_read_again_without_the_others() {
    let agent = [("gen_ai.agent.id", "planner"), ("credential.id", "key-7")];
    let mut call = span("c", "a", &[("gen_ai.operation.name", "execute_tool")]);
    call["startTimeUnixNano"] = "1".into();
    let export = json!({"resourceSpans": [request("buyer", &[span("a", "", &agent), call])]});

    let parts = all(Format::Otel, &export.to_string());

    let Err(reject) = &parts[1] else { panic!("{parts:?}") };
    assert!(reject.detail.contains("in the years 1990 to 2099"), "{}", reject.detail);
    let fixed = String::from_utf8(reject.raw.clone()).unwrap();
    let fixed =
        fixed.replace("\"startTimeUnixNano\":\"1\"", "\"startTimeUnixNano\":\"1772445600\"");
    let event = alone(Format::Otel, &fixed, 1).unwrap();
    assert_eq!((event.agent_id.as_str(), event.credential_id.as_str()), ("planner", "key-7"));
    assert_eq!(event.attributes.get("service"), Some("buyer"));
}

#[test]
fn a_span_inside_another_format_is_one() {
    let spans = [span("a", "", &[]), span("b", "", &[])];
    let event = json!({"specversion": "1.0", "id": "1", "source": "opentelemetry", "type": "x",
        "data": {"resourceSpans": [request("buyer", &spans)]}});

    let reject = read(Format::CloudEvents, Some(event.to_string().as_bytes())).unwrap_err();

    assert_eq!(reject.reason, RejectReason::SeveralRecords);
    assert_eq!(reject.detail, "wanted one span, found 2");
}

/// Ways to put several into one record, by name; the bytes of a part are its own in the first three.
fn batches(parts: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    let list = format!("[{}]", parts.join(", "));
    let lines: Vec<Value> =
        parts.iter().map(|part| json!({"id": "1", "timestamp": 1, "message": part})).collect();
    let subscription = json!({"messageType": "DATA_MESSAGE", "logEvents": lines}).to_string();
    let zipped = STANDARD.encode(gzip(subscription.as_bytes()));
    let pulled: Vec<Value> = parts
        .iter()
        .map(|part| json!({"ackId": "1", "message": {"data": STANDARD.encode(part)}}))
        .collect();
    vec![
        ("list", list.clone().into_bytes()),
        ("one after the other", parts.join("\n").into_bytes()),
        ("records", format!("{{\"records\":{list}}}").into_bytes()),
        ("zipped", gzip(format!("{{\"Records\":{list}}}").as_bytes())),
        ("CloudWatch Logs", subscription.into_bytes()),
        ("CloudWatch Logs over Kinesis", json!({"kinesis": {"data": zipped}}).to_string().into()),
        ("Pub/Sub, pulled", json!({ "receivedMessages": pulled }).to_string().into()),
        (
            "SNS",
            json!({"TopicArn": "arn:x", "Message": format!("{{\"Records\":{list}}}")})
                .to_string()
                .into(),
        ),
    ]
}

/// Golden records that hold one, as they are alone.
fn ones(format: Format) -> Vec<String> {
    let text = if format == Format::Native { event(0) } else { golden(format) };
    let is_one = |line: &&str| match &all(format, line)[..] {
        [Err(reject)] => reject.reason != RejectReason::SeveralRecords,
        outcomes => outcomes.len() == 1,
    };
    text.lines().filter(is_one).map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn several_in_one_are_what_each_is_alone(
        format in prop::sample::select(Format::ALL), picks in prop::collection::vec(any::<prop::sample::Index>(), 2..9),
    ) {
        let ones = ones(format);
        let parts: Vec<String> = picks.iter().map(|pick| pick.get(&ones).clone()).collect();
        let wanted: Vec<Read> =
            parts.iter().enumerate().map(|(part, text)| alone(format, text, part)).collect();
        for (number, (name, batch)) in batches(&parts).into_iter().enumerate() {
            let found = outcomes(format, &batch, Part::FIRST);
            if number < 3 {
                prop_assert_eq!(&found, &wanted, "{} in {}", format, name);
                continue;
            }
            let found: Vec<_> = found.iter().map(compared).collect();
            let wanted: Vec<_> = wanted.iter().map(compared).collect();
            prop_assert_eq!(found, wanted, "{} in {}", format, name);
        }
    }

    #[test]
    fn any_bytes_in_a_batch_are_events_and_rejects_and_always_the_same(
        format in prop::sample::select(Format::ALL), picks in prop::collection::vec(any::<prop::sample::Index>(), 2..5),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let ones = ones(format);
        let parts: Vec<String> = picks.iter().map(|pick| pick.get(&ones).clone()).collect();
        for (_, mut batch) in batches(&parts) {
            for (at, byte) in &flips {
                let at = at.index(batch.len());
                batch[at] = *byte;
            }
            let found = outcomes(format, &batch, Part::FIRST);
            prop_assert!(!found.is_empty());
            prop_assert_eq!(&found, &outcomes(format, &batch, Part::FIRST));
            for (part, outcome) in (0..).zip(&found) {
                if let Err(reject) = outcome {
                    prop_assert_eq!(reject.position.part, Part(part));
                }
            }
        }
    }
}
