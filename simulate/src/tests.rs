//! What a company promises, tested from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use schemas::{
    CredentialKind, KafkaPartition, NativeEvent, Offset, Part, Position, Registry, Timestamp,
    Topic, Trace, TraceStatus,
};

use super::*;

/// A Monday.
const START: &str = "2026-06-01T00:00:00Z";
const DAY: Duration = Duration::from_hours(24);

fn start() -> Timestamp {
    Timestamp::parse(START).unwrap()
}

/// A company whose agents do less, for tests that need many agents or days.
fn quiet_company(agents: usize, events_per_agent_day: f64) -> Company {
    Company::new(&Settings { events_per_agent_day, ..Settings::new(7, agents, start()) })
}

fn company(agents: usize) -> Company {
    Company::new(&Settings::new(7, agents, start()))
}

fn days(company: &Company, from: u32, to: u32) -> Vec<SimulatedEvent> {
    company.events(start().plus(DAY * from), start().plus(DAY * to)).collect()
}

fn hash(events: impl Iterator<Item = SimulatedEvent>) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    let (mut count, mut line) = (0, Vec::new());
    for one in events {
        line.clear();
        output::write_json(&one.event, &mut line);
        hasher.write(&line);
        hasher.write(format!("{:?}", one.truth).as_bytes());
        count += 1;
    }
    (count, hasher.finish())
}

fn position() -> Position {
    Position {
        topic: Topic::new("uses"),
        partition: KafkaPartition(0),
        offset: Offset(0),
        part: Part::FIRST,
    }
}

