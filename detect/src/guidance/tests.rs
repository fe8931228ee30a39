//! Dispositions and expectations, at the detector's border.

use schemas::{Finding, Offset, Severity};

use super::*;
use crate::config::Config;
use crate::detector::Detector;
use crate::sample::{DAY, START, company, event, numbered, paying, with};

const DAYS: i64 = 12;
const ATTACK: i64 = START + (DAYS - 1) * DAY + 9 * 3_600;

/// A benign company and an agent that pays a vendor nobody knows, each `pause` once.
fn paid_every(pause: i64, times: i64) -> Vec<StampedEvent> {
    let mut events = company(3, 24, 0..DAYS + 3 + pause * times / DAY);
    for n in 0..times {
        let second = ATTACK + n * pause;
        let made = event("procurement-agent-6", "procurement", second, "procurement.approve");
        events.push(with(paying(made, 900.0), "vendor:newcomer"));
    }
    events.sort_by_key(|stamped| stamped.event.time);
    numbered(events)
}

fn events() -> Vec<StampedEvent> {
    paid_every(DAY, 3)
}

fn of_newcomer(findings: &[Finding]) -> Vec<&Finding> {
    let is_of = |finding: &&Finding| {
        finding.counterparty_id.as_ref().is_some_and(|id| id.as_str() == "vendor:newcomer")
    };
    findings.iter().filter(is_of).collect()
}

fn change(fields: &str, recorded: i64) -> RegistryChange {
    let at = |second: i64| Timestamp::from_micros(second * 1_000_000).unwrap().to_string();
    let json = format!(
        r#"{{"schema": "surety.registry_change.v1", "by": "anna", {fields},
            "valid_from": "{}", "recorded_at": "{}"}}"#,
        at(ATTACK),
        at(recorded)
    );
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn disposition(verdict: &str, recorded: i64) -> RegistryChange {
    let fields = format!(
        r#""kind": "disposition", "finding_id": "fnd_1", "verdict": "{verdict}",
        "detector": "new_counterparty", "agent_id": "procurement-agent-6",
        "action": "procurement.approve", "counterparty_id": "vendor:newcomer""#
    );
    change(&fields, recorded)
}

fn told(changes: &[RegistryChange]) -> Detector {
    let mut detector = Detector::new(Config::default());
    for change in changes {
        detector.hear(change);
    }
    detector
}

#[test]
fn what_a_person_calls_benign_is_trusted_from_then_on_and_by_that_agent_in_that_way_only() {
    let second = ATTACK + 2 * 3_600;
    let mut events = paid_every(DAY, 1);
    events.truncate(events.partition_point(|one| one.event.time.as_micros() < second * 1_000_000));
    let (mut unsaid, mut said) = (told(&[]), told(&[disposition("benign", ATTACK + 600)]));
    let first = of_newcomer(&unsaid.fold(&events)).len();
    let as_before = of_newcomer(&said.fold(&events)).len();

    let scores = [
        ("procurement-agent-6", "procurement.approve"),
        ("procurement-agent-7", "procurement.approve"),
        ("procurement-agent-6", "payment.send"),
    ]
    .map(|(agent, action)| {
        let made = event(agent, "procurement", second, action);
        let made = with(paying(made, 900.0), "vendor:newcomer");
        [&unsaid, &said].map(|detector| detector.score(&made).score.score)
    });

    assert_eq!((first, as_before), (1, 1), "it was told before anybody spoke");
    assert!(0.9 < scores[0][0] && 10.0 * scores[0][1] < scores[0][0], "{scores:?}");
    for [unsaid, said] in &scores[1..] {
        assert!((unsaid - said).abs() < 1e-9 && 2.0 < *said, "another agent or way: {scores:?}");
    }
}

#[test]
fn what_was_confirmed_is_a_finding_for_ever_and_a_level_higher() {
    let events = paid_every(DAY, 20);
    let before = told(&[]).fold(&events);

    let after = told(&[disposition("confirmed", ATTACK + 600)]).fold(&events);

    let (before, after) = (of_newcomer(&before), of_newcomer(&after));
    assert!(before.len() < 8, "trusted after a while: {}", before.len());
    assert_eq!(after.len(), 20);
    assert!(after[1..].iter().all(|finding| Severity::Page <= finding.severity));
    assert!(after[19].summary.contains("confirmed an attack"), "{}", after[19].summary);
}

