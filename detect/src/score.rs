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

/// The score of an event; where it is a finding, with the largest part first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub parts: [Part; FEATURES],
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
        // Most events have nothing unusual, and are done with here.
        if Feature::ALL.iter().all(|feature| signs.surprise(*feature) <= 0.0) {
            return None;
        }
        let mut parts = Feature::ALL.map(Part::of);
        let novelty = Novelty::of(signs, config, agent.novel_surprise_at());
        let mut novelty_calibrated = 0.0;
        let is_raw = config.is_without(Ablation::Calibration);
        let curve = |scale: usize, raw: f64| if is_raw { raw } else { class.curves[scale].at(raw) };
        for (scale, part) in parts.iter_mut().enumerate() {
            let raw = signs.surprise(part.feature);
            if raw <= 0.0 {
                continue;
            }
            if part.feature.group() == Group::Novelty {
                part.calibrated = curve(NOVELTY, raw);
                continue;
            }
            agent.note_surprise(scale, raw, delta);
            part.calibrated = curve(scale, raw);
            part.surprise = part.calibrated * config.detectors().weight(part.feature.detector());
        }
        if 0.0 < novelty.total {
            if !signs.is_told {
                agent.note_surprise(NOVELTY, novelty.total, delta);
            }
            novelty_calibrated = curve(NOVELTY, novelty.total);
            for (part, share) in parts.iter_mut().zip(novelty.shares) {
                part.surprise += novelty.total * share;
            }
            if NOVEL_MIN <= novelty.own {
                agent.note_novelty(novelty.own);
            }
        }
        if parts.iter().all(|part| part.surprise <= 0.0) {
            return None;
        }
        let mut broad_parts = parts;
        let score = add_up(&mut parts, Sum { novelty: NOVELTY_FACTOR, usual: USUAL });
        let per_novelty = novelty_calibrated / novelty.total.max(1e-9);
        let broad = add_up(&mut broad_parts, Sum { novelty: per_novelty, usual: 0.0 });
        if !signs.is_told {
            agent.note_surprise(TOTAL, score, delta);
            agent.note_surprise(BROAD, broad, delta);
        }
        let hours = hours_per_day(agent, class);
        let mut verdict = Self::new(&parts, score, curve(TOTAL, score), hours / TOTAL_SHARE);
        let other = Self::new(&broad_parts, score, curve(BROAD, broad), hours / BROAD_SHARE);
        if other.false_per_agent_day < verdict.false_per_agent_day {
            verdict = other;
        }
        if verdict.false_per_agent_day <= config.budgets().review() || signs.is_denied {
            verdict.parts.sort_by(|a, b| b.added.total_cmp(&a.added));
        }
        Some(verdict)
    }

    fn new(parts: &[Part; FEATURES], score: f64, surprise: f64, hours: f64) -> Self {
        let false_per_agent_day = 10_f64.powf(-surprise) * hours / REPEATS;
        Self { parts: *parts, score, surprise, false_per_agent_day }
    }

    pub(crate) fn detector(&self) -> DetectorKind {
        self.parts[0].feature.detector()
    }

    /// Whether a feature has a part in the score.
    pub(crate) fn adds(&self, feature: Feature) -> bool {
        self.parts.iter().any(|part| part.feature == feature && 0.0 < part.added)
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

/// How new an event is: whom with and what, taken together.
struct Novelty {
    /// Of the event itself.
    own: f64,
    /// With what was new in the ten minutes before.
    total: f64,
    /// Each feature's share.
    shares: [f64; FEATURES],
}

impl Novelty {
    fn of(signs: &Signs, config: &Config, before: f64) -> Self {
        let weighted = |feature: Feature| {
            signs.surprise(feature) * config.detectors().weight(feature.detector())
        };
        let [other, action] = [weighted(Feature::Counterparty), weighted(Feature::Action)];
        let action = ACTION_FACTOR * action;
        let (first, second) = (other.max(action), other.min(action));
        let own = first + SECOND_FACTOR * second;
        let added = if NOVEL_MIN <= own { NOVEL_FACTOR * before.min(NOVEL_MAX) } else { 0.0 };
        let of_action = if other < action { action } else { SECOND_FACTOR * action };
        let mut shares = [0.0; FEATURES];
        if 0.0 < own {
            shares[Feature::Action as usize] = of_action / own;
            shares[Feature::Counterparty as usize] = 1.0 - of_action / own;
        }
        Self { own, total: own + added, shares }
    }
}

impl Part {
    fn of(feature: Feature) -> Self {
        Self { feature, calibrated: 0.0, surprise: 0.0, added: 0.0 }
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

/// Sets what each part adds and gives the sum: the novelty, and the strongest of each other group,
/// each a little less than the one before.
fn add_up(parts: &mut [Part; FEATURES], sum: Sum) -> f64 {
    let mut strongest = [(0.0_f64, FEATURES); Group::COUNT];
    let mut novelty = 0.0;
    for (at, part) in parts.iter_mut().enumerate() {
        let group = part.feature.group();
        part.added = 0.0;
        if group == Group::Novelty {
            part.added = part.surprise * sum.novelty;
            novelty += part.added;
        } else {
            let excess = part.surprise - sum.usual - group.handicap();
            let best = &mut strongest[group as usize];
            if best.0 < excess {
                *best = (excess, at);
            }
        }
    }
    strongest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut factors = FACTORS.into_iter();
    let mut total = 0.0;
    // Where novelty is one group among others it takes its place in the order.
    let mut novelty_factor = (0.0 < sum.usual).then_some(1.0);
    for (excess, at) in strongest.into_iter().filter(|(_, at)| *at < FEATURES) {
        if novelty_factor.is_none() && excess <= novelty {
            novelty_factor = factors.next();
        }
        parts[at].added = excess * factors.next().unwrap_or(0.0);
        total += parts[at].added;
    }
    let novelty_factor = novelty_factor.or_else(|| factors.next()).unwrap_or(0.0);
    for part in parts.iter_mut().filter(|part| part.feature.group() == Group::Novelty) {
        part.added *= novelty_factor;
        total += part.added;
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
