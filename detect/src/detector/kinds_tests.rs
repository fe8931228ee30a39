//! Each kind of detector: what it tells of, what it is silent about, and that it can be switched off.

#![expect(clippy::cast_possible_wrap, reason = "numbers of a small company")]

use schemas::{DetectorKind, Outcome, StampedEvent};

use super::*;
use crate::sample::{DAY, START, company, event, numbered, paying, with};

/// Ten in the morning of the day after the history.
const NOW: i64 = START + 28 * DAY + 36_000;

/// The company's history with a model for everybody.
fn history() -> Vec<StampedEvent> {
    let mut events = company(11, 60, 0..28);
    for stamped in &mut events {
        stamped.event.model = Some("m-1".to_owned());
    }
    events
}

fn of_model(mut stamped: StampedEvent) -> StampedEvent {
    stamped.event.model = Some("m-1".to_owned());
    stamped
}

/// A detector that has only one kind switched on, after the history.
fn only(kind: DetectorKind, history: &[StampedEvent]) -> Detector {
    let weights: Vec<String> = DetectorKind::ALL
        .iter()
        .filter(|one| **one != kind)
        .map(|one| format!("\"{}\": 0", one.as_str().replace('_', "-")))
        .collect();
    let json = format!("{{\"detectors\": {{{}}}}}", weights.join(","));
    let mut detector = Detector::new(serde_json::from_str(&json).unwrap());
    detector.fold(history);
    detector
}

/// What only this kind finds in `attack`, and what everything else finds with this kind switched off.
fn findings(kind: DetectorKind, history: &[StampedEvent], attack: &[StampedEvent]) -> Vec<Finding> {
    let found = only(kind, history).fold(&numbered(attack.to_vec()));
    assert!(found.iter().all(|one| one.detector == kind), "{found:#?}");
    for one in &found {
        assert!(one.summary.contains("Expected false findings"), "{one:#?}");
        assert!(!one.features.is_empty(), "{one:#?}");
    }
    found
}

fn invoice(n: i64, seconds: i64, other: &str, units: f64) -> StampedEvent {
    with(
        paying(event("invoice-agent-8", "invoice", NOW + n * seconds, "invoice.approve"), units),
        other,
    )
}

