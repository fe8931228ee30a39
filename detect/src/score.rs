//! [`Verdict`]: many surprises to one score, one expected rate of false findings, one severity.
//!
//! Each feature's raw surprise is first put on a common scale by its own curve (how rare is that in
//! an agent-hour of this class). Features that tell of the same thing form a group, of which the
//! strongest counts; groups are nearly independent, so the three strongest are added up, each a little
//! less; and the sum is calibrated once more, as a whole.
//!
//! Invariant: an event is a finding only if fewer than the review budget of findings as strong are
//! expected per agent and day, or if a person confirmed an attack with its counterparty or action.

use schemas::{DetectorKind, Finding, Severity};

use crate::agent::Agent;
use crate::class::{Class, ClassDelta, SCALES, TOTAL};
use crate::config::{Ablation, Config};
use crate::signs::{Feature, Group, Signs};
use crate::tails::probability_of;

/// Novelty of ten minutes adds up, to this at most, each counting a tenth more.
/// Source: detection.md section 6; the factor is measured, docs/detection.md.
const NOVEL_SECONDS: u32 = 600;
const NOVEL_FACTOR: f64 = 0.1;
const NOVEL_MAX: f64 = 6.0;
/// Less than that is no novelty to remember.
const NOVEL_MIN: f64 = 0.5;
/// A new action is less than a new counterparty; of both, the second counts less.
/// Source: detection.md section 6: the second likelihood counts 0.3.
const ACTION_FACTOR: f64 = 0.7;
const SECOND_FACTOR: f64 = 0.3;
/// What novelty counts beside the other groups: it is what tells attacks, see docs/detection.md.
const NOVELTY_FACTOR: f64 = 2.0;
/// The calibrated surprise of a group that one in 250 agent-hours has; what is more usual is noise.
/// Source: measured, docs/detection.md.
const USUAL: f64 = 2.4;
/// What the rarity of an action among those of its class counts where events are ranked.
/// Source: detection.md section 6: + 0.1 x rarity of (t, share of c).
const RARITY_FACTOR: f64 = 0.1;
/// What the strongest, second and third of the groups beside novelty count.
const FACTORS: [f64; 3] = [1.0, 0.75, 0.5];
/// The scale of the novelty as a whole: counterparty and action have one together.
const NOVELTY: usize = Feature::Counterparty as usize;
/// And that of the broad sum, in which all groups count alike.
const BROAD: usize = Feature::Action as usize;
/// How the two sums share the budget: most attacks
/// are new, but a burst at night need not be.
const TOTAL_SHARE: f64 = 0.75;
const BROAD_SHARE: f64 = 0.25;
/// What makes one false finding comes back in so many agent-hours on average, and is told once.
/// Source: measured on the streams and on the simulated company, docs/detection.md.
const REPEATS: f64 = 1.25;
/// What the class's hours per day are worth, in days of the agent.
const HOURS_WORTH: f64 = 3.0;

const FEATURES: usize = SCALES - 1;

/// A feature's part in the score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub feature: Feature,
    /// Calibrated surprise.
    pub calibrated: f64,
    /// The same times the detector's weight.
    pub surprise: f64,
    /// What it added to the score.
    pub added: f64,
}

/// The parts of features that are unusual at all, at least one.
#[derive(Clone, Copy, Debug)]
struct Parts {
    len: usize,
    /// Those from `len` on mean nothing.
    parts: [Part; FEATURES],
}

impl Default for Parts {
    fn default() -> Self {
        let nothing = Part { feature: Feature::Calls, calibrated: 0.0, surprise: 0.0, added: 0.0 };
        Self { len: 0, parts: [nothing; FEATURES] }
    }
}

impl Parts {
    fn push(&mut self, part: Part) {
        self.parts[self.len] = part;
        self.len += 1;
    }

    fn all(&self) -> &[Part] {
        &self.parts[..self.len]
    }

    fn all_mut(&mut self) -> &mut [Part] {
        &mut self.parts[..self.len]
    }
}

/// The score of an event; where it is a finding, with the largest part first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    parts: Parts,
    pub score: f64,
    /// The calibrated surprise of the score.
    pub surprise: f64,
    pub false_per_agent_day: f64,
}

/// What is thought of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// How unusual, 0 for nothing at all: weighted minus decimal logarithms. Higher is rarer; it goes
    /// on beyond what the calibration can vouch for, and orders what is usual by how rare its action
    /// is.
    pub score: f64,
    /// False findings expected per agent and day at this level, no smaller than is known.
    pub false_per_agent_day: f64,
    /// How unlikely the volume is, before any calibration: the largest minus decimal logarithm of
    /// calls, writes, failures, money and dealings with one counterparty.
    pub volume: f64,
    /// How unlikely the amount is, before any calibration.
    pub amount: f64,
}

impl Default for Score {
    /// Of an event that has nothing unusual.
    fn default() -> Self {
        Self { score: 0.0, false_per_agent_day: 24.0, volume: 0.0, amount: 0.0 }
    }
}

