//! Records in what others put around them: the event is the same, whatever that is.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn framed(id: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), bytes].concat()
}

/// A record of each format that is an event.
fn events() -> impl Iterator<Item = (Format, String)> {
    let native: Value = serde_json::from_str(NATIVE).unwrap();
    let others = formats_of_others().flat_map(|format| {
        let text = golden(format);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.into_iter().map(move |line| (format, line))
    });
    let all = others.chain([(Format::Native, native.to_string())]);
    all.filter(|(format, line)| read(*format, Some(line.as_bytes())).is_ok())
}

#[test]
fn a_line_of_pairs_is_a_record_of_a_gateway_and_of_nobody_else() {
    let line = "2026-03-02T10:00:00.000000Z\tinfo\trequest gateway=default/default route=r src.addr=192.0.2.7:5 \
        http.method=POST http.status=403 jwt.sub=buyer protocol=mcp mcp.method.name=tools/call \
        mcp.target=erp gen_ai.tool.name=pay mcp.session.id=ses-1 error=\"not allowed\" duration=4ms";

    let event = read(Format::Mcp, Some(line.as_bytes())).unwrap();

    assert_eq!(event.agent_id.as_str(), "buyer");
    assert_eq!((event.action.as_str(), event.outcome), ("erp:pay", Outcome::Denied));
    assert_eq!(event.time.to_string(), "2026-03-02T10:00:00.000000Z");
    assert_eq!(
        read(Format::Okta, Some(line.as_bytes())).unwrap_err().reason,
        RejectReason::NotJson
    );
}

#[test]
fn the_bytes_around_a_record_change_nothing() {
    let mut count = 0;
    for (format, line) in events() {
        let plain = told(&read(format, Some(line.as_bytes())).unwrap());
        let line = line.as_bytes();
        let mark = [0xef, 0xbb, 0xbf];
        for bytes in [
            [line, b"\r\n"].concat(),
            [b"\n \t", line].concat(),
            [&mark, line].concat(),
            framed(7, line),
            [&[1], &[9; 16][..], line].concat(),
            gzip(line),
            zstd(line),
            framed(7, &gzip(line)),
            gzip(&[&mark, line].concat()),
            [gzip(&line[..5]), gzip(&line[5..])].concat(),
        ] {
            let event =
                read(format, Some(&bytes)).unwrap_or_else(|e| panic!("{format} {bytes:?}: {e:?}"));
            assert_eq!(told(&event), plain, "{format}");
            count += 1;
        }
    }
    assert!(500 < count, "{count}");
}

#[test]
fn a_text_before_a_record_changes_nothing() {
    let mut count = 0;
    for (format, line) in events().filter(|(_, line)| line.starts_with('{')) {
        let plain = told(&read(format, Some(line.as_bytes())).unwrap());
        for prefix in [
            "<134>1 2026-03-02T10:00:00Z host app - - - ",
            "@cee: ",
            "2026-03-02T10:00:00Z stdout F ",
        ] {
            let event = read(format, Some(format!("{prefix}{line}").as_bytes()));
            assert_eq!(told(&event.unwrap()), plain, "{format}");
            count += 1;
        }
    }
    assert!(500 < count, "{count}");
    for text in ["x\n{\"b\":1}", r#"x {"b":1} y"#, "x {\"b\":}"] {
        let reject = read(Format::Native, Some(text.as_bytes())).unwrap_err();
        assert_eq!(reject.reason, RejectReason::NotJson, "{text}");
    }
}

/// The envelopes around a record, by name: those that show themselves first.
fn envelopes(record: &Value) -> Vec<(&'static str, Value)> {
    let mut all = known_envelopes(record);
    all.extend(more_envelopes(record));
    all
}

