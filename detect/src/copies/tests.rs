//! What is a copy, and for how long.

use std::time::Duration;

use schemas::{Offsets, Outcome, Timestamp};

use super::*;
use crate::sample;
use crate::{Config, Detector};

fn at(offset: i64) -> StampedEvent {
    let mut stamped = sample::event("agent-1", "procurement", 1_772_409_600, "order.approve");
    stamped.position.offset = Offset(offset);
    stamped
}

/// The event with an id of its own.
fn named(id: usize, offset: i64) -> StampedEvent {
    let mut stamped = at(offset);
    stamped.event.event_id = format!("use-{id}").try_into().unwrap();
    stamped
}

fn marked(copies: &mut Copies, mut stamped: StampedEvent) -> Option<i64> {
    let fingerprint = Fingerprint::of(&stamped);
    copies.mark(&mut stamped, fingerprint);
    stamped.dup_of.map(|(offset, _)| offset.0)
}

#[test]
fn of_several_in_one_record_each_is_a_copy_of_what_stands_before_it() {
    let part = |id, offset, part| {
        let mut stamped = named(id, offset);
        stamped.position.part = Part(part);
        stamped
    };
    let stored = [part(1, 5, 0), part(2, 5, 1), part(2, 5, 4), part(1, 6, 0), part(2, 6, 3)];
    let (mut copies, mut marks, mut read) = (Copies::default(), Vec::new(), Vec::new());
    for mut stamped in stored {
        let fingerprint = Fingerprint::of(&stamped);
        copies.mark(&mut stamped, fingerprint);
        marks.push(stamped.original().map(|place| place.to_string()));
        read.push(stamped);
    }

    let topic = &read[0].position.topic;
    let of = |place: &str| Some(format!("{topic}/0@{place}"));
    assert_eq!(marks, [None, None, of("5.1"), of("5"), of("5.1")]);
    let mut recalled = Copies::default();
    recalled.recall(&read);
    assert_eq!(recalled, copies);
    let mut bytes = Vec::new();
    copies.pack(&mut bytes);
    assert_eq!(Copies::unpack(&mut Unpacker::new(&bytes)), Some(copies));
}

#[test]
fn an_event_that_comes_again_is_a_copy_of_the_first_however_it_was_read() {
    let mut copies = Copies::default();
    assert_eq!(marked(&mut copies, at(3)), None);
    assert_eq!(marked(&mut copies, named(7, 4)), None);

    let mut again = at(9);
    again.ingested_at = again.ingested_at.plus(Duration::from_mins(10));
    again.sponsor_id = Some("maria".try_into().unwrap());
    again.trace_confidence = 1.0;
    again.event.labels.push(Lapse::ExpiredCredential.label());

    assert_eq!(marked(&mut copies, again), Some(3));
    assert_eq!(marked(&mut copies, at(10)), Some(3), "a copy is not what a third is a copy of");
    assert_eq!(marked(&mut copies, named(7, 11)), Some(4));
}

#[test]
fn another_act_under_a_known_id_is_an_event_of_its_own() {
    let changes: [fn(&mut CredentialEvent); 26] = [
        |event| event.event_id = "another".try_into().unwrap(),
        |event| event.time = Timestamp::from_micros(event.time.as_micros() + 1).unwrap(),
        |event| event.agent_id = "agent-2".try_into().unwrap(),
        |event| event.agent_class = None,
        |event| event.agent_instance = Some(String::new()),
        |event| event.model = Some("order.approve".to_owned()),
        |event| event.session_id = Some("a".try_into().unwrap()),
        |event| event.task_id = Some("a".to_owned()),
        |event| event.grant_id = Some("a".try_into().unwrap()),
        |event| event.credential_id = "another".try_into().unwrap(),
        |event| event.credential_kind = schemas::CredentialKind::Password,
        |event| event.action = "order.approv".to_owned(),
        |event| event.resource = Some("a".to_owned()),
        |event| event.resource_kind = Some("a".to_owned()),
        |event| event.counterparty_id = Some("a".try_into().unwrap()),
        |event| event.counterparty_kind = Some("a".to_owned()),
        |event| event.amount = Some(Amount::from_cents(0).unwrap()),
        |event| event.currency = Some(Currency::try_from("EUR").unwrap()),
        |event| event.outcome = Outcome::Denied,
        |event| event.outcome_reason = Some("a".to_owned()),
        |event| event.source_ip = None,
        |event| event.user_agent = None,
        |event| event.delegation = vec!["a".try_into().unwrap()],
        |event| event.labels = vec!["a".to_owned()],
        |event| assert!(event.attributes.insert("a", "")),
        |event| event.format = schemas::Format::Ocsf,
    ];
    let mut copies = Copies::default();
    assert_eq!(marked(&mut copies, at(0)), None);

    for (number, change) in (1..).zip(changes) {
        let mut other = at(number);
        change(&mut other.event);
        assert_eq!(marked(&mut copies, other.clone()), None, "{other:?}");
        other.position.offset = Offset(100 + number);
        assert_eq!(marked(&mut copies, other), Some(number), "it is one as it is");
    }
    assert_eq!(marked(&mut copies, at(200)), Some(0));
}

#[test]
fn what_moves_from_one_field_to_the_next_is_another_content() {
    let mut copies = Copies::default();
    let mut one = at(0);
    (one.event.resource, one.event.resource_kind) = (Some("ab".to_owned()), Some("c".to_owned()));
    let mut other = at(1);
    (other.event.resource, other.event.resource_kind) =
        (Some("a".to_owned()), Some("bc".to_owned()));

    assert_eq!(marked(&mut copies, one), None);
    assert_eq!(marked(&mut copies, other), None);
}