#[test]
fn the_word_that_was_recorded_last_counts_whatever_the_order_of_hearing() {
    let events = paid_every(2 * 3_600, 3);
    let words = [disposition("confirmed", ATTACK + 600), disposition("benign", ATTACK + 700)];
    let [first, second] = &words;

    let findings = told(&words).fold(&events);
    let reversed = told(&[second.clone(), first.clone(), second.clone()]).fold(&events);

    assert_eq!(of_newcomer(&findings).len(), 1);
    assert_eq!(findings, reversed);
}

#[test]
fn a_word_speaks_of_what_is_read_after_it_was_recorded_wherever_a_checkpoint_is_restored() {
    let events = events();
    let word = disposition("benign", ATTACK + 600);
    let mut whole = told(std::slice::from_ref(&word));
    let findings = whole.fold(&events);

    for cut in [events.len() / 2, events.len() - 400, events.len() - 20] {
        // Told only when it was recorded, as a running service is.
        let mut late = told(&[]);
        let at = events.partition_point(|one| one.ingested_at <= word.recorded_at.unwrap());
        let mut found = late.fold(&events[..at]);
        late.hear(&word);
        let cut = cut.max(at);
        found.extend(late.fold(&events[at..cut]));
        let mut bytes = Vec::new();
        late.snapshot().write(&schemas::Offsets::default(), &mut bytes).unwrap();
        let (mut restored, _) = Detector::read_checkpoint(Config::default(), &bytes[..]).unwrap();
        restored.hear(&word);
        found.extend(restored.fold(&events[cut..]));

        assert_eq!(found, findings, "cut at {cut}");
        assert_eq!(restored.state, whole.state, "cut at {cut}");
    }
}

#[test]
fn what_is_expected_is_no_alarm_within_its_window_and_is_learned() {
    let events = events();
    let until = |second: i64| Timestamp::from_micros(second * 1_000_000).unwrap();
    let fields = r#""kind": "expectation", "agent_class": "procurement",
        "counterparty_id": "vendor:newcomer", "reason": "new supplier""#;
    let mut expectation = change(fields, START);
    expectation.valid_to = Some(until(ATTACK + DAY + 60));

    let mut detector = told(&[expectation]);
    let findings = detector.fold(&events);

    let found = of_newcomer(&findings);
    let last = ATTACK + 2 * DAY;
    assert!(found.iter().all(|finding| finding.time == until(last)), "{found:?}");
    // The two days of the window count for its trust.
    let mut ignorant = told(&[]);
    ignorant.fold(&events);
    assert_eq!(detector.stats().agents, ignorant.stats().agents, "learning goes on");
    let mut next = event("procurement-agent-6", "procurement", last + DAY, "procurement.approve");
    next.position.offset = Offset(9);
    let next = with(paying(next, 900.0), "vendor:newcomer");
    assert!(detector.score(&next).finding.is_none(), "three days make trust");
}

#[test]
fn expected_volume_is_no_alarm_up_to_so_many_times_the_usual() {
    let rush = |calls: i64| {
        let mut events = company(3, 24, 0..DAYS);
        for n in 0..calls {
            let made = event("mail-agent-4", "mail", ATTACK + 2 * n, "mail.send");
            events.push(with(made, "a@atlas.example"));
        }
        events.sort_by_key(|stamped| stamped.event.time);
        numbered(events)
    };
    let volume = |findings: &[Finding]| {
        let is_volume = |finding: &&Finding| {
            finding.agent_id.as_str() == "mail-agent-4"
                && finding.time >= Timestamp::from_micros(ATTACK * 1_000_000).unwrap()
                && matches!(
                    finding.detector,
                    DetectorKind::UnusualVolume | DetectorKind::CounterpartyBurst
                )
        };
        findings.iter().filter(is_volume).count()
    };
    let fields = r#""kind": "expectation", "agent_id": "mail-agent-4", "volume_times": 1000,
        "reason": "newsletter""#;

    let unsaid = told(&[]).fold(&rush(400));
    let said = told(&[change(fields, START)]).fold(&rush(400));
    let little = fields.replace("1000", "2");
    let beyond = told(&[change(&little, START)]).fold(&rush(400));

    assert!(0 < volume(&unsaid));
    assert_eq!(volume(&said), 0);
    assert!(0 < volume(&beyond), "four hundred are more than twice the usual");
}