/// A record as Elastic's shippers send it, which tell all that they know of themselves.
fn shipped(name: &str, record: &Value) -> Value {
    let mut around = json!({
        "@timestamp": "2026-03-02T10:00:05.000Z", "@metadata": {"beat": "filebeat", "version": "8.11.0"},
        "event": {"id": "x", "module": "aws", "dataset": "aws.cloudtrail"}, "host": {"name": "h"},
        "log": {"file": {"path": "p"}, "offset": 0}, "input": {"type": "aws-s3"},
        "data_stream": {"type": "logs", "dataset": "aws.cloudtrail", "namespace": "default"},
        "elastic_agent": {"id": "x", "version": "8.11.0", "snapshot": false},
        "fileset": {"name": "cloudtrail"}, "service": {"type": "aws"}, "cloud": {"provider": "aws"},
        "aws": {"s3": {"bucket": {"name": "b"}}}, "ecs": {"version": "8.0.0"},
        "agent": {"type": "filebeat", "version": "8.11.0"}, "tags": ["forwarded"],
    });
    around[name] = record.clone();
    around
}

/// A message of Kafka as Lambda gets it.
fn lambda_of_kafka(base64: &str) -> Value {
    json!({"eventSource": "aws:kafka", "bootstrapServers": "b:9092", "records": {"t-0": [{
        "topic": "t", "partition": 0, "offset": 15, "timestamp": 1_772_445_600_000_i64,
        "timestampType": "CREATE_TIME", "value": base64, "headers": [{"k": [118]}]}]}})
}

fn more_envelopes(record: &Value) -> Vec<(&'static str, Value)> {
    let text = record.to_string();
    let base64 = STANDARD.encode(&text);
    vec![
        (
            "LookupEvents",
            json!({"EventId": "1", "EventName": "a", "ReadOnly": "true", "Username": "u", "CloudTrailEvent": text}),
        ),
        (
            "Pub/Sub, pulled",
            json!({"receivedMessages": [{"ackId": "1", "message": {"data": base64, "messageId": "1"}}]}),
        ),
        ("Elasticsearch", json!({"_index": "i", "_id": "1", "_source": record})),
        ("Splunk, exported", json!({"preview": false, "result": {"_raw": text, "_time": "1"}})),
        (
            "Debezium",
            json!({"schema": {"type": "struct"}, "payload": {"op": "c", "after": record}}),
        ),
        (
            "kcat",
            json!({"topic": "t", "partition": 0, "offset": 1, "tstype": "create", "ts": 1, "key": null, "payload": text}),
        ),
        ("a plain envelope", json!({"data": record})),
        (
            "CloudTrail Lake",
            json!({"eventVersion": "1", "metadata": {"channelARN": "c"}, "eventData": record}),
        ),
        (
            "Pub/Sub in the other alphabet",
            json!({"message": {"data": URL_SAFE_NO_PAD.encode(&text), "messageId": "1"}, "subscription": "s"}),
        ),
        ("Filebeat, whole", shipped("message", &json!(text))),
        ("Filebeat, parsed", shipped("json", record)),
        ("something else beside it", json!({"record": record, "log": {"level": "info"}})),
        (
            "Elastic's agent",
            json!({"@timestamp": "x", "event": {"kind": "event"}, "kubernetes": {"audit": record}}),
        ),
        ("Wazuh", json!({"integration": "github", "github": record})),
        (
            "an alert of Wazuh",
            json!({"rule": {"level": 5, "id": "91193"}, "data": {"integration": "okta", "okta": record}}),
        ),
        (
            "a row of DynamoDB",
            json!({"EventIndex": 0, "EventType": "x", "SessionID": "1", "Fields": "{}", "FieldsMap": record}),
        ),
    ]
}