#[test]
fn an_event_without_an_id_of_its_own_is_compared_with_nothing() {
    let mut copies = Copies::default();
    for offset in [5, 6, 5] {
        let mut stamped = at(offset);
        stamped.event.event_id = stamped.position.event_id();

        assert_eq!(Fingerprint::of(&stamped), None);
        assert_eq!(marked(&mut copies, stamped), None);
    }
    assert_eq!(copies, Copies::default());
}

#[test]
fn partitions_and_topics_have_windows_of_their_own() {
    let mut copies = Copies::default();
    let places = [("a", 0), ("a", 1), ("b", 0)];
    let there = |(topic, partition), offset| {
        let mut stamped = at(offset);
        stamped.position.topic = Topic::new(topic);
        stamped.position.partition = KafkaPartition(partition);
        stamped
    };

    for (number, place) in (0..).zip(places) {
        assert_eq!(marked(&mut copies, there(place, number)), None);
    }
    for (number, place) in (0..).zip(places) {
        assert_eq!(marked(&mut copies, there(place, 10 + number)), Some(number));
    }
}

#[test]
fn a_partition_remembers_its_last_65536_events_and_copies_take_no_room() {
    let mut copies = Copies::default();
    for offset in 0..WINDOW {
        let offset_i64 = i64::try_from(offset).unwrap();
        assert_eq!(marked(&mut copies, named(offset, 2 * offset_i64)), None);
        assert_eq!(marked(&mut copies, named(offset, 2 * offset_i64 + 1)), Some(2 * offset_i64));
    }
    let end = 2 * i64::try_from(WINDOW).unwrap();

    assert_eq!(marked(&mut copies, named(0, end)), Some(0), "the oldest is still there");
    assert_eq!(marked(&mut copies, named(WINDOW, end + 1)), None);
    assert_eq!(marked(&mut copies, named(0, end + 2)), None, "now it is forgotten");
    assert_eq!(marked(&mut copies, named(1, end + 3)), None, "and so is the next");
    assert_eq!(marked(&mut copies, named(3, end + 4)), Some(6));
    assert_eq!(marked(&mut copies, named(0, end + 5)), Some(end + 2));
    let window = copies.window(&at(0));
    assert_eq!((window.seen.len(), window.places.len()), (WINDOW, WINDOW));
}

/// Packed and unpacked.
fn kept(copies: &Copies) -> Copies {
    let mut bytes = Vec::new();
    copies.pack(&mut bytes);
    let mut input = Unpacker::new(&bytes);
    let back = Copies::unpack(&mut input).unwrap();
    assert!(input.is_empty());
    back
}

#[test]
fn a_window_that_was_kept_goes_on_as_the_one_that_was_not() {
    let mut copies = Copies::default();
    for offset in 0..WINDOW + 1_000 {
        marked(&mut copies, named(offset, i64::try_from(offset).unwrap()));
    }
    let mut back = kept(&copies);
    assert_eq!(back, copies);

    for offset in WINDOW + 1_000..WINDOW + 3_000 {
        let next = i64::try_from(offset).unwrap();
        for stamped in [named(offset, 2 * next), named(offset - WINDOW / 2, 2 * next + 1)] {
            assert_eq!(marked(&mut back, stamped.clone()), marked(&mut copies, stamped));
        }
    }
    assert_eq!(back, copies);
}

#[test]
fn a_window_out_of_order_is_refused() {
    let mut copies = Copies::default();
    for offset in 0..3 {
        marked(&mut copies, named(0, 10 - offset));
        marked(&mut copies, named(1 + usize::try_from(offset).unwrap(), 10 - offset));
    }
    let mut bytes = Vec::new();
    copies.pack(&mut bytes);

    assert_eq!(Copies::unpack(&mut Unpacker::new(&bytes)), None);
}

#[test]
fn events_that_were_read_before_are_recalled_with_or_without_marks() {
    let mut live = Copies::default();
    let mut stored = Vec::new();
    for offset in 0..300 {
        let mut stamped = named(usize::try_from(offset % 200).unwrap(), offset);
        let fingerprint = Fingerprint::of(&stamped);
        live.mark(&mut stamped, fingerprint);
        stored.push(stamped);
    }
    assert_eq!(stored.iter().filter(|one| one.dup_of.is_some()).count(), 100);

    for has_marks in [true, false] {
        let mut recalled = Copies::default();
        for chunk in stored.chunks(70) {
            let mut events = chunk.to_vec();
            if !has_marks {
                for one in &mut events {
                    one.dup_of = None;
                }
            }
            recalled.recall(&events);
        }
        assert_eq!(recalled, live);
    }
}

#[test]
fn a_checkpoint_carries_the_windows() {
    let mut detector = Detector::new(Config::default());
    let mut first = named(1, 5);
    let fingerprint = Fingerprint::of(&first);
    assert!(!detector.mark(&mut first, fingerprint));
    let mut bytes = Vec::new();
    detector.snapshot().write(&Offsets::default(), &mut bytes).unwrap();

    let (mut back, _) = Detector::read_checkpoint(Config::default(), &bytes[..]).unwrap();

    let mut again = named(1, 9);
    assert!(back.mark(&mut again, fingerprint));
    assert_eq!(again.dup_of, Some((Offset(5), Part::FIRST)));
}
