//! D1, and what is found and what is not.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a small company"
)]

use schemas::{DetectorKind, Offset, Offsets, Outcome, Severity, Topic};

use super::*;
use crate::hash::key_of;
use crate::sample::{DAY, Dice, START, company, event, numbered, paying, with};

impl Detector {
    fn agent(&self, name: &str) -> crate::agent::Agent {
        let shard = schemas::Shard::of(&name.try_into().unwrap()).index();
        self.state.shards[shard].agent(key_of(name)).expect("it is remembered")
    }
}

fn checkpoint_of(detector: &mut Detector) -> Vec<u8> {
    let mut bytes = Vec::new();
    detector.snapshot().write(&Offsets::default(), &mut bytes).unwrap();
    bytes
}

fn restored(bytes: &[u8]) -> Detector {
    Detector::read_checkpoint(Config::default(), bytes).unwrap().0
}

/// A company with things in it that must be found, so that findings are compared at all, and with
/// clocks that are wrong.
fn troubled_company(seed: u64, days: i64) -> Vec<StampedEvent> {
    let mut events = company(seed, 24, 0..days);
    let mut dice = Dice(seed);
    let attack = START + (days - 1) * DAY + 9 * 3_600;
    for n in 0..40_u64 {
        let second = attack + 40 * n as i64;
        let made = event("procurement-agent-6", "procurement", second, "procurement.approve");
        events.push(with(paying(made, 49_000.0 + n as f64), &format!("vendor:shell-{}", n / 4)));
    }
    for _ in 0..30 {
        let second = START + dice.below(days as u64 * DAY as u64) as i64;
        let far = [10 * 365 * DAY, 3 * DAY, -2 * DAY, -7_200][dice.below(4) as usize];
        events.push(event("mail-agent-4", "mail", (second + far).max(0), "mail.send"));
    }
    let ordered = |stamped: &StampedEvent| stamped.event.time.min(sample_end(days));
    events.sort_by_key(ordered);
    numbered(events)
}

fn sample_end(days: i64) -> Timestamp {
    Timestamp::from_micros((START + days * DAY) * 1_000_000).unwrap()
}

#[test]
fn however_the_input_is_cut_the_findings_and_the_state_are_the_same() {
    for seed in 0..4 {
        let events = troubled_company(seed, 12);
        let mut whole = Detector::new(Config::default());
        let findings = whole.fold(&events);
        assert!(!findings.is_empty(), "seed {seed}");

        for cut in 0..4_u64 {
            let mut dice = Dice(seed * 100 + cut);
            let mut detector = Detector::new(Config::default());
            let mut found = Vec::new();
            let mut rest = &events[..];
            while !rest.is_empty() {
                let batch = 1 + dice.below([3, 700, 5_000, 100][cut as usize]) as usize;
                let (now, later) = rest.split_at(batch.min(rest.len()));
                found.extend(detector.fold(now));
                rest = later;
                if dice.below([400, 5, 3, 30][cut as usize]) == 0 {
                    detector = restored(&checkpoint_of(&mut detector));
                }
            }
            assert_eq!(found, findings, "replay with seed {seed}, cut {cut}");
            assert_eq!(detector.state, whole.state, "replay with seed {seed}, cut {cut}");
            assert!(
                checkpoint_of(&mut detector) == checkpoint_of(&mut whole),
                "seed {seed}, cut {cut}"
            );
        }
    }
}