fn known_envelopes(record: &Value) -> Vec<(&'static str, Value)> {
    let text = record.to_string();
    let base64 = STANDARD.encode(&text);
    let zipped = STANDARD.encode(gzip(text.as_bytes()));
    let line = json!({"id": "1", "timestamp": 1_772_445_600_000_i64, "message": text});
    let subscription = json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s",
        "subscriptionFilters": ["f"], "logEvents": [line]});
    let subscribed = STANDARD.encode(gzip(subscription.to_string().as_bytes()));
    let notice = json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:x", "Message": text,
        "Timestamp": "2026-03-02T10:00:00Z"});
    let bus = json!({"version": "0", "id": "1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
        "account": "1", "time": "2026-03-02T10:00:00Z", "region": "r", "resources": [], "detail": record});
    vec![
        ("list", json!([record])),
        ("text", json!(text)),
        ("Records", json!({"Records": [record]})),
        ("EventBridge", bus.clone()),
        (
            "EventBridge over SQS",
            json!({"Records": [{"messageId": "1", "body": bus.to_string(), "eventSource": "aws:sqs"}]}),
        ),
        ("CloudWatch Logs", subscription),
        ("CloudWatch Logs to Lambda", json!({"awslogs": {"data": subscribed}})),
        (
            "CloudWatch Logs over Kinesis",
            json!({"Records": [{"kinesis": {"data": subscribed}, "eventID": "1"}]}),
        ),
        (
            "Kinesis",
            json!({"kinesis": {"data": base64, "partitionKey": "1"}, "eventSource": "aws:kinesis"}),
        ),
        ("Kinesis, zipped", json!({"kinesis": {"data": zipped}})),
        ("Kafka to Lambda", lambda_of_kafka(&base64)),
        ("SNS", notice.clone()),
        ("SNS to Lambda", json!({"Records": [{"EventSource": "aws:sns", "Sns": notice}]})),
        ("Pub/Sub", json!({"message": {"data": base64, "messageId": "1"}, "subscription": "s"})),
        ("Kafka Connect", json!({"schema": {"type": "struct"}, "payload": record})),
        ("Kafka Connect, text", json!({"schema": {"type": "string"}, "payload": text})),
        ("Splunk", json!({"time": 1_772_445_600, "host": "h", "sourcetype": "x", "event": record})),
        (
            "Elastic",
            json!({"@timestamp": "2026-03-02T10:00:00Z", "event": {"original": text, "kind": "event"}}),
        ),
        (
            "Filebeat",
            json!({"@timestamp": "2026-03-02T10:00:00Z", "message": text, "log": {"offset": 1}}),
        ),
        ("Fluent Bit", json!({"log": text, "stream": "stdout"})),
        (
            "Event hook",
            json!({"eventType": "com.okta.event_hook", "eventId": "1", "data": {"events": [record]}}),
        ),
        ("Graph", json!({"@odata.context": "c", "value": [record]})),
        (
            "Azure diagnostics",
            json!({"category": "kube-audit", "properties": {"log": text, "stream": "stdout"}}),
        ),
        (
            "Azure diagnostics in Log Analytics",
            json!({"TimeGenerated": "2026-03-02T10:00:00Z", "Category": "kube-audit", "log_s": text}),
        ),
        (
            "a query of CloudWatch Logs",
            json!({"@timestamp": "2026-03-02 10:00:00.000", "@message": text}),
        ),
        ("a query of CloudWatch Logs, parsed", json!({"@message": record})),
        (
            "Azure diagnostics over Event Hubs",
            json!({"records": [{"category": "kube-audit", "properties": {"log": record}}]}),
        ),
    ]
}

#[test]
fn what_others_put_around_a_record_changes_nothing() {
    let mut count = 0;
    for (format, line) in events() {
        let record: Value = serde_json::from_str(&line).unwrap();
        // Printed by the same library as the envelopes, so that lists of objects look the same.
        let plain = told(&read(format, Some(record.to_string().as_bytes())).unwrap());
        for (name, envelope) in envelopes(&record) {
            let event = read(format, Some(envelope.to_string().as_bytes()));
            let event = event.unwrap_or_else(|e| panic!("{format} in {name}: {e:?}\n{envelope}"));
            assert_eq!(told(&event), plain, "{format} in {name}");
            count += 1;
        }
    }
    assert!(1_000 < count, "{count}");
}

/// A value as OTLP writes it.
fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(told) => json!({"boolValue": told}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(list) => {
            json!({"arrayValue": {"values": list.iter().map(any_value).collect::<Value>()}})
        }
        Value::Object(_) => json!({"kvlistValue": {"values": pairs_of(value)}}),
    }
}

fn pairs_of(object: &Value) -> Value {
    let fields = object.as_object().unwrap().iter();
    fields.map(|(name, value)| json!({"key": name, "value": any_value(value)})).collect()
}

fn logs(records: &Value) -> Value {
    json!({"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "x"}}]},
        "scopeLogs": [{"scope": {}, "logRecords": records}]}]})
}