impl Score {
    pub(crate) fn of(verdict: Option<&Verdict>, signs: &Signs, rarity: f64) -> Self {
        let usual = RARITY_FACTOR * rarity * signs.weight;
        let (volume, amount) = (signs.volume(), signs.amount.surprise);
        verdict.map_or(Self { score: usual, volume, amount, ..Self::default() }, |verdict| Self {
            score: verdict.score + usual,
            false_per_agent_day: verdict.false_per_agent_day,
            volume,
            amount,
        })
    }
}

/// An event judged before it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    pub score: Score,
    /// The finding that it would be, if it is within a budget; nobody was told of it.
    pub finding: Option<Finding>,
}

impl Verdict {
    /// Weighs the signs, and notes for the calibration how large they were.
    pub(crate) fn weigh(
        signs: &Signs,
        agent: &mut Agent,
        class: &Class,
        delta: &mut ClassDelta,
        config: &Config,
    ) -> Option<Self> {
        let surprises = signs.surprises();
        // Most events have nothing unusual, and are done with here.
        if surprises.iter().all(|raw| *raw <= 0.0) {
            return None;
        }
        let novelty = Novelty::of(&surprises, config, agent.novel_surprise_at());
        let mut novelty_calibrated = 0.0;
        let is_raw = config.is_without(Ablation::Calibration);
        let curve = |scale: usize, raw: f64| if is_raw { raw } else { class.curves[scale].at(raw) };
        let mut parts = Parts::default();
        for (feature, raw) in Feature::ALL.into_iter().zip(surprises) {
            if raw <= 0.0 {
                continue;
            }
            if feature.group() == Group::Novelty {
                let surprise = novelty.total * novelty.share_of(feature);
                parts.push(Part { feature, calibrated: curve(NOVELTY, raw), surprise, added: 0.0 });
                continue;
            }
            let scale = feature as usize;
            agent.note_surprise(scale, raw, delta);
            let calibrated = curve(scale, raw);
            let surprise = calibrated * config.detectors().weight(feature.detector());
            parts.push(Part { feature, calibrated, surprise, added: 0.0 });
        }
        if 0.0 < novelty.total {
            if !signs.is_told {
                agent.note_surprise(NOVELTY, novelty.total, delta);
            }
            novelty_calibrated = curve(NOVELTY, novelty.total);
            if NOVEL_MIN <= novelty.own {
                agent.note_novelty(novelty.own);
            }
        }
        if parts.all().iter().all(|part| part.surprise <= 0.0) {
            return None;
        }
        let mut added = [[0.0; FEATURES]; 2];
        let [narrow_added, broad_added] = &mut added;
        let usual = Sum { novelty: NOVELTY_FACTOR, usual: USUAL };
        let score = add_up(parts.all(), narrow_added, usual);
        let per_novelty = novelty_calibrated / novelty.total.max(1e-9);
        let broad = add_up(parts.all(), broad_added, Sum { novelty: per_novelty, usual: 0.0 });
        if !signs.is_told {
            agent.note_surprise(TOTAL, score, delta);
            agent.note_surprise(BROAD, broad, delta);
        }
        let hours = hours_per_day(agent, class);
        let narrow = Level { surprise: curve(TOTAL, score), hours: hours / TOTAL_SHARE };
        let broad = Level { surprise: curve(BROAD, broad), hours: hours / BROAD_SHARE };
        let (level, added) =
            if broad.is_rarer(&narrow) { (broad, broad_added) } else { (narrow, narrow_added) };
        for (part, added) in parts.all_mut().iter_mut().zip(added) {
            part.added = *added;
        }
        let false_per_agent_day = level.false_per_agent_day();
        if false_per_agent_day <= config.budgets().review() || signs.is_denied {
            parts.all_mut().sort_by(|a, b| b.added.total_cmp(&a.added));
        }
        Some(Self { parts, score, surprise: level.surprise, false_per_agent_day })
    }

    pub(crate) fn detector(&self) -> DetectorKind {
        self.parts()[0].feature.detector()
    }

    /// What is unusual.
    pub(crate) fn parts(&self) -> &[Part] {
        self.parts.all()
    }

    /// Whether a feature has a part in the score.
    pub(crate) fn adds(&self, feature: Feature) -> bool {
        self.parts().iter().any(|part| part.feature == feature && 0.0 < part.added)
    }

    /// What was denied is one level above what the score says, and worth a page at the least.
    pub(crate) fn severity(&self, signs: &Signs, config: &Config) -> Option<Severity> {
        let severity = self.severity_of_score(config);
        if !signs.is_denied {
            return severity;
        }
        Some(match severity {
            None | Some(Severity::Review) => Severity::Page,
            Some(Severity::Page | Severity::Block) => Severity::Block,
        })
    }

    fn severity_of_score(&self, config: &Config) -> Option<Severity> {
        let budgets = config.budgets();
        let rate = self.false_per_agent_day;
        if rate <= budgets.block() {
            Some(Severity::Block)
        } else if rate <= budgets.page() {
            Some(Severity::Page)
        } else if rate <= budgets.review() {
            Some(Severity::Review)
        } else {
            None
        }
    }
}

