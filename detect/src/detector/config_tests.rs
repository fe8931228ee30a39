//! The configuration changes between two runs; the state goes on.

#![expect(clippy::cast_precision_loss, reason = "numbers of a small company")]

use schemas::Offsets;

use super::*;
use crate::sample::{DAY, START, company, event, numbered, paying, with};

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

fn checkpoint_of(detector: &mut Detector) -> Vec<u8> {
    let mut bytes = Vec::new();
    detector.snapshot().write(&Offsets::default(), &mut bytes).unwrap();
    bytes
}

/// A start with another configuration.
fn started(bytes: &[u8], json: &str) -> Detector {
    Detector::read_checkpoint(config(json), bytes).unwrap().0
}

fn payment(day: i64, at: i64) -> StampedEvent {
    let second = START + day * DAY + 10 * 3_600 + at * 600;
    let made = event("procurement-agent-6", "procurement", second, "procurement.approve");
    with(paying(made, 40_000.0 + at as f64), "vendor:procurement-3")
}

#[test]
fn the_state_is_kept_whole_whatever_the_configuration_that_goes_on_with_it() {
    let mut before = Detector::new(Config::default());
    before.fold(&company(7, 24, 0..6));
    let bytes = checkpoint_of(&mut before);
    let after = company(7, 24, 6..9);

    for json in [
        r#"{"detectors": {"new-action": 0, "unusual-amount": 0}}"#,
        r#"{"detectors": {"unusual-volume": 4, "new-counterparty": 0.5}}"#,
        r#"{"budgets": {"review": 5, "page": 1, "block": 0.001}}"#,
        r#"{"agents-max": 1024, "warmup-events": 0, "limits": [5000, 10000]}"#,
    ] {
        let mut started = started(&bytes, json);
        assert!(checkpoint_of(&mut started) == bytes, "nothing is reset: {json}");

        started.fold(&after);

        let (stats, known) = (started.stats(), before.stats());
        assert_eq!((stats.agents, stats.evicted), (known.agents, 0), "{json}");
        assert_eq!(stats.events, known.events + after.len() as u64, "{json}");
        let mut on = self::started(&checkpoint_of(&mut started), "{}");
        on.fold(&company(7, 24, 9..10));
    }
}

#[test]
fn less_room_than_there_are_agents_makes_nobody_forgotten_until_others_come() {
    let mut before = Detector::new(Config::default());
    let many = |from: i64| -> Vec<StampedEvent> {
        let agents = from..from + 3_000;
        numbered(
            agents.map(|n| event(&format!("agent-{n}"), "mail", START + n, "mail.send")).collect(),
        )
    };
    before.fold(&many(0));

    let mut started = started(&checkpoint_of(&mut before), r#"{"agents-max": 1024}"#);
    assert_eq!((started.stats().agents, started.stats().evicted), (3_000, 0));
    started.fold(&many(3_000));

    assert_eq!((started.stats().agents, started.stats().evicted), (3_000, 3_000));
}

#[test]
fn a_detector_that_was_off_has_learned_on() {
    let mut first = Detector::new(Config::default());
    first.fold(&company(7, 24, 0..8));
    let bytes = checkpoint_of(&mut first);
    let mut meanwhile = company(7, 24, 8..12);
    meanwhile.extend((8..12).flat_map(|day| (0..20).map(move |at| payment(day, at))));
    meanwhile.sort_by_key(|stamped| stamped.event.time);
    let meanwhile = numbered(meanwhile);
    // What was thought of the amount, before the weights.
    let amount = |detector: &mut Detector| -> f64 {
        let (_, scores) = detector.fold_scored(&[payment(12, 0)]);
        scores[0].amount
    };

    let mut off = started(&bytes, r#"{"detectors": {"unusual-amount": 0}}"#);
    let found = off.fold(&meanwhile);
    assert!(found.iter().all(|one| one.detector != schemas::DetectorKind::UnusualAmount));
    let learned = amount(&mut started(&checkpoint_of(&mut off), "{}"));
    let unheard_of = amount(&mut started(&bytes, "{}"));
    let mut always = started(&bytes, "{}");
    always.fold(&meanwhile);
    let known = amount(&mut always);

    assert!(1.0 < unheard_of && learned < unheard_of / 2.0, "{learned} and {unheard_of}");
    assert!((learned - known).abs() < 0.1, "as if it had never been off: {learned} and {known}");
}