#[test]
fn logs_of_a_collector_change_nothing_in_the_records_they_hold() {
    let mut count = 0;
    for (format, line) in events().filter(|(format, _)| *format != Format::Otel) {
        let record: Value = serde_json::from_str(&line).unwrap();
        if !record.is_object() {
            continue;
        }
        let text = record.to_string();
        let plain = told(&read(format, Some(text.as_bytes())).unwrap());
        let time = "1772445600123000000";
        let file = json!([{"key": "log.file.name", "value": {"stringValue": "x.log"}}]);
        for log in [
            json!({"timeUnixNano": time, "body": {"stringValue": text}, "attributes": file}),
            json!({"timeUnixNano": time, "body": any_value(&record), "attributes": file}),
            json!({"body": {}, "attributes": pairs_of(&record)}),
        ] {
            let event = read(format, Some(logs(&json!([log])).to_string().as_bytes()));
            let event = event.unwrap_or_else(|e| panic!("{format}: {e:?}\n{log}"));
            assert_eq!(told(&event), plain, "{format}\n{log}");
            count += 1;
        }
        let push = json!({"streams": [{"stream": {"app": "x"}, "values": [[time, text]]}]});
        let event = read(format, Some(push.to_string().as_bytes())).unwrap();
        assert_eq!(told(&event), plain, "{format} in Loki");
    }
    assert!(500 < count, "{count}");
}