#[test]
fn partitions_may_be_half_an_hour_apart_and_the_findings_are_the_same() {
    for seed in 10..13 {
        let mut events = company(seed, 24, 0..12);
        let attack = START + 11 * DAY + 9 * 3_600;
        for n in 0..20 {
            let made =
                event("procurement-agent-6", "procurement", attack + 60 * n, "procurement.approve");
            events.push(with(paying(made, 49_000.0), &format!("vendor:shell-{n}")));
        }
        // Somebody is always awake: after a longer silence the clock waits for a second agent.
        for half_hour in 0..12 * 48 {
            for night_watch in ["watch-a", "watch-b", "watch-c"] {
                let second = START + half_hour * 1_800;
                events.push(event(night_watch, "watch", second, "host.ping"));
            }
        }
        events.sort_by_key(|stamped| stamped.event.time);
        let events = numbered(events);
        let mut aligned = Detector::new(Config::default());
        let mut expected = aligned.fold(&events);
        assert!(!expected.is_empty());

        for shuffle in 0..3 {
            let mut dice = Dice(seed * 100 + shuffle);
            let lag: Vec<i64> = (0..3).map(|_| dice.below(1_800) as i64).collect();
            let mut shuffled = events.clone();
            // Stable: within a partition the order stays.
            shuffled.sort_by_key(|stamped| {
                let partition = stamped.position.partition.0 as usize;
                stamped.event.time.as_micros() / 1_000_000 + lag[partition]
            });
            let mut detector = Detector::new(Config::default());
            let mut found = Vec::new();
            for batch in shuffled.chunks(997) {
                found.extend(detector.fold(batch));
            }
            expected.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
            found.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
            assert_eq!(found, expected, "seed {seed}, shuffle {shuffle}, lags {lag:?}");
        }
    }
}