/// A sum that was calibrated.
#[derive(Clone, Copy)]
struct Level {
    surprise: f64,
    /// Active hours per day, as many as this sum's share of the budget makes them.
    hours: f64,
}

impl Level {
    fn false_per_agent_day(&self) -> f64 {
        probability_of(self.surprise) * self.hours / REPEATS
    }

    /// Whether fewer false findings are expected. Where logarithms tell already, powers are not asked.
    fn is_rarer(&self, other: &Self) -> bool {
        /// Decimal logarithms of how many times the one's hours may be the other's, with room.
        const APART: f64 = 1.0;
        const _: () = assert!(TOTAL_SHARE / BROAD_SHARE < 9.0);
        if self.surprise + APART < other.surprise || other.surprise + APART < self.surprise {
            return other.surprise < self.surprise;
        }
        self.false_per_agent_day() < other.false_per_agent_day()
    }
}

/// How new an event is: whom with and what, taken together.
struct Novelty {
    /// Of the event itself.
    own: f64,
    /// With what was new in the ten minutes before.
    total: f64,
    /// The share of the action; the rest is the counterparty's.
    of_action: f64,
}

impl Novelty {
    fn of(surprises: &[f64; FEATURES], config: &Config, before: f64) -> Self {
        let weighted = |feature: Feature| {
            surprises[feature as usize] * config.detectors().weight(feature.detector())
        };
        let [other, action] = [weighted(Feature::Counterparty), weighted(Feature::Action)];
        let action = ACTION_FACTOR * action;
        let (first, second) = (other.max(action), other.min(action));
        let own = first + SECOND_FACTOR * second;
        let added = if NOVEL_MIN <= own { NOVEL_FACTOR * before.min(NOVEL_MAX) } else { 0.0 };
        let of_action = if other < action { action } else { SECOND_FACTOR * action };
        let of_action = if 0.0 < own { of_action / own } else { 0.0 };
        Self { own, total: own + added, of_action }
    }

    fn share_of(&self, feature: Feature) -> f64 {
        if feature == Feature::Action { self.of_action } else { 1.0 - self.of_action }
    }
}

/// How parts are added up.
#[derive(Clone, Copy)]
struct Sum {
    /// The factor of the novelty.
    novelty: f64,
    /// Of the other groups only what is more than this counts.
    usual: f64,
}

/// Tells in `added` what each part adds and gives the sum: the novelty, and the strongest of each other
/// group, each a little less than the one before.
fn add_up(parts: &[Part], added: &mut [f64; FEATURES], sum: Sum) -> f64 {
    // By group, the largest excess with its part.
    let mut strongest = [(0.0_f64, FEATURES); Group::COUNT];
    let mut novelty = 0.0;
    for (at, part) in parts.iter().enumerate() {
        let group = part.feature.group();
        if group == Group::Novelty {
            added[at] = part.surprise * sum.novelty;
            novelty += added[at];
        } else {
            let excess = part.surprise - sum.usual - group.handicap();
            let best = &mut strongest[group as usize];
            if best.0 < excess {
                *best = (excess, at);
            }
        }
    }
    let mut factors = FACTORS.into_iter();
    let mut total = 0.0;
    // Where novelty is one group among others it takes its place in the order.
    let mut novelty_factor = (0.0 < sum.usual).then_some(1.0);
    // The largest first; of equal ones that of the first part.
    while let Some((group, (excess, at))) = strongest
        .into_iter()
        .enumerate()
        .filter(|(_, (_, at))| *at < FEATURES)
        .max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    {
        strongest[group].1 = FEATURES;
        if novelty_factor.is_none() && excess <= novelty {
            novelty_factor = factors.next();
        }
        added[at] = excess * factors.next().unwrap_or(0.0);
        total += added[at];
    }
    let novelty_factor = novelty_factor.or_else(|| factors.next()).unwrap_or(0.0);
    for (part, added) in parts.iter().zip(added) {
        if part.feature.group() == Group::Novelty {
            *added *= novelty_factor;
            total += *added;
        }
    }
    total
}

/// Active hours per active day of the agent, its class counting as three days.
fn hours_per_day(agent: &Agent, class: &Class) -> f64 {
    let hours = agent.volume.active_hours() + HOURS_WORTH * class.prior.hours_per_day;
    (hours / (agent.volume.active_days() + HOURS_WORTH)).max(1.0)
}

impl Agent {
    /// Surprise of the novelties in these ten minutes, before this event.
    fn novel_surprise_at(&mut self) -> f64 {
        if NOVEL_SECONDS <= self.last_second - self.novel_since {
            self.novel_surprise = 0.0;
        }
        f64::from(self.novel_surprise)
    }

    #[expect(clippy::cast_possible_truncation, reason = "two digits are wanted")]
    fn note_novelty(&mut self, surprise: f64) {
        if self.novel_surprise <= 0.0 {
            self.novel_since = self.last_second;
        }
        self.novel_surprise = (self.novel_surprise + surprise as f32).min(64.0);
    }
}
