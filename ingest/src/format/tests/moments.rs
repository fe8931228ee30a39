//! Which times can be true.

use super::*;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn read_at(
    format: Format,
    json: &str,
    record_time: Option<&str>,
) -> Result<CredentialEvent, Reject> {
    let topic = Topic::new("uses");
    let record_time = record_time.map(time);
    let record = RawRecord { record_time, ..record(&topic, Some(json.as_bytes())) };
    normaliser(format).normalise_one(&record, Timestamp::EPOCH)
}

fn native_of(told: &str) -> String {
    let known = native(NATIVE).unwrap().time.to_string();
    let date = &known[..10];
    let start = NATIVE.find(date).unwrap();
    let end = start + NATIVE[start..].find('"').unwrap();
    format!("{}{told}{}", &NATIVE[..start], &NATIVE[end..])
}

#[test]
fn a_time_is_possible_from_ten_years_before_to_a_day_after_that_of_its_record() {
    for (told, in_kafka, is_possible) in [
        ("2026-03-02T10:00:00Z", Some("2026-03-02T10:00:01Z"), true),
        ("2026-03-03T10:00:00Z", Some("2026-03-02T10:00:00Z"), true),
        ("2026-03-03T10:00:00.000001Z", Some("2026-03-02T10:00:00Z"), false),
        ("2016-03-01T10:00:00Z", Some("2026-03-02T10:00:00Z"), true),
        ("2016-02-28T10:00:00Z", Some("2026-03-02T10:00:00Z"), false),
        ("2062-03-02T10:00:00Z", Some("2026-03-02T10:00:00Z"), false),
        ("1990-01-01T00:00:00Z", None, true),
        ("1989-12-31T23:59:59Z", None, false),
        ("2099-12-31T23:59:59Z", None, true),
        ("2100-01-01T00:00:00Z", None, false),
        // A producer that sets no time sends 0, which bounds nothing.
        ("2026-03-02T10:00:00Z", Some("1970-01-01T00:00:00Z"), true),
        ("1970-01-02T00:00:00Z", Some("1970-01-01T00:00:00Z"), false),
    ] {
        let read = read_at(Format::Native, &native_of(told), in_kafka);
        assert_eq!(read.is_ok(), is_possible, "{told} {in_kafka:?}: {read:?}");
    }
}

#[test]
fn the_reject_names_the_field_what_was_wanted_and_what_was_found() {
    let in_kafka = Some("2026-03-02T10:00:00Z");
    let wanted = "wanted a time from 10 years before to 1 day after the record's in Kafka, 2026-03-02, found 2062-03-02";
    let kubernetes = r#"{"verb":"get","user":{"username":"a"},"objectRef":{"resource":"pods"},
        "requestReceivedTimestamp":"2062-03-02T10:00:00Z"}"#;
    let trail =
        r#"{"eventTime":"2062-03-02T10:00:00Z","eventName":"a","userIdentity":{"arn":"a"}}"#;
    let okta =
        r#"{"published":"2062-03-02T10:00:00Z","uuid":"1","eventType":"a","actor":{"id":"jo"}}"#;
    let envelope =
        format!(r#"{{"specversion":"1.0","id":"1","source":"okta","type":"okta","data":{okta}}}"#);
    for (format, json, field) in [
        (Format::Native, native_of("2062-03-02T10:00:00Z").as_str(), "time"),
        (Format::CloudTrail, trail, "eventTime"),
        (Format::Kubernetes, kubernetes, "requestReceivedTimestamp"),
        (Format::Okta, okta, "published"),
        (Format::CloudEvents, &envelope, "published"),
    ] {
        let reject = read_at(format, json, in_kafka).unwrap_err();

        assert_eq!(reject.reason, RejectReason::BadField, "{format}");
        assert_eq!(reject.detail, format!("`{field}`: {wanted}"));
    }
    let reject = native(&native_of("2150-01-01T00:00:00Z")).unwrap_err();
    assert_eq!(reject.detail, "`time`: wanted a time in the years 1990 to 2099, found 2150-01-01");
}

#[test]
fn a_time_that_an_envelope_lends_is_bounded_too() {
    let okta = r#"{"uuid":"1","eventType":"a","actor":{"id":"jo"}}"#;
    let json = format!(
        r#"{{"specversion":"1.0","id":"1","source":"okta","type":"okta","time":"2062-03-02T10:00:00Z","data":{okta}}}"#
    );
    let reject = read_at(Format::CloudEvents, &json, Some("2026-03-02T10:00:00Z")).unwrap_err();
    assert!(reject.detail.starts_with("`time`: wanted a time from 10 years"), "{}", reject.detail);

    let json = r#"{"verb":"get","user":{"username":"a"},"objectRef":{"resource":"pods"}}"#;
    let reject = read_at(Format::Kubernetes, json, Some("1970-01-01T00:00:00Z")).unwrap_err();
    assert_eq!(
        reject.detail,
        "wanted field `requestReceivedTimestamp`, found none, and Kafka's time is 1970-01-01"
    );
}
