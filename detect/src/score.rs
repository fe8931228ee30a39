//! [`Verdict`]: many surprises to one score, one expected rate of false findings, one severity.
//!
//! Each feature's raw surprise is first put on a common scale by its own curve (how rare is that in
//! an agent-hour of this class). Features that tell of the same thing form a group, of which the
//! strongest counts; groups are nearly independent, so the three strongest are added up, each a little
//! less; and the sum is calibrated once more, as a whole.
//!
//! Invariant: an event is a finding only if fewer than the review budget of findings as strong are
//! expected per agent and day.

use schemas::{DetectorKind, Severity};

use crate::agent::Agent;
use crate::class::{Class, ClassDelta, SCALES, TOTAL};
use crate::config::Config;
use crate::signs::{Feature, Signs};

/// Source: detection.md section 6: + 0.3 x min(novelty accumulated in 10 minutes, 6).
const NOVEL_SECONDS: u32 = 600;
const NOVEL_FACTOR: f64 = 0.3;
const NOVEL_MAX: f64 = 6.0;
/// What every tenth agent-hour has is not counted.
const NOVEL_MIN: f64 = 1.0;
/// What the strongest, second and third group of features count.
const FACTORS: [f64; 3] = [1.0, 0.75, 0.5];
/// What the class's hours per day are worth, in days of the agent.
const HOURS_WORTH: f64 = 3.0;

const FEATURES: usize = SCALES - 1;

/// A feature's part in the score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub feature: Feature,
    /// Calibrated surprise.
    pub surprise: f64,
    /// What it added to the score.
    pub added: f64,
}

/// The score of an event, largest part first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub parts: [Part; FEATURES],
    pub score: f64,
    /// The calibrated surprise of the score.
    pub surprise: f64,
    pub false_per_agent_day: f64,
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
        let mut parts = Feature::ALL.map(|feature| Part { feature, surprise: 0.0, added: 0.0 });
        let mut is_plain = true;
        for (scale, part) in parts.iter_mut().enumerate() {
            let raw = signs.surprise(part.feature);
            if raw <= 0.0 {
                continue;
            }
            is_plain = false;
            agent.note_surprise(scale, raw, delta);
            let weight = config.detectors().weight(part.feature.detector());
            part.surprise = class.curves[scale].at(raw) * weight;
        }
        if is_plain {
            return None;
        }
        parts.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
        let novel = novel_surprise(&parts);
        let before = agent.novel_surprise_at();
        let mut score = 0.0;
        let mut factors = FACTORS.into_iter();
        for at in 0..FEATURES {
            let group = parts[at].feature.group();
            let is_told = parts[..at].iter().any(|before| before.feature.group() == group);
            let factor = if is_told { 0.0 } else { factors.next().unwrap_or(0.0) };
            parts[at].added = parts[at].surprise * factor;
            score += parts[at].added;
        }
        if 0.0 < novel {
            score += NOVEL_FACTOR * before.min(NOVEL_MAX);
            agent.note_novelty(novel);
        }
        agent.note_surprise(TOTAL, score, delta);
        let surprise = class.curves[TOTAL].at(score);
        let false_per_agent_day = 10_f64.powf(-surprise) * hours_per_day(agent, class);
        Some(Self { parts, score, surprise, false_per_agent_day })
    }

    pub(crate) fn detector(&self) -> DetectorKind {
        self.parts[0].feature.detector()
    }

    pub(crate) fn severity(&self, config: &Config) -> Option<Severity> {
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

/// The largest surprise of something new.
fn novel_surprise(parts: &[Part; FEATURES]) -> f64 {
    parts
        .iter()
        .filter(|part| match part.feature {
            Feature::Counterparty | Feature::Action | Feature::Origin => true,
            Feature::Calls
            | Feature::Writes
            | Feature::Failures
            | Feature::Money
            | Feature::Drift
            | Feature::Hour
            | Feature::Amount
            | Feature::NearLimit
            | Feature::Burst => false,
        })
        .map(|part| part.surprise - NOVEL_MIN)
        .fold(0.0, f64::max)
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
