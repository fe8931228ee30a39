//! Rows and back, for every table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use arrow::array::AsArray as _;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use schemas::{
    Amount, Attributes, CredentialEvent, CredentialKind, Currency, DetectorKind, Fact,
    FeatureShare, Finding, Format, KafkaPartition, Maturity, MaturityLevel, Offset, Outcome, Part,
    Position, RegistryChange, RegistrySchema, Reject, RejectReason, Severity, SponsorId,
    StampedEvent, Table, Timestamp, Topic, TraceStatus,
};

use super::*;
use crate::fixtures::{P0, at, event, now, position};

fn id<T>() -> impl Strategy<Value = T> + use<T>
where
    T: TryFrom<String, Error: std::fmt::Debug> + std::fmt::Debug,
{
    "[!-~ü]{1,40}".prop_map(|text| T::try_from(text).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    ".{0,30}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_micros()).prop_map(|micros| Timestamp::from_micros(micros).unwrap())
}

fn amount() -> impl Strategy<Value = Amount> {
    let cents_max = 999_999_999_999_999_999_i64;
    (-cents_max..=cents_max).prop_map(|cents| Amount::from_cents(cents).unwrap())
}

fn any_position() -> impl Strategy<Value = Position> {
    let part = prop_oneof![Just(Part::FIRST), any::<u16>().prop_map(Part)];
    let place = (select(vec!["a", "b.c"]), any::<i32>(), 0..i64::MAX, part);
    place.prop_map(|(topic, partition, offset, part)| {
        let (partition, offset) = (KafkaPartition(partition), Offset(offset));
        Position { topic: Topic::new(topic), partition, offset, part }
    })
}

prop_compose! {
    /// Who and with what.
    fn identities()(
        agent_class in option::of(id()), agent_instance in option::of(text()),
        model in option::of(text()), session_id in option::of(id()), task_id in option::of(text()),
        grant_id in option::of(id()), credential_id in id(),
        credential_kind in select(CredentialKind::ALL),
    ) -> CredentialEvent {
        CredentialEvent {
            agent_class, agent_instance, model, session_id, task_id, grant_id, credential_id,
            credential_kind, ..event(P0, 1).event
        }
    }
}

prop_compose! {
    /// What and how it ended.
    fn any_event()(
        known in identities(),
        (event_id, agent_id, time) in (id(), id(), time()),
        (action, resource, resource_kind) in (text(), option::of(text()), option::of(text())),
        (counterparty_id, counterparty_kind) in (option::of(id()), option::of(text())),
        (amount, currency) in (option::of(amount()), option::of("[A-Z]{3}")),
        (outcome, outcome_reason) in (select(Outcome::ALL), option::of(text())),
        (source_ip, user_agent) in (option::of(any::<IpAddr>()), option::of(text())),
        (delegation, labels) in (vec(id(), 0..4), vec(text(), 0..4)),
        attributes in btree_map("[a-z]{1,8}", text(), 0..5),
        format in select(Format::ALL),
    ) -> CredentialEvent {
        let currency = currency.map(|code| Currency::try_from(code.as_str()).unwrap());
        let attributes = Attributes::try_from(attributes).unwrap();
        CredentialEvent {
            event_id, agent_id, time, action, resource, resource_kind, counterparty_id,
            counterparty_kind, amount, currency, outcome, outcome_reason, source_ip, user_agent,
            delegation, labels, attributes, format, ..known
        }
    }
}

prop_compose! {
    fn any_stamped()(
        event in any_event(), position in any_position(), ingested_at in time(),
        sponsor_id in option::of(id::<SponsorId>()), trace_status in select(TraceStatus::ALL),
        trace_confidence in 0.0_f32..=1.0, back in option::of((0..=i64::MAX, any::<u16>())),
    ) -> StampedEvent {
        let dup_of = back.map(|(back, part)| (Offset(position.offset.0 - back), Part(part)));
        let dup_of = dup_of.filter(|of| 0 <= of.0.0 && *of < (position.offset, position.part));
        StampedEvent {
            event, position, ingested_at, sponsor_id, trace_status, trace_confidence, dup_of,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_event_survives_being_a_row(events in vec(any_stamped(), 0..8)) {
        let mut rows = EventRows::default();
        for event in &events {
            rows.push(event);
        }
        prop_assert_eq!(rows.len(), events.len());

        let batch = rows.finish();

        prop_assert_eq!(decode_events(&batch).unwrap(), events);
        prop_assert!(rows.is_empty());
    }
}

#[test]
fn builders_with_the_room_of_other_rows_hold_none_of_them() {
    let (mut few, mut others) = (EventRows::with_capacity(1), EventRows::with_capacity(0));
    others.push(&event(P0, 7));
    let mut roomy = EventRows::like(&others.finish());
    for rows in [&mut few, &mut roomy] {
        rows.push(&event(P0, 1));
        rows.push(&event(P0, 2));
    }

    assert_eq!(roomy.finish(), few.finish());
}

#[test]
fn an_address_stands_in_its_row_as_it_is_printed() {
    let octets = 0..=u8::MAX;
    let addresses = octets.map(|one| IpAddr::from([one, one / 3, 255 - one, one % 7]));
    let addresses: Vec<IpAddr> =
        addresses.chain(["2001:db8::1", "::"].map(|text| text.parse().unwrap())).collect();
    let mut rows = EventRows::with_capacity(0);
    for address in &addresses {
        let mut one = event(P0, 1);
        one.event.source_ip = Some(*address);
        rows.push(&one);
    }
    let batch = rows.finish();

    let column = batch["source_ip"].as_string::<i32>();

    assert!(addresses.iter().map(ToString::to_string).eq(column.iter().flatten()), "{column:?}");
}

#[test]
fn a_row_stands_in_the_month_of_its_time() {
    let mut events = [event(P0, 0), event(P0, 1), event(P0, 2)];
    events[1].event.time = at("2026-02-28T23:59:59.999999Z");
    events[2].event.time = at("2026-03-01T00:00:00Z");

    let batch = crate::fixtures::rows(&events);

    let months = arrow::array::AsArray::as_string::<i32>(&batch["month"]);
    assert_eq!(months.iter().flatten().collect::<Vec<_>>(), ["2026-03", "2026-02", "2026-03"]);
}

#[test]
fn a_value_that_is_not_ours_names_its_column_and_row() {
    let mut columns = crate::fixtures::rows(&[event(P0, 0), event(P0, 1)]).columns().to_vec();
    let at = Table::Events.arrow_schema().index_of("outcome").unwrap();
    let words = arrow::array::StringArray::from(vec!["success", "perhaps"]);
    columns[at] = std::sync::Arc::new(words);
    let batch = columns::batch(Table::Events, columns);

    let error = decode_events(&batch).unwrap_err();

    assert_eq!(error.to_string(), "column outcome, row 1: found \"perhaps\"");
}

#[test]
fn every_reject_survives_being_a_row() {
    let reject = Reject {
        position: position(P0, 9),
        record_time: None,
        rejected_at: now(),
        format: Format::CloudTrail,
        reason: RejectReason::NotUtf8,
        detail: "wanted UTF-8, found 0xff at byte 3".to_owned(),
        raw: vec![b'{', 0xff, 0],
        raw_bytes: 70_000,
    };
    let timed = Reject { record_time: Some(at("2026-03-01T00:00:00Z")), ..reject.clone() };
    let mut rows = RejectRows::default();
    rows.push(&reject);
    rows.push(&timed);

    assert_eq!(decode_rejects(&rows.finish()).unwrap(), [reject, timed]);
}

fn finding() -> Finding {
    let StampedEvent { event, position, sponsor_id, trace_status, .. } = event(P0, 4);
    Finding {
        finding_id: Finding::id_of(DetectorKind::UnusualAmount, &event.agent_id, &position),
        detector: DetectorKind::UnusualAmount,
        severity: Severity::Block,
        time: event.time,
        agent_id: event.agent_id,
        agent_class: None,
        credential_id: event.credential_id,
        sponsor_id,
        trace_status,
        event_id: event.event_id.clone(),
        position,
        action: event.action,
        counterparty_id: event.counterparty_id,
        score: 7.25,
        false_findings_per_agent_day: 0.01,
        summary: "paid 48,000.00 where 120.00 is usual".to_owned(),
        features: vec![FeatureShare {
            feature: "amount_eur".to_owned(),
            expected: 120.5,
            seen: 48_000.0,
            probability: 1e-9,
            share: 1.0,
        }],
        maturity: Maturity { level: MaturityLevel::Mature, events: 4_200, days: 31.5 },
        evidence: vec![event.event_id],
        money_at_risk: event.amount,
        currency: event.currency,
        tags: vec!["owasp-nhi:NHI5".to_owned()],
    }
}

#[test]
fn every_finding_survives_being_a_row() {
    let bare = Finding {
        counterparty_id: None,
        money_at_risk: None,
        currency: None,
        features: Vec::new(),
        evidence: Vec::new(),
        tags: Vec::new(),
        ..finding()
    };
    let mut rows = FindingRows::default();
    rows.push(&finding(), now());
    rows.push(&bare, now());

    let found = decode_findings(&rows.finish()).unwrap();

    assert_eq!(found, [(finding(), now()), (bare, now())]);
}

#[test]
fn every_attempt_survives_being_a_row() {
    let attempt = Delivery {
        sequence: 7,
        time: now(),
        finding_id: finding().finding_id,
        endpoint: "soc".to_owned(),
        attempt: 2,
        duration: Duration::from_micros(20_000_001),
        outcome: "failed".to_owned(),
        status: Some(503),
        error: None,
    };
    let silent = Delivery { status: None, error: Some("timeout".to_owned()), ..attempt.clone() };
    let mut rows = DeliveryRows::default();
    rows.push(&attempt);
    rows.push(&silent);

    assert_eq!(decode_deliveries(&rows.finish()).unwrap(), [attempt, silent]);
}

#[test]
fn a_change_survives_being_a_row_and_was_told_at_its_import() {
    let change = RegistryChange {
        schema: RegistrySchema::V1,
        fact: Fact::Delegation {
            agent_id: "child".try_into().unwrap(),
            parent_agent_id: "parent".try_into().unwrap(),
        },
        valid_from: at("2026-01-01T00:00:00Z"),
        valid_to: Some(at("2026-02-01T00:00:00Z")),
        recorded_at: None,
        evidence: Some("import.csv:7".to_owned()),
    };
    let mut rows = RegistryRows::default();
    rows.push(&change, now());

    let batch = rows.finish();

    let told = RegistryChange { recorded_at: Some(now()), ..change };
    assert_eq!(decode_registry(&batch).unwrap(), [told]);
}

#[test]
fn an_edge_is_the_sum_of_its_events_in_whatever_order_they_come() {
    let mut events: Vec<_> = (0..20).map(|offset| event(P0, offset)).collect();
    events[3].event.counterparty_id = None;
    let mut wanted: BTreeMap<_, (Timestamp, Timestamp, u64)> = BTreeMap::new();
    for StampedEvent { event, .. } in &events {
        if let Some(counterparty) = &event.counterparty_id {
            let edge = (event.agent_id.clone(), counterparty.clone());
            let uses = wanted.entry(edge).or_insert((event.time, event.time, 0));
            *uses = (uses.0.min(event.time), uses.1.max(event.time), uses.2 + 1);
        }
    }
    let mut sorted = events.clone();
    sorted.sort_by(|a, b| a.event.agent_id.cmp(&b.event.agent_id));

    let in_batches = [crate::fixtures::rows(&events[..7]), crate::fixtures::rows(&events[7..])];
    let unsorted = decode_edges(&edges_of(&in_batches)).unwrap();
    let one_each = decode_edges(&edges_of(&[crate::fixtures::rows(&sorted)])).unwrap();

    assert_eq!(one_each.len(), wanted.len());
    for found in [unsorted, one_each] {
        let mut sums: BTreeMap<_, (Timestamp, Timestamp, u64)> = BTreeMap::new();
        for Edge { agent_id, counterparty_id, first_time, last_time, events } in found {
            let sum = sums.entry((agent_id, counterparty_id)).or_insert((first_time, last_time, 0));
            *sum = (sum.0.min(first_time), sum.1.max(last_time), sum.2 + events);
        }
        assert_eq!(sums, wanted);
    }
}

#[test]
fn the_bytes_of_a_row_count_every_text_in_it() {
    let mut rows = EventRows::default();
    rows.push(&event(P0, 0));
    let before = rows.bytes();
    let mut long = event(P0, 1);
    let text = || Some("x".repeat(1_000));
    let of_event = &mut long.event;
    (of_event.model, of_event.task_id, of_event.outcome_reason) = (text(), text(), text());
    (of_event.resource_kind, of_event.counterparty_kind) = (text(), text());
    of_event.session_id = Some("x".repeat(200).try_into().unwrap());
    of_event.grant_id = Some("x".repeat(200).try_into().unwrap());
    of_event.labels = vec!["x".repeat(1_000)];
    of_event.attributes.insert("long", &"x".repeat(500));

    rows.push(&long);

    assert!(before + 6_900 < rows.bytes(), "{before}, {}", rows.bytes());
    let batch = rows.finish();
    assert_eq!(rows.bytes(), 0);
    assert!(batch.get_array_memory_size() < 1 << 20);
}