#[test]
fn a_checkpoint_carries_its_offsets_and_any_damage_is_an_error() {
    let mut detector = Detector::new(Config::default());
    detector.fold(&company(3, 12, 0..2));
    let mut offsets = Offsets::default();
    offsets.raise(&Topic::new("events"), schemas::KafkaPartition(2), Offset(77));
    let mut bytes = Vec::new();
    detector.snapshot().write(&offsets, &mut bytes).unwrap();

    let (back, read) = Detector::read_checkpoint(Config::default(), &bytes[..]).unwrap();
    assert_eq!(read, offsets);
    assert_eq!(back.state, detector.state);
    assert_eq!(back.stats().agents, detector.stats().agents);

    let mut dice = Dice(9);
    let mut damaged = bytes.clone();
    for _ in 0..1_000 {
        let (at, bit) = (dice.below(bytes.len() as u64) as usize, 1 << dice.below(8));
        damaged[at] ^= bit;
        assert!(Detector::read_checkpoint(Config::default(), &damaged[..]).is_err(), "byte {at}");
        damaged[at] ^= bit;
    }
    let somewhere = (0..200).map(|_| dice.below(bytes.len() as u64) as usize);
    let last = bytes.len() - 64..bytes.len();
    for end in (0..4_096).chain(somewhere.collect::<Vec<_>>()).chain(last) {
        assert!(Detector::read_checkpoint(Config::default(), &bytes[..end]).is_err(), "cut {end}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(Detector::read_checkpoint(Config::default(), &longer[..]).is_err());
    bytes[16] = 99;
    assert!(matches!(
        Detector::read_checkpoint(Config::default(), &bytes[..]),
        Err(crate::CheckpointError::Version { found: 99 })
    ));
}

/// How many names come once: 20,000, and more where a person asks for it.
fn names() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test is made larger from outside")]
    let names = std::env::var("SURETY_TEST_NAMES").ok();
    names.map_or(20_000, |names| names.parse().expect("SURETY_TEST_NAMES: wanted a number"))
}

/// Twenty orders of a regular agent to companies that nobody knows, some minutes after the flood.
fn fraud(second: i64) -> Vec<StampedEvent> {
    let order = |n: i64| {
        let made =
            event("procurement-agent-6", "procurement", second + 60 * n, "procurement.approve");
        with(paying(made, 49_100.0 + 37.0 * n as f64), &format!("vendor:shell-{n}"))
    };
    numbered((0..20).map(order).collect())
}

/// What was found of whom, but for the score.
fn told(findings: &[Finding]) -> Vec<(schemas::FindingId, Severity)> {
    findings.iter().map(|one| (one.finding_id.clone(), one.severity)).collect()
}

#[test]
fn a_million_names_that_come_once_do_not_outgrow_the_room_nor_push_out_regulars() {
    let config = Config::default().with_agents_max(1_024);
    let (mut calm, mut detector) = (Detector::new(config.clone()), Detector::new(config));
    for detector in [&mut calm, &mut detector] {
        detector.fold(&company(5, 24, 0..28));
    }
    let flood_of = |numbers: std::ops::Range<i64>| {
        let one =
            |n| event(&format!("sub-{n}"), "sub", START + 28 * DAY + n * 60 / names(), "task.run");
        numbered(numbers.map(one).collect())
    };
    let mut of_flood = Vec::new();
    for start in (0..names()).step_by(10_000) {
        of_flood.extend(detector.fold(&flood_of(start..names().min(start + 10_000))));
    }
    of_flood.retain(|one| one.detector == DetectorKind::AgentFlood);

    // Of the names of a minute, some hundred are enough to tell of the others.
    let seen: Vec<f64> = of_flood.iter().map(|one| one.features[0].seen).collect();
    assert!(matches!(seen[..], [first, second, ..] if first < 1_000.0 && 9.5 * first < second));
    let stats = detector.stats();
    assert!(stats.agents <= 1_024 && names() as u64 - 2_000 < stats.evicted, "{stats:?}");
    let [wanted, found] =
        [&mut calm, &mut detector].map(|one| one.fold(&fraud(START + 28 * DAY + 36_000)));
    assert!(!wanted.is_empty());
    assert_eq!(told(&found), told(&wanted), "the regulars' findings are the same");
    detector.fold(&company(5, 24, 29..30));
    assert_eq!(detector.stats().agents, stats.agents);
}

#[test]
fn one_event_in_a_hundred_from_ten_years_ahead_changes_no_finding_of_others() {
    for seed in 5..9 {
        let mut honest = company(seed, 24, 0..28);
        honest.extend(fraud(START + 28 * DAY + 36_000));
        let honest = numbered(honest);
        let ahead = |n: usize, near: &StampedEvent| {
            let second = near.event.time.as_micros() / 1_000_000 + 3_650 * DAY;
            let mut wrong = event("skewed-agent", "skewed", second, "clock.read");
            // A partition of its own, so that the others' places are the same.
            wrong.position.partition = schemas::KafkaPartition(3);
            wrong.position.offset = Offset(n as i64);
            wrong
        };
        let mut mixed = Vec::new();
        for (n, stamped) in honest.iter().enumerate() {
            if n % 100 == 99 {
                mixed.push(ahead(n / 100, stamped));
            }
            mixed.push(stamped.clone());
        }
        let (mut calm, mut detector) =
            (Detector::new(Config::default()), Detector::new(Config::default()));

        let wanted = calm.fold(&honest);
        let mut found = detector.fold(&mixed);

        found.retain(|one| one.agent_id.as_str() != "skewed-agent");
        let fraud = wanted.iter().filter(|one| one.summary.contains("vendor:shell-")).count();
        assert!(10 < fraud && 100 < wanted.len(), "{wanted:#?}");
        assert_eq!(found, wanted, "seed {seed}");
        assert_eq!(detector.stats().ahead, (honest.len() / 100) as u64);
    }
}

/// Folds a history and then `attack`; gives the attack's findings.
fn findings_of(attack: Vec<StampedEvent>, seed: u64) -> Vec<Finding> {
    let mut detector = Detector::new(Config::default());
    detector.fold(&company(seed, 60, 0..28));
    detector.fold(&numbered(attack))
}

#[test]
fn the_first_order_to_a_shell_company_is_a_finding_to_wake_somebody_for() {
    let mut caught = 0;
    for seed in 0..3 {
        let attack = (0..20)
            .map(|n| {
                let second = START + 28 * DAY + 10 * 3_600 + 60 * n;
                let made =
                    event("procurement-agent-6", "procurement", second, "procurement.approve");
                with(paying(made, 49_100.0 + 37.0 * n as f64), &format!("vendor:shell-{n}"))
            })
            .collect();
        let found = findings_of(attack, seed);
        let first = found.first().expect("something is found");
        caught += usize::from(first.position.offset == Offset(0));
        assert!(Severity::Page <= first.severity, "{first:#?}");
        assert!(first.summary.contains("never in"), "{first:#?}");
        let shares: f32 = first.features.iter().map(|feature| feature.share).sum();
        assert!((shares - 1.0).abs() < 1e-3);
    }
    assert_eq!(caught, 3);
}

#[test]
fn a_stolen_key_used_from_elsewhere_is_found_and_a_move_of_everybody_is_not() {
    let attack = (0..10)
        .map(|n| {
            let mut made = with(
                event("support-agent-7", "support", START + 28 * DAY + 36_000 + n, "customer.read"),
                "customer:support-1",
            );
            made.event.source_ip = Some("203.0.113.7".parse().unwrap());
            made.event.user_agent = Some("curl/8".to_owned());
            made
        })
        .collect();

    let found = findings_of(attack, 1);

    assert!((1..=2).contains(&found.len()), "{found:#?}");
    assert!(found.iter().all(|one| one.detector == DetectorKind::StolenCredential), "{found:#?}");
    assert!(Severity::Page <= found[0].severity, "{found:#?}");
}

#[test]
fn false_findings_over_benign_days_stay_near_the_budget() {
    let (mut findings, mut pages, mut agent_days) = (0, 0, 0);
    for seed in 20..23 {
        let mut detector = Detector::new(Config::default());
        detector.fold(&company(seed, 60, 0..14));
        let found = detector.fold(&company(seed, 60, 14..28));
        findings += found.len();
        pages += found.iter().filter(|one| Severity::Page <= one.severity).count();
        agent_days += 60 * 10;
    }
    let rate = findings as f64 / f64::from(agent_days);
    let page_rate = pages as f64 / f64::from(agent_days);
    // Within a factor of two of the budgets.
    assert!(rate < 0.2 && page_rate < 0.06, "{rate} {page_rate}");
}

#[test]
fn repetitions_are_folded_into_the_open_finding() {
    let attack = (0..30)
        .map(|n| {
            let second = START + 28 * DAY + 36_000 + 20 * n;
            let made = event("invoice-agent-8", "invoice", second, "invoice.approve");
            with(paying(made, 45_000.0), "account:mule")
        })
        .collect();

    let found = findings_of(attack, 2);

    let about_it: Vec<_> =
        found.iter().filter(|one| one.detector == DetectorKind::NewCounterparty).collect();
    assert!(about_it.len() <= 4, "{}", about_it.len());
    assert!(!found.is_empty());
}

#[test]
fn denied_attempts_make_nothing_known() {
    let attack = (0..40)
        .map(|n| {
            let second = START + 28 * DAY + 36_000 + 20 * n;
            let made = event("invoice-agent-8", "invoice", second, "invoice.approve");
            let mut made = with(paying(made, 45_000.0), &format!("account:mule-{n}"));
            made.event.outcome = Outcome::Denied;
            made
        })
        .collect();

    let found = findings_of(attack, 3);

    assert!(found.iter().any(|one| Severity::Page <= one.severity), "{found:#?}");
    assert!(found.iter().all(|one| one.money_at_risk.is_none_or(|money| money.as_cents() == 0)));
}

#[test]
fn an_agent_whose_clock_was_wrong_for_a_while_is_watched_again_once_it_is_right() {
    let mut detector = Detector::new(Config::default());
    detector.fold(&company(4, 60, 0..28));
    let noon = START + 28 * DAY + 12 * 3_600;
    let others = (0..20).flat_map(|n| {
        ["mail-agent-4", "deploy-agent-3"].map(|name| event(name, "mail", noon + n, "mail.read"))
    });
    detector.fold(&numbered(others.collect()));
    let ahead = event("invoice-agent-8", "invoice", noon + 20 * 3_600, "invoice.read");
    detector.fold(&numbered(vec![ahead]));
    let agent = |detector: &Detector| detector.agent("invoice-agent-8").last_second;
    assert!(noon as u32 + 19 * 3_600 < agent(&detector));

    let right = event("invoice-agent-8", "invoice", noon + 60, "invoice.read");
    detector.fold(&numbered(vec![right]));

    assert_eq!(agent(&detector), noon as u32 + 60);
}

#[test]
fn a_flood_of_new_names_takes_no_baseline_from_regulars() {
    let mut detector = Detector::new(Config::default().with_agents_max(1_024));
    detector.fold(&company(5, 24, 0..4));
    let mut regulars: Vec<String> =
        company(5, 24, 0..4).iter().map(|one| one.event.agent_id.as_str().to_owned()).collect();
    regulars.sort_unstable();
    regulars.dedup();
    let before: Vec<u32> = regulars.iter().map(|name| detector.agent(name).events).collect();
    let flood: Vec<StampedEvent> = (0..10_240)
        .map(|n| event(&format!("sub-{n}"), "sub", START + 5 * DAY + n * 10, "task.run"))
        .collect();

    detector.fold(&numbered(flood));

    let after: Vec<u32> = regulars.iter().map(|name| detector.agent(name).events).collect();
    assert_eq!(after, before);
}

#[test]
fn what_would_be_thought_of_an_event_is_what_is_thought_of_it_and_changes_nothing() {
    let events = troubled_company(7, 12);
    let (past, rest) = events.split_at(events.len() - 300);
    let mut detector = Detector::new(Config::default());
    detector.fold(past);
    let mut judged = 0;
    for stamped in rest {
        let before = checkpoint_of(&mut detector);
        let assessment = detector.score(stamped);
        assert!(checkpoint_of(&mut detector) == before);

        let (findings, scores) = detector.fold_scored(std::slice::from_ref(stamped));

        // A turn of the clock comes with the event itself.
        if assessment.score == scores[0] {
            judged += 1;
        }
        assert!(findings.is_empty() || assessment.finding.is_some());
    }
    assert!(290 < judged, "{judged}");
}

#[test]
fn another_model_softens_volumes_and_keeps_counterparties() {
    let mut detector = Detector::new(Config::default());
    let mut with_model = |model: &str, days: std::ops::Range<i64>| {
        let mut events = company(6, 6, days);
        for stamped in &mut events {
            stamped.event.model = Some(model.to_owned());
        }
        detector.fold(&events);
        let agent = detector.agent("procurement-agent-0");
        (agent.volume.active_hours(), agent.edges.clone())
    };
    let (before, _) = with_model("m-1", 0..14);
    let (after, edges) = with_model("m-2", 14..15);

    assert!(after < 0.5 * before, "{before} {after}");
    assert_ne!(edges, crate::memory::Memory::default());
}

#[test]
fn money_at_risk_is_what_was_paid_once_per_order() {
    let attack = (0..6)
        .flat_map(|n| {
            let second = START + 28 * DAY + 36_000 + 90 * n;
            let cost = 40_000.0 + f64::from(n as u32);
            ["order.create", "order.approve"].map(|action| {
                let made = event("procurement-agent-6", "procurement", second, action);
                with(paying(made, cost), "vendor:shell")
            })
        })
        .collect();

    let found = findings_of(attack, 4);

    let most =
        found.iter().filter_map(|one| one.money_at_risk).map(schemas::Amount::as_cents).max();
    assert!(most.unwrap() <= 6 * 4_000_600, "{most:?}");
}