#[test]
fn the_same_settings_give_the_same_bytes() {
    let end = start().plus(DAY * 3);

    let first = hash(company(200).events(start(), end).take(20_000));
    let again = hash(company(200).events(start(), end).take(20_000));
    let other =
        hash(Company::new(&Settings::new(8, 200, start())).events(start(), end).take(20_000));

    assert_eq!(first.0, 20_000);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// If this fails on one machine only, the platform's arithmetic has come in; if it fails
/// everywhere, somebody changed what is simulated, and recorded results no longer compare.
#[test]
fn the_bytes_are_the_same_on_every_machine_and_in_every_release() {
    let mut bytes = Vec::new();
    for one in company(30).events(start(), start().plus(DAY)).take(2_000) {
        output::write_event(&one.event, &mut bytes).unwrap();
    }

    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    assert_eq!(format!("{} {sum:016x}", bytes.len()), "1270615 79cb2ebbc721be79");
}

#[test]
fn cutting_a_range_in_two_changes_nothing() {
    let mut settings = Settings::new(7, 60, start());
    settings.scenarios = vec![Scenario {
        kind: ScenarioKind::ProcurementFraud,
        start: start().plus(DAY + Duration::from_hours(10)),
    }];
    let company = Company::new(&settings);
    let (from, to) = (start().plus(Duration::from_mins(500)), start().plus(DAY * 2));
    let whole = hash(company.events(from, to));

    // The last cut falls into the fraud.
    for seconds in [30_001_u64, 61_234, 86_400, 123_500] {
        let cut = start().plus(Duration::from_secs(seconds));
        let both = company.events(from, cut).chain(company.events(cut, to));
        assert_eq!(hash(both), whole, "cut at {cut}");
    }
}

#[test]
fn time_never_goes_back_and_stays_in_the_range() {
    let company = company(100);
    let (from, to) = (start().plus(Duration::from_hours(11)), start().plus(DAY));
    let mut last = from;
    for one in company.events(from, to) {
        assert!(last <= one.event.time && one.event.time < to);
        last = one.event.time;
    }
    assert!(from < last);
}

#[test]
fn an_attack_or_more_agents_change_nothing_of_the_others() {
    let attacked = |agents, scenarios| {
        let mut settings = Settings::new(7, agents, start());
        settings.scenarios = scenarios;
        let company = Company::new(&settings);
        days(&company, 0, 2)
    };
    let all = ScenarioKind::ALL.map(|kind| Scenario { kind, start: start().plus(DAY / 3) });
    let plain = attacked(40, vec![]);

    let mut with_attacks = attacked(40, all.to_vec());
    let malicious = with_attacks.iter().filter(|one| one.truth.is_malicious).count();
    with_attacks.retain(|one| !one.truth.is_malicious);
    let larger = attacked(50, vec![]);
    let names: BTreeSet<_> = plain.iter().map(|one| &one.event.agent_id).collect();
    let first_forty = larger.iter().filter(|one| names.contains(&one.event.agent_id));

    assert!(400 < malicious, "{malicious}");
    assert!(with_attacks == plain);
    assert!(first_forty.eq(plain.iter()));
}

#[test]
fn every_class_is_at_work_every_day_in_a_company_of_twenty() {
    for day in 0..2 {
        let events = days(&company(20), day, day + 1);
        let classes: BTreeSet<_> =
            events.iter().map(|one| one.event.agent_class.clone().unwrap()).collect();
        // 15 and the three of short-lived agents.
        assert_eq!(classes.len(), 18, "{classes:?}");
    }
}

#[test]
fn activity_is_what_was_asked_for() {
    let company = quiet_company(1_000, 8.0);
    let events = days(&company, 0, 7).len();
    let expected = company.events_per_day() * 7.0;

    assert!((company.events_per_day() / 1_000.0 - 8.0).abs() < 0.8, "{}", company.events_per_day());
    let ratio = f64::from(u32::try_from(events).unwrap()) / expected;
    assert!((0.9..1.1).contains(&ratio), "{events} of {expected}");
}

#[test]
fn the_week_and_the_day_have_their_rhythm() {
    let events = days(&company(40), 0, 7);
    let mut office = [0; 168];
    for one in &events {
        if one.event.agent_class.as_ref().unwrap().as_str() == "procurement" {
            office[one.event.time.hour_of_week()] += 1;
        }
    }

    let monday: u32 = office[..24].iter().sum();
    let sunday: u32 = office[144..].iter().sum();
    let night: u32 = (0..5).map(|day| office[day * 24..day * 24 + 4].iter().sum::<u32>()).sum();
    let morning: u32 =
        (0..5).map(|day| office[day * 24 + 8..day * 24 + 12].iter().sum::<u32>()).sum();
    assert!(sunday * 10 < monday, "{sunday} {monday}");
    assert!(night * 20 < morning, "{night} {morning}");
    assert!(events.iter().any(|one| one.event.time.hour_of_week() == 3));
}

#[test]
fn agents_deal_with_somebody_new_ever_less_often() {
    let mut met: BTreeMap<_, (u32, BTreeSet<_>)> = BTreeMap::new();
    let (mut early, mut late) = ((0, 0), (0, 0));
    for one in days(&company(40), 0, 14) {
        let NativeEvent { agent_id, counterparty_id: Some(party), .. } = one.event else {
            continue;
        };
        if !agent_id.as_str().starts_with("procurement-agent") {
            continue;
        }
        let (events, known) = met.entry(agent_id).or_default();
        let bin = match *events {
            0..32 => &mut early,
            256..512 => &mut late,
            _ => &mut (0, 0),
        };
        bin.0 += u32::from(known.insert(party));
        bin.1 += 1;
        *events += 1;
    }

    let share = |(new, all): (u32, u32)| f64::from(new) / f64::from(all);
    assert!(0.07 < share(early), "{early:?}");
    assert!(share(late) * 4.0 < share(early), "{late:?} {early:?}");
    assert!(500 < late.1, "{late:?}");
}

#[test]
fn amounts_have_a_heavy_tail_and_two_currencies() {
    let events = days(&company(40), 0, 5);
    let paid = events.iter().filter(|one| one.event.action == "invoice.approve");
    let mut cents: Vec<i64> =
        paid.clone().map(|one| one.event.amount.unwrap().as_cents()).collect();
    cents.sort_unstable();
    let (median, max) = (cents[cents.len() / 2], cents[cents.len() - 1]);
    let currencies: BTreeSet<_> = paid.map(|one| one.event.currency.unwrap().to_string()).collect();

    assert!(median * 10 < max, "{median} {max}");
    assert!((50_000..400_000).contains(&median), "{median}");
    assert_eq!(currencies, BTreeSet::from(["EUR".to_owned(), "USD".to_owned()]));
}

#[test]
fn every_event_survives_json_and_becomes_an_event() {
    let mut settings = Settings::new(3, 60, start());
    settings.scenarios =
        ScenarioKind::ALL.map(|kind| Scenario { kind, start: start().plus(DAY / 2) }).to_vec();
    let mut ids = BTreeSet::new();
    for one in days(&Company::new(&settings), 0, 2) {
        let mut line = Vec::new();
        output::write_json(&one.event, &mut line);

        let read: NativeEvent = serde_json::from_slice(&line).unwrap();

        assert_eq!(read, one.event);
        assert!(ids.insert(read.event_id.clone()), "{:?} stands twice", read.event_id);
        read.into_event(&position()).unwrap();
    }
}

/// What of the company's story is traced: 20 days of 250 agents, or what these variables say when this is
/// compiled. A million events: `SURETY_SIMULATED_DAYS=90 SURETY_SIMULATED_AGENTS=2320 cargo test -p
/// simulate the_registry_leads -- --nocapture`.
fn days_and_agents_traced() -> (u32, u32) {
    let said = |said: Option<&str>| said.and_then(|number| number.parse().ok());
    let days = said(option_env!("SURETY_SIMULATED_DAYS"));
    let agents = said(option_env!("SURETY_SIMULATED_AGENTS"));
    (days.unwrap_or(20), agents.unwrap_or(250))
}

/// How sure the sponsor of a trace is: the least confidence of each level.
const LEVELS: [(&str, f32); 4] =
    [("sure", 0.95), ("likely", 0.75), ("weak", f32::EPSILON), ("none", 0.0)];

#[test]
#[expect(clippy::print_stdout, reason = "what a person asks a longer run for")]
fn the_registry_leads_to_the_true_sponsor_or_to_a_gap_that_says_why() {
    let (days, agents) = days_and_agents_traced();
    let company = quiet_company(agents as usize, 5.0);
    let mut registry = Registry::default();
    for change in company.registry_changes() {
        registry.apply(&change).unwrap();
    }
    // By what is known now, and by what was known when it happened.
    for known_now in [true, false] {
        let (mut statuses, mut methods) = (BTreeMap::new(), BTreeMap::new());
        let mut gaps: BTreeMap<_, u64> = BTreeMap::new();
        let mut split = BTreeMap::new();
        let mut sponsors: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let (mut traced, mut owned, mut all) = (0_u64, 0_u64, 0_u64);
        for one in company.events(start(), start().plus(DAY * days)) {
            let known_at = if known_now { Timestamp::MAX } else { one.event.time };
            let event = one.event.into_event(&position()).unwrap();
            let trace = Trace::of(&event, &registry, known_at);
            all += 1;
            owned += u64::from(one.truth.sponsor.is_some());
            *statuses.entry(trace.status).or_insert(0_u64) += 1;
            for hop in &trace.hops {
                *methods.entry(hop.method.as_str()).or_insert(0_u64) += 1;
            }
            let (level, _) =
                LEVELS[LEVELS.iter().position(|(_, least)| *least <= trace.confidence).unwrap()];
            *split.entry(level).or_insert(0_u64) += 1;
            if let Some(sponsor) = trace.sponsor_id {
                assert_eq!(Some(&sponsor), one.truth.sponsor.as_ref(), "{event:?}");
                traced += 1;
                sponsors.entry(event.agent_id).or_default().insert(sponsor);
            } else {
                let gap = trace.gap.expect("a trace without a sponsor says why");
                let reason = gap.reason.trim_start_matches(|c: char| c.is_ascii_digit());
                *gaps.entry(reason.to_owned()).or_default() += 1;
            }
        }

        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = |part: u64, of: u64| part as f64 / of as f64;
        let (of_all, of_owned) = (share(traced, all), share(traced, owned));
        let given_on = sponsors.values().filter(|of| 1 < of.len()).count();
        println!("known {}: {all} events", if known_now { "now" } else { "when it happened" });
        println!(
            "  traced {of_all:.4}, of those that somebody answers for {of_owned:.4}, none wrong"
        );
        println!("  confidence {split:?}; {statuses:?}; {methods:?}");
        println!("  gaps {gaps:?}; agents that were given to others {given_on}");
        assert!((0.85..0.99).contains(&of_all), "{of_all}");
        // Somebody left, somebody left to the manager, agents were moved; sub-agents, shared accounts.
        assert!(10 < given_on, "{given_on}");
        for method in
            ["registry", "registry_credential", "registry_manager", "registry_class", "claimed"]
        {
            assert!(0 < methods[method], "{method}");
        }
        let seen: BTreeSet<_> = statuses.into_keys().collect();
        assert_eq!(seen, TraceStatus::ALL.iter().copied().collect());
        assert!(gaps.keys().any(|gap| gap == "the sponsor was no longer active at that time"));
    }
}

#[test]
fn keys_are_static_and_shared_as_often_as_in_real_companies() {
    let mut shares = BTreeMap::new();
    let mut users: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for one in days(&quiet_company(500, 15.0), 0, 1) {
        let NativeEvent { agent_id, agent_class, credential_id, credential_kind, .. } = one.event;
        shares.insert(agent_id, credential_kind);
        if credential_id.as_str() == "svc-erp-purchasing" {
            users.entry(agent_class.unwrap()).or_default().insert(one.event.session_id);
        }
    }

    let is_short_lived = |id: &schemas::AgentId| {
        ["research-sub-", "pipeline-worker-", "ci-runner-"]
            .iter()
            .any(|stem| id.as_str().starts_with(stem))
    };
    let permanent: Vec<_> = shares.iter().filter(|(id, _)| !is_short_lived(id)).collect();
    let share =
        |kind| permanent.iter().filter(|(_, one)| **one == kind).count() * 100 / permanent.len();
    assert!((38..50).contains(&share(CredentialKind::StaticKey)));
    assert!((29..41).contains(&share(CredentialKind::ServiceAccountToken)));
    assert_eq!(
        users.keys().map(schemas::AgentClass::as_str).collect::<Vec<_>>(),
        ["erp-sync", "invoice", "procurement", "treasury"]
    );
}

#[test]
fn the_fraud_is_what_the_documentation_says() {
    for seed in 0..20 {
        let company = Company::new(&Settings::new(seed, 20, start()));
        let events = company.attack(ScenarioKind::ProcurementFraud, start().plus(DAY));
        let orders: Vec<_> = events.iter().filter(|one| one.truth.is_fraudulent_order).collect();
        let cents: Vec<i64> =
            orders.iter().map(|one| one.event.amount.unwrap().as_cents()).collect();
        let vendors: BTreeSet<_> =
            orders.iter().map(|one| one.event.counterparty_id.clone().unwrap()).collect();

        assert_eq!(orders.len(), FRAUD_ORDERS as usize, "seed {seed}");
        assert_eq!(events.len(), 2 * FRAUD_ORDERS as usize, "each is created, then approved");
        assert_eq!(cents.iter().sum::<i64>(), FRAUD_TOTAL_CENTS, "seed {seed}");
        assert!(cents.iter().all(|cents| (4_750_000..=4_999_000).contains(cents)), "{cents:?}");
        assert_eq!(vendors.len(), 6, "seed {seed}");
        assert!(events.iter().all(|one| one.event.agent_id.as_str() == FRAUD_AGENT));
        assert!(events.iter().all(|one| one.event.credential_id.as_str() == "svc-erp-purchasing"));
        assert!(events.iter().all(|one| one.event.currency.unwrap().as_str() == "EUR"));
    }
}

#[test]
fn the_compromised_agent_goes_on_with_its_normal_work() {
    let mut settings = Settings::new(7, 20, start());
    let fraud =
        Scenario { kind: ScenarioKind::ProcurementFraud, start: start().plus(DAY + DAY / 3) };
    settings.scenarios = vec![fraud];
    let company = Company::new(&settings);
    let events = company.events(fraud.start, fraud.start.plus(DAY / 3));
    let own = events.filter(|one| one.event.agent_id.as_str() == FRAUD_AGENT);
    let (bad, good): (Vec<_>, Vec<_>) = own.partition(|one| one.truth.is_malicious);

    assert_eq!(bad.len(), 130);
    assert!(10 < good.len(), "{}", good.len());
    let subnet = |one: &SimulatedEvent| one.event.source_ip.unwrap().to_string()[..6].to_owned();
    assert!(good.iter().all(|one| subnet(one) == subnet(&bad[0])));
}

#[test]
fn attacks_stay_within_their_time_and_are_all_malicious() {
    for agents in [10, 20, 300] {
        let company = company(agents);
        for kind in ScenarioKind::ALL {
            let begin = start().plus(DAY * 2 + DAY / 4);
            let events = company.attack(kind, begin);
            let times: Vec<_> = events.iter().map(|one| one.event.time).collect();

            assert!(60 < events.len(), "{kind:?} {}", events.len());
            assert!(times.is_sorted());
            assert!(
                begin <= times[0] && times[times.len() - 1] < begin.plus(kind.duration_max()),
                "{kind:?}"
            );
            assert!(
                events.iter().all(|one| one.truth.is_malicious && one.truth.scenario == Some(kind))
            );
            let agents: BTreeSet<_> = events.iter().map(|one| &one.event.agent_id).collect();
            assert_eq!(agents.len(), 1, "{kind:?}");
        }
    }
}

#[test]
fn a_very_busy_agent_is_poisoned_in_the_same_time_as_any_other() {
    let kind = ScenarioKind::SlowPoisoning;
    for (seed, hour) in (0..8).zip([0_u32, 7, 12, 23].into_iter().cycle()) {
        let settings = Settings::new(seed, 20, start());
        let company = Company::new(&Settings { events_per_agent_day: 50_000.0, ..settings });
        let begin = start().plus(DAY + Duration::from_hours(u64::from(hour)));

        let events = company.attack(kind, begin);

        let last = events.last().unwrap().event.time;
        assert!(last < begin.plus(kind.duration_max()), "seed {seed}: {last}");
        assert!(10_000 < events.len(), "seed {seed}: {}", events.len());
    }
}

#[test]
fn agents_differ_in_activity_by_orders_of_magnitude() {
    let mut counts = BTreeMap::new();
    for one in days(&quiet_company(1_000, 8.0), 0, 7) {
        *counts.entry(one.event.agent_id).or_insert(0_u32) += 1;
    }
    let mut counts: Vec<u32> = counts.into_values().collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let sum = |counts: &[u32]| counts.iter().sum::<u32>();

    let busiest = f64::from(sum(&counts[..10])) / f64::from(sum(&counts));
    assert!((0.06..0.30).contains(&busiest), "1 % of the agents do {busiest} of the work");
    assert!(counts[500] * 20 < counts[1], "{} {}", counts[500], counts[1]);
}

#[test]
fn a_stolen_key_is_used_from_a_foreign_network_only_to_read() {
    let company = company(100);
    let events = company.attack(ScenarioKind::StolenKey, start().plus(DAY));
    for one in &events {
        assert!(one.event.source_ip.unwrap().to_string().starts_with("192.0.2."));
        assert_eq!(one.event.credential_kind, CredentialKind::StaticKey);
        let verb = one.event.action.rsplit('.').next().unwrap();
        assert!(["list", "read"].contains(&verb), "{verb}");
    }
}

#[test]
fn honest_surprises_happen_when_told() {
    let company = quiet_company(300, 15.0);
    let mut seen: BTreeMap<BenignSurprise, BTreeSet<String>> = BTreeMap::new();
    for one in [(9, 10), (14, 16), (28, 30)]
        .map(|(from, to)| days(&company, from, to))
        .into_iter()
        .flatten()
    {
        assert!(!one.truth.is_malicious);
        if let Some(surprise) = one.truth.benign_surprise {
            seen.entry(surprise).or_default().insert(one.event.agent_id.to_string());
        }
    }

    assert_eq!(seen.len(), 4, "{:?}", seen.keys());
    assert!(5 < seen[&BenignSurprise::NewVendor].len());
    assert!(seen[&BenignSurprise::Backfill].contains("pipeline-agent-1"));
    assert!(seen[&BenignSurprise::MonthEnd].contains("invoice-agent-1"));
}

#[test]
fn nothing_looks_like_a_secret() {
    let mut settings = Settings::new(3, 40, start());
    settings.scenarios =
        ScenarioKind::ALL.map(|kind| Scenario { kind, start: start().plus(DAY / 2) }).to_vec();
    let company = Company::new(&settings);
    let mut text = Vec::new();
    for one in days(&company, 0, 1) {
        output::write_event(&one.event, &mut text).unwrap();
    }
    for change in company.registry_changes() {
        output::write_change(&change, &mut text).unwrap();
    }
    let text = String::from_utf8(text).unwrap();

    for mark in
        ["AKIA", "ASIA", "eyJ", "ghp_", "sk-", "xox", "whsec_", "BEGIN ", "Bearer", "password"]
    {
        assert!(!text.contains(mark), "{mark}");
    }
    let longest = text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max();
    assert!(longest < Some(24), "{longest:?}");
}

#[test]
fn bench_events_are_as_many_as_asked_and_in_order() {
    let events: Vec<_> = bench_events(500, 5_000, 1).collect();
    let mut per_agent: BTreeMap<_, u32> = BTreeMap::new();
    for event in &events {
        *per_agent.entry(&event.agent_id).or_default() += 1;
    }

    assert_eq!(events.len(), 5_000);
    assert!(events.is_sorted_by_key(|event| event.time));
    assert!(60 < per_agent.len(), "{}", per_agent.len());
    assert!(events.iter().all(|event| event.clone().into_event(&position()).is_ok()));
}
