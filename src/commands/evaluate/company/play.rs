//! [`Play`]: a simulated company through the detector: how many false findings normal days cost at each
//! budget, and what is found of each attack, when, and for how much money.
//!
//! Invariant: nothing of an event is known before it is judged; each attack is played on its own, from
//! the state that the normal days left behind. The same seed gives the same figures.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use detect::{Config, Detector};
use schemas::{
    CredentialEvent, Finding, KafkaPartition, Offset, Offsets, Outcome, Part, Position, Registry,
    Severity, StampedEvent, Timestamp, Topic,
};
use serde::Serialize;
use simulate::{Company, ScenarioKind, Settings, SimulatedEvent};

/// Days of which no finding counts. Source: the first month of a deployment, as in docs/detection.md.
const HISTORY_DAYS: u64 = 30;
/// After the last normal day an attack begins on the next one at ten.
const ATTACK_AFTER: Duration = Duration::from_hours(24 + 10);
/// Normal work goes on for so long after an attack's last event.
const AFTERMATH: Duration = Duration::from_hours(2);
/// Events folded at once; what is found does not depend on it.
const BATCH: usize = 8_192;

const SEVERITIES: [Severity; 3] = [Severity::Review, Severity::Page, Severity::Block];

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Play {
    pub(super) seed: u64,
    pub(super) agents: usize,
    /// More than [`HISTORY_DAYS`].
    pub(super) days: u64,
}

/// False findings at a budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Level {
    /// False findings per agent and day that are expected at most.
    pub(super) budget: f64,
    pub(super) observed: f64,
    pub(super) ratio: f64,
}

/// What was found of an attack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Attacked {
    pub(super) attack: ScenarioKind,
    pub(super) events: usize,
    /// The malicious event that the first finding names, from 1; absent: nothing was found.
    pub(super) found_at_event: Option<usize>,
    pub(super) severity: Option<&'static str>,
    pub(super) detector: Option<&'static str>,
    pub(super) seconds_to_detect: Option<f64>,
    /// Units that malicious events moved before the first finding's event, in whatever currency; all of
    /// them if nothing was found.
    pub(super) money_before: f64,
    pub(super) money_in_all: f64,
    /// The same up to the first finding worth stopping the agent.
    pub(super) blocked_at_event: Option<usize>,
}

/// The figures of a play.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Played {
    pub(super) seed: u64,
    pub(super) events: u64,
    pub(super) agent_days: usize,
    pub(super) calibration: Vec<Level>,
    /// By baselines, by detector.
    pub(super) false_findings: BTreeMap<&'static str, usize>,
    /// What the registry has against uses, which spends nothing of a budget.
    pub(super) registry_findings: BTreeMap<&'static str, usize>,
    pub(super) attacks: Vec<Attacked>,
}

impl Play {
    /// Plays; `tell` hears how many events were folded, and says whether to go on.
    pub(super) fn play(self, tell: &mut dyn FnMut(u64) -> bool) -> Option<Played> {
        let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a time");
        let company = Company::new(&Settings::new(self.seed, self.agents, start));
        let day = |n: u64| start.plus(Duration::from_hours(24 * n));
        let mut detector = Detector::new(Config::default());
        let mut stage = Stage { registry: registry(&company, start), folded: 0, tell };
        stage.fold(&mut detector, company.events(day(0), day(HISTORY_DAYS)), |_| ())?;
        let (mut pairs, mut findings) = (BTreeSet::new(), Vec::new());
        let normal = company.events(day(HISTORY_DAYS), day(self.days));
        stage.fold(&mut detector, normal, |scene| {
            for one in &scene.events {
                pairs.insert((one.event.time.day(), one.event.agent_id.clone()));
            }
            findings.append(&mut scene.findings);
        })?;
        let mut checkpoint = Vec::new();
        let written = detector.snapshot().write(&Offsets::default(), &mut checkpoint);
        written.expect("memory takes it");
        drop(detector);
        let mut attacks = Vec::new();
        for kind in ScenarioKind::ALL {
            let (mut detector, _) = Detector::read_checkpoint(Config::default(), &checkpoint[..])
                .expect("written just now");
            let malicious = company.attack(kind, day(self.days).plus(ATTACK_AFTER));
            let end = malicious.last().map_or(day(self.days), |one| one.event.time);
            let normal = company.events(day(self.days), end.plus(AFTERMATH));
            let mut attack = Attack::default();
            stage.fold(&mut detector, merged(normal, malicious), |scene| attack.note(scene))?;
            attacks.push(attack.told(kind));
        }
        let (of_registry, findings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(Finding::is_of_registry);
        let budgets = Config::default().budgets();
        let budgets = [budgets.review(), budgets.page(), budgets.block()];
        let level = |(severity, budget): (Severity, f64)| {
            let found = findings.iter().filter(|finding| severity <= finding.severity).count();
            let observed = share(found, pairs.len());
            Level { budget, observed, ratio: observed / budget }
        };
        Some(Played {
            seed: self.seed,
            events: stage.folded,
            agent_days: pairs.len(),
            calibration: SEVERITIES.into_iter().zip(budgets).map(level).collect(),
            false_findings: by_detector(&findings),
            registry_findings: by_detector(&of_registry),
            attacks,
        })
    }
}

fn by_detector(findings: &[Finding]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.detector.as_str()).or_default() += 1;
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "counts of a company")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// What the company told of its agents, all of it told before it began.
fn registry(company: &Company, start: Timestamp) -> Registry {
    let mut registry = Registry::default();
    for mut change in company.registry_changes() {
        change.recorded_at = Some(change.recorded_at.unwrap_or(start).min(start));
        registry.apply(&change).expect("it says when it was told");
    }
    registry
}