#[test]
fn each_log_record_is_one_record_whatever_is_in_it() {
    let event = r#"{"mcp.method.name":"tools/call","jwt.sub":"jo","time":"2026-03-02T10:00:00Z"}"#;
    let attributes = json!([{"key": "mcp.method.name", "value": {"stringValue": "tools/list"}},
        {"key": "jwt.sub", "value": {"stringValue": "jo"}}]);
    let records = json!([{"body": {"stringValue": event}}, {"body": {"stringValue": "started"}},
        {"body": {"stringValue": "request"}, "timeUnixNano": "1772445601000000000", "attributes": attributes}]);

    let found = outcomes(Format::Mcp, logs(&records).to_string().as_bytes(), Part::FIRST);

    let actions = found.iter().map(|one| one.as_ref().ok().map(|event| event.action.as_str()));
    assert_eq!(actions.collect::<Vec<_>>(), [Some("tools/call"), None, Some("tools/list")]);
    let time = found[2].as_ref().unwrap().time.to_string();
    assert_eq!(time, "2026-03-02T10:00:01.000000Z");
    let none = read(Format::Mcp, Some(br#"{"resourceLogs":[]}"#)).unwrap_err();
    assert_eq!(none.detail, "wanted one record in `resourceLogs`, found none");
}

#[test]
fn what_holds_no_record_says_so() {
    let reject = read(Format::CloudTrail, Some(br#"{"Records":[]}"#)).unwrap_err();
    assert_eq!(reject.detail, "wanted one record in `Records`, found none");
    let control = br#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"x"}]}"#;
    let reject = read(Format::CloudTrail, Some(control)).unwrap_err();
    assert!(reject.detail.contains("control message"), "{}", reject.detail);
    for (notice, found) in [
        (
            json!({"s3Bucket": "b", "s3ObjectKey": ["x.json.gz"]}),
            "the notice that a file of S3 is there",
        ),
        (json!({"QueryResultRows": []}), "a page of the answer to a query"),
        (
            json!({"EventName": "GetObject", "UserIdentityArn": "arn:aws:iam::111122223333:user/a"}),
            "a row of a table with the identity in columns of their own",
        ),
    ] {
        let notice = json!({"TopicArn": "t", "Message": notice.to_string()}).to_string();
        let reject = read(Format::CloudTrail, Some(notice.as_bytes())).unwrap_err();
        assert_eq!(reject.detail, format!("wanted a record, found {found}"));
    }
    let text = json!({"message": json!([{"a": 1}]).to_string()}).to_string();
    let reject = read(Format::Native, Some(text.as_bytes())).unwrap_err();
    assert_eq!(reject.detail, "wanted field `schema`, found none");
}

#[test]
fn what_is_wrong_inside_is_what_is_told() {
    let inner = json!({"eventTime": "2026-03-02T10:00:00Z", "eventName": "a"});
    for (_, envelope) in envelopes(&inner).into_iter().take(16) {
        let reject = read(Format::CloudTrail, Some(envelope.to_string().as_bytes())).unwrap_err();
        assert_eq!(reject.detail, "wanted an identity in `userIdentity`, found none", "{envelope}");
    }
}

#[test]
fn several_are_taken_from_where_they_are_and_not_from_what_stands_before() {
    let native: Value = serde_json::from_str(NATIVE).unwrap();
    let lines = format!("{native}\n{native}");
    let record = shipped("message", &json!(lines));

    let found = outcomes(Format::Native, record.to_string().as_bytes(), Part::FIRST);

    assert_eq!(found.iter().filter(|one| one.is_ok()).count(), 2);
    let beside = json!({"event": {"entries": [{"a": 1}, {"a": 2}]}, "payload": native});
    assert!(read(Format::Native, Some(beside.to_string().as_bytes())).is_ok());
}

#[test]
fn an_encoding_that_is_not_read_is_named() {
    let avro = [&[0, 0, 0, 1, 4][..], &[0x02, 0x06, b'a', b'b', b'c']].concat();
    for (bytes, reason, detail) in [
        (
            avro,
            RejectReason::UnsupportedEncoding,
            "wanted JSON behind the schema id 260, or Avro and 260.avsc in `kafka.avro-schemas`",
        ),
        (
            b"Obj\x01rest".to_vec(),
            RejectReason::UnsupportedEncoding,
            "wanted JSON, found an Avro container",
        ),
        (
            vec![0x04, 0x22, 0x4d, 0x18, 0],
            RejectReason::UnsupportedEncoding,
            "wanted JSON, found LZ4",
        ),
        (vec![0xff, 0xfe, b'{', 0], RejectReason::UnsupportedEncoding, "wanted JSON, found UTF-16"),
        (
            gzip(NATIVE.as_bytes())[..40].to_vec(),
            RejectReason::UnsupportedEncoding,
            "wanted gzip to its end, found it broken",
        ),
        (
            gzip(&vec![b' '; 10 << 20]),
            RejectReason::TooLarge,
            "wanted at most 1048576 bytes, found more inside gzip",
        ),
        (
            zstd(&vec![b' '; 10 << 20]),
            RejectReason::TooLarge,
            "wanted at most 1048576 bytes, found more inside zstd",
        ),
        (gzip(b""), RejectReason::Empty, "found no value"),
        (vec![0, 1, 2], RejectReason::NotJson, "wanted JSON"),
    ] {
        let reject = read(Format::Native, Some(&bytes)).unwrap_err();

        assert_eq!(reject.reason, reason, "{}", reject.detail);
        assert!(reject.detail.contains(detail), "wanted {detail}, found {}", reject.detail);
        assert_eq!(reject.raw_bytes, bytes.len() as u64);
    }
}

#[test]
fn no_compression_or_envelope_hides_a_secret() {
    let token = ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat();
    let good = NATIVE.replace("4400", &token);
    let bad = good.replace("\"success\"", "\"x\"");
    let wraps: [fn(&str) -> Vec<u8>; 5] = [
        |text| gzip(text.as_bytes()),
        |text| zstd(text.as_bytes()),
        |text| framed(1, &gzip(text.as_bytes())),
        |text| json!({"message": text}).to_string().into_bytes(),
        |text| {
            json!({"kinesis": {"data": STANDARD.encode(gzip(text.as_bytes()))}})
                .to_string()
                .into_bytes()
        },
    ];
    for wrap in wraps {
        let event = read(Format::Native, Some(&wrap(&good))).unwrap();
        let text = format!("{event:?}");
        assert!(!text.contains(&token[..8]) && text.contains("fp:"), "{text}");
        let reject = read(Format::Native, Some(&wrap(&bad))).unwrap_err();
        assert!(!String::from_utf8_lossy(&reject.raw).contains(&token[..8]), "{reject:?}");
    }
    // What a broken stream still tells is told without its secret.
    let broken = gzip(&[bad.as_bytes(), &[b'x'; 4_000]].concat());
    let reject = read(Format::Native, Some(&broken[..broken.len() - 8])).unwrap_err();
    assert!(!String::from_utf8_lossy(&reject.raw).contains(&token[..8]), "{reject:?}");
}

proptest! {
    #[test]
    fn any_bytes_in_any_frame_are_an_event_or_a_reject(bytes: Vec<u8>, cut: prop::sample::Index) {
        for wrapped in [framed(1, &bytes), gzip(&bytes), zstd(&bytes), [&[0xef, 0xbb, 0xbf], &bytes[..]].concat()] {
            let part = &wrapped[..cut.index(wrapped.len() + 1)];
            for payload in [&wrapped[..], part] {
                let reject = read(Format::Native, Some(payload)).unwrap_err();
                prop_assert_eq!(reject.raw_bytes, payload.len() as u64);
            }
        }
    }
}

#[test]
fn avro_of_a_known_schema_is_an_event_without_its_secret_and_what_is_broken_a_reject_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let schema = json!({"type": "record", "name": "Use", "fields": [
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "schema", "type": "string"},
        {"name": "agent_id", "type": "string"},
        {"name": "credential_id", "type": "string"},
        {"name": "credential_kind", "type": "string"},
        {"name": "action", "type": "string"},
        {"name": "outcome", "type": {"type": "enum", "name": "Outcome", "symbols": ["success", "denied"]}},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
    ]});
    std::fs::write(folder.path().join("260.avsc"), schema.to_string()).unwrap();
    let avro = Arc::new(AvroSchemas::read(folder.path()).unwrap());
    let reader = normaliser(Format::Native).with_avro(avro);
    let secret = ["gh", "p_", "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d"].concat();
    let mut payload = vec![0x80, 0xa4, 0xec, 0xdf, 0x95, 0x67];
    let text = |text: &str| [&[u8::try_from(2 * text.len()).unwrap()], text.as_bytes()].concat();
    for value in
        ["surety.credential_event.v1", "invoice-bot", "key-1", "static_key", "order.approve"]
    {
        payload.extend(text(value));
    }
    // The first symbol; one entry of the map, and its end.
    payload.extend([&[0, 2][..], &text("note"), &text(&secret), &[0]].concat());
    let read = |payload: &[u8]| {
        let topic = Topic::new("uses");
        reader.normalise_one(&record(&topic, Some(payload)), Timestamp::EPOCH)
    };

    let event = read(&framed(260, &payload)).unwrap();

    assert_eq!(event.agent_id.as_str(), "invoice-bot");
    assert_eq!(event.time.to_string(), "2026-03-02T10:00:00.000000Z");
    assert!(!format!("{event:?}").contains(&secret));
    let broken = read(&framed(260, &payload[..payload.len() - 1])).unwrap_err();
    assert_eq!(broken.reason, RejectReason::UnsupportedEncoding);
    assert!(broken.detail.contains("schema 260"), "{}", broken.detail);
    assert!(!format!("{broken:?}").contains(&secret));
}

/// As Google's agent reads what a container prints, and Elastic's the log of Vault.
#[test]
fn a_record_in_an_entry_of_an_agent_has_the_time_that_was_taken_out_of_it() {
    let mut inside = json!({
        "type": "response",
        "auth": {"entity_id": "ent-1", "accessor": "acc-1"},
        "request": {"id": "r-1", "operation": "update", "path": "transit/decrypt/erp"},
    });
    let at = "2026-03-02T10:01:00Z";
    let entry = |payload: &Value| {
        json!({"insertId": "i-1", "timestamp": at, "logName": "l", "jsonPayload": payload})
            .to_string()
    };
    let document = |audit: &Value| {
        json!({"@timestamp": at, "event": {"id": "r-1"}, "hashicorp_vault": {"audit": audit}})
            .to_string()
    };
    let time = |record: &str| {
        let [Ok(event)] = &outcomes(Format::Vault, record.as_bytes(), Part::FIRST)[..] else {
            panic!("{record}")
        };
        event.time.to_string()
    };

    for record in [entry(&inside), document(&inside)] {
        assert_eq!(time(&record), "2026-03-02T10:01:00.000000Z");
    }
    inside["time"] = json!("2026-03-02T09:00:00Z");
    for record in [entry(&inside), document(&inside)] {
        assert_eq!(time(&record), "2026-03-02T09:00:00.000000Z", "its own");
    }
}

/// An event of OCSF, and the same as attributes of a line, one for each of its fields.
fn of_ocsf() -> (Value, Value) {
    let event = json!({
        "class_uid": 3004, "activity_id": 1, "type_uid": 300_401, "status_id": 1,
        "time": 1_772_445_600_000_i64,
        "entity": {"type": "workspace", "name": "audit"},
        "actor": {"user": {"name": "client", "uid": "client"}},
        "metadata": {"version": "1.7.0", "uid": "oc-1"},
    });
    let fields = json!({
        "ocsf.class_uid": "3004", "ocsf.activity_id": "1", "ocsf.type_uid": "300401",
        "ocsf.status_id": "1", "ocsf.time": "1772445600000",
        "ocsf.entity.type": "workspace", "ocsf.entity.name": "audit",
        "ocsf.actor.user.name": "client", "ocsf.actor.user.uid": "client",
        "ocsf.metadata.version": "1.7.0", "ocsf.metadata.uid": "oc-1",
    });
    (event, fields)
}

#[test]
fn an_event_of_ocsf_is_found_in_the_attributes_of_a_line() {
    let (event, mut fields) = of_ocsf();
    let plain = told(&read(Format::Ocsf, Some(event.to_string().as_bytes())).unwrap());
    assert_eq!(plain["resource"], "audit");
    let raw = json!({"ocsf.raw": event.to_string(), "ocsf.severity_id": "1", "log.source": "x"});
    fields["log.source"] = "x".into();

    for attributes in [&raw, &fields] {
        let found = read(Format::Ocsf, Some(attributes.to_string().as_bytes())).unwrap();
        assert_eq!(told(&found), plain);
        for body in ["ENTITY:CREATE workspace by client", "ENTITY:CREATE name=audit {}"] {
            let records = json!([{
                "timeUnixNano": "1787201025635000000",
                "body": {"stringValue": body},
                "attributes": pairs_of(attributes),
            }]);
            let found = read(Format::Ocsf, Some(logs(&records).to_string().as_bytes())).unwrap();
            assert_eq!(told(&found), plain, "{body}");
        }
    }
    let deep = json!({"ocsf.class_uid": 3004, format!("ocsf{}", ".x".repeat(20_000)): 1});
    read(Format::Ocsf, Some(deep.to_string().as_bytes())).unwrap_err();
}

#[test]
fn an_event_of_ocsf_in_a_row_of_asim_has_what_the_row_tells_beside_it() {
    let ocsf = json!({
        "class_uid": 3002, "type_uid": 300_201, "time": 1_770_064_179_611_i64,
        "actor": {"user": {"credential_uid": "credential-789", "email_addr": "user@example.com"}},
        "src_endpoint": {"name": "laptop"},
    });
    let row = |rest: Value| {
        json!({
            "EventSchema": "Authentication", "EventResult": "Failure",
            "EventResultDetails": "Incorrect password", "SrcIpAddr": "192.0.2.15",
            "EventVendor": "Example", "ActorUsername": "user", "AdditionalFields": rest,
            "TimeGenerated": "2026-02-02T20:29:39.611Z",
        })
    };

    for rest in [json!({"OCSF": ocsf}), json!({"OCSF": ocsf}).to_string().into()] {
        let event = read(Format::Ocsf, Some(row(rest).to_string().as_bytes())).unwrap();

        assert_eq!(event.agent_id.as_str(), "user@example.com");
        assert_eq!(event.source_ip.unwrap().to_string(), "192.0.2.15");
        assert_eq!(event.outcome, Outcome::Denied);
        assert_eq!(event.outcome_reason.as_deref(), Some("Incorrect password"));
    }
    let other = row(json!({"OCSF": {"class_uid": 6004, "time": 1_770_064_179_611_i64}}));
    let reject = read(Format::Ocsf, Some(other.to_string().as_bytes())).unwrap_err();
    assert!(reject.detail.ends_with("found 6004"), "{}", reject.detail);
}