#[test]
fn one_sum_paid_in_parts_is_structuring_and_three_small_payments_a_day_are_not() {
    let known = "account:invoice-56";
    let parts: Vec<_> = (0..40).map(|n| invoice(n, 60, known, 4_000.0)).collect();
    let usual: Vec<_> = (0..3).map(|n| invoice(n, 7_200, known, 400.0)).collect();

    let found = findings(DetectorKind::Structuring, &history(), &parts);
    let silent = findings(DetectorKind::Structuring, &history(), &usual);

    assert!(found.iter().any(|one| one.summary.contains("in a day adds up to")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn amounts_just_below_a_limit_are_structuring_and_amounts_far_from_it_are_not() {
    let at = |units: f64| -> Vec<StampedEvent> {
        (0..8).map(|n| invoice(n, 1_200, &format!("account:invoice-{}", 50 + n), units)).collect()
    };

    let found = findings(DetectorKind::Structuring, &history(), &at(4_990.0));
    let silent = findings(DetectorKind::Structuring, &history(), &at(4_300.0));

    let clause = "lie just below a round limit";
    assert!(found.iter().any(|one| one.summary.contains(clause)), "{found:#?}");
    assert!(!silent.iter().any(|one| one.summary.contains(clause)), "{silent:#?}");
}

#[test]
fn dealing_with_sixty_in_an_hour_is_a_fan_and_with_six_it_is_not() {
    let to = |count: i64| -> Vec<StampedEvent> {
        let made = |n: i64| {
            let other = format!("recipient:mail-{n}");
            with(event("mail-agent-4", "mail", NOW + 20 * n, "mail.update"), &other)
        };
        (0..count).map(made).collect()
    };

    let found = findings(DetectorKind::FanOut, &history(), &to(60));
    let silent = findings(DetectorKind::FanOut, &history(), &to(6));

    assert!(found.iter().any(|one| one.summary.contains("different counterparties")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn forty_refusals_are_a_burst_and_one_is_not() {
    let refused = |count: i64| -> Vec<StampedEvent> {
        let made = |n: i64| {
            let mut made = event("deploy-agent-3", "deploy", NOW + 30 * n, "cluster.read");
            made.event.outcome = Outcome::Denied;
            made
        };
        (0..count).map(made).collect()
    };

    let found = findings(DetectorKind::FailureBurst, &history(), &refused(40));
    let silent = findings(DetectorKind::FailureBurst, &history(), &refused(1));

    assert!(found.iter().any(|one| one.summary.contains("failures in")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_end_of_a_months_silence_is_told_and_monday_morning_is_not() {
    let name = "support-agent-7";
    let mut events = company(11, 60, 0..58);
    events.retain(|one| {
        one.event.agent_id.as_str() != name
            || one.event.time.as_micros() / 1_000_000 < START + 26 * DAY
    });
    let at = |second: i64| vec![event(name, "support", second, "customer.read")];
    let early: Vec<StampedEvent> = events
        .iter()
        .filter(|one| one.event.time.as_micros() / 1_000_000 < START + 28 * DAY)
        .cloned()
        .collect();

    let found = findings(DetectorKind::UnusualTime, &events, &at(START + 58 * DAY + 36_000));
    let silent = findings(DetectorKind::UnusualTime, &early, &at(START + 28 * DAY + 36_000));

    assert!(found.iter().any(|one| one.summary.contains("it was silent for")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_key_of_another_agent_is_shared_and_a_new_key_of_its_own_is_not() {
    let with_key = |key: &str| -> Vec<StampedEvent> {
        let made = |n: i64| {
            let mut made = event("invoice-agent-8", "invoice", NOW + 60 * n, "account.read");
            made.event.credential_id = key.to_owned().try_into().unwrap();
            made
        };
        (0..3).map(made).collect()
    };

    let theirs = with_key("key-procurement-agent-6");
    let found = findings(DetectorKind::SharedCredential, &history(), &theirs);
    let silent = findings(DetectorKind::SharedCredential, &history(), &with_key("key-rotated"));

    assert!(found.iter().any(|one| one.summary.contains("another agent holds")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn two_networks_at_once_are_a_stolen_credential_and_a_move_is_not() {
    let from = |pause: i64| -> Vec<StampedEvent> {
        let made = |n: i64| {
            let mut made = event("deploy-agent-3", "deploy", NOW + pause * n, "cluster.read");
            let address = if n % 2 == 0 { "10.1.2.3" } else { "198.51.100.9" };
            made.event.source_ip = Some(address.parse().unwrap());
            made
        };
        (0..6).map(made).collect()
    };

    let found = findings(DetectorKind::StolenCredential, &history(), &from(5));
    let silent = findings(DetectorKind::StolenCredential, &history(), &from(600));

    let clause = "two networks within a minute";
    assert!(found.iter().any(|one| one.summary.contains(clause)), "{found:#?}");
    assert!(!silent.iter().any(|one| one.summary.contains(clause)), "{silent:#?}");
}

#[test]
fn many_payments_to_strangers_are_an_exposure_and_one_is_not() {
    let to = |count: i64| -> Vec<StampedEvent> {
        (0..count).map(|n| invoice(n, 300, &format!("account:mule-{n}"), 2_500.0)).collect()
    };

    let found = findings(DetectorKind::NewExposure, &history(), &to(40));
    let silent = findings(DetectorKind::NewExposure, &history(), &to(1));

    assert!(found.iter().any(|one| one.summary.contains("not trusted yet")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_same_new_action_of_many_agents_of_a_model_is_a_shift_and_of_two_it_is_not() {
    let by = |agents: usize| -> Vec<StampedEvent> {
        let mut events = Vec::new();
        for hour in 0..5_i64 {
            for agent in 0..60 {
                let class =
                    ["procurement", "support", "invoice", "deploy", "mail", "research"][agent % 6];
                let name = format!("{class}-agent-{agent}");
                let second = NOW + hour * 3_600 + 10 * agent as i64;
                let usual = format!("{class}.update");
                let action = if agent < agents { "shell.exec" } else { &usual };
                events.push(of_model(event(&name, class, second, action)));
            }
        }
        events
    };

    let found = findings(DetectorKind::FleetShift, &history(), &by(30));
    let silent = findings(DetectorKind::FleetShift, &history(), &by(2));

    assert!(found.iter().any(|one| one.summary.contains("agents of m-1")), "{found:#?}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn what_is_switched_off_is_not_told() {
    let attack: Vec<_> = (0..60)
        .map(|n| {
            let other = format!("recipient:mail-{n}");
            with(event("mail-agent-4", "mail", NOW + 20 * n, "mail.update"), &other)
        })
        .collect();
    let off = serde_json::from_str(r#"{"detectors": {"fan-out": 0}}"#).unwrap();
    let mut detector = Detector::new(off);
    detector.fold(&history());

    let found = detector.fold(&numbered(attack));

    assert!(
        found.iter().all(|one| {
            one.features.iter().all(|feature| feature.feature != "counterparties_per_1h")
        }),
        "{found:#?}"
    );
}