/// A batch of events and what was found in it.
struct Scene {
    events: Vec<StampedEvent>,
    is_malicious: Vec<bool>,
    findings: Vec<Finding>,
}

/// Where events become records that are read as they happen.
struct Stage<'a> {
    registry: Registry,
    folded: u64,
    tell: &'a mut dyn FnMut(u64) -> bool,
}

impl Stage<'_> {
    /// Folds events and gives `note` each batch; `None` if nobody wants to go on.
    fn fold(
        &mut self,
        detector: &mut Detector,
        events: impl Iterator<Item = SimulatedEvent>,
        mut note: impl FnMut(&mut Scene),
    ) -> Option<()> {
        let topic = Topic::new("uses");
        let mut events = events.peekable();
        while events.peek().is_some() {
            let mut scene =
                Scene { events: Vec::new(), is_malicious: Vec::new(), findings: Vec::new() };
            for one in events.by_ref().take(BATCH) {
                let offset = Offset(i64::try_from(self.folded).expect("far fewer"));
                let position = Position {
                    topic: topic.clone(),
                    partition: KafkaPartition(0),
                    offset,
                    part: Part::FIRST,
                };
                let event = one.event.into_event(&position).expect("a simulated event is sound");
                let read_at = event.time;
                scene.events.push(StampedEvent::stamp(event, position, read_at, &self.registry));
                scene.is_malicious.push(one.truth.is_malicious);
                self.folded += 1;
            }
            scene.findings = detector.fold(&scene.events);
            note(&mut scene);
            if !(self.tell)(self.folded) {
                return None;
            }
        }
        Some(())
    }
}

/// Two streams in the order of time.
fn merged(
    normal: impl Iterator<Item = SimulatedEvent>,
    malicious: Vec<SimulatedEvent>,
) -> impl Iterator<Item = SimulatedEvent> {
    let (mut normal, mut malicious) = (normal.peekable(), malicious.into_iter().peekable());
    std::iter::from_fn(move || match (normal.peek(), malicious.peek()) {
        (Some(one), Some(other)) if other.event.time < one.event.time => malicious.next(),
        (Some(_), _) => normal.next(),
        (None, _) => malicious.next(),
    })
}

/// An attack while it is played.
#[derive(Default)]
struct Attack {
    events: usize,
    began: Option<Timestamp>,
    money: f64,
    first: Option<Found>,
    block: Option<usize>,
}

struct Found {
    number: usize,
    after: Duration,
    money_before: f64,
    severity: Severity,
    detector: &'static str,
}

impl Attack {
    fn note(&mut self, scene: &mut Scene) {
        let Scene { events, is_malicious, findings } = scene;
        let mut findings = findings.iter().peekable();
        for (stamped, is_malicious) in events.iter().zip(is_malicious) {
            let finding = findings.next_if(|finding| finding.position == stamped.position);
            if !*is_malicious {
                continue;
            }
            self.events += 1;
            let time = stamped.event.time;
            let began = *self.began.get_or_insert(time);
            if let Some(finding) = finding {
                if finding.severity == Severity::Block {
                    self.block.get_or_insert(self.events);
                }
                let micros = time.as_micros() - began.as_micros();
                self.first.get_or_insert(Found {
                    number: self.events,
                    after: Duration::from_micros(micros.unsigned_abs()),
                    money_before: self.money,
                    severity: finding.severity,
                    detector: finding.detector.as_str(),
                });
            }
            self.money += paid(&stamped.event);
        }
    }

    fn told(self, attack: ScenarioKind) -> Attacked {
        let first = self.first.as_ref();
        Attacked {
            attack,
            events: self.events,
            found_at_event: first.map(|found| found.number),
            severity: first.map(|found| found.severity.as_str()),
            detector: first.map(|found| found.detector),
            seconds_to_detect: first.map(|found| found.after.as_secs_f64()),
            money_before: first.map_or(self.money, |found| found.money_before),
            money_in_all: self.money,
            blocked_at_event: self.block,
        }
    }
}

/// Actions of the simulated company that move money; the order before an approval does not.
const PAYING: [&str; 4] = ["order.approve", "invoice.approve", "payment.release", "refund.create"];

/// Units that an event moved.
fn paid(event: &CredentialEvent) -> f64 {
    if event.outcome != Outcome::Success || !PAYING.contains(&event.action.as_str()) {
        return 0.0;
    }
    event.amount.map_or(0.0, schemas::Amount::as_units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_played_with_its_attacks_and_can_be_stopped() {
        let play = Play { seed: 1, agents: 20, days: 33 };
        let mut heard = 0;
        let played = play
            .play(&mut |folded| {
                heard = folded;
                true
            })
            .unwrap();

        assert_eq!((played.events, played.attacks.len(), played.calibration.len()), (heard, 5, 3));
        assert!(40 < played.agent_days, "{}", played.agent_days);
        let fraud = &played.attacks[0];
        assert!(fraud.found_at_event.is_some_and(|event| event < 10), "{fraud:?}");
        assert!(fraud.money_before < fraud.money_in_all && 1e6 < fraud.money_in_all, "{fraud:?}");
        assert_eq!(play.play(&mut |_| false), None);
    }
}
