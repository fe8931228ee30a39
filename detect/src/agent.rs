//! [`Agent`]: everything remembered of one agent, in one flat record.
//!
//! Invariant: the record has a fixed size of at most [`Agent::BYTES_MAX`] bytes and owns no memory
//! outside itself, so state is bounded by the number of agents alone.

use crate::amount::Amounts;
use crate::class::SCALES;
use crate::hash::fingerprint;
use crate::memory::{Bygone, Memory};
use crate::novelty::Novelty;
use crate::pack::pack_struct;
use crate::purse::Purse;
use crate::volume::Volume;

/// Counterparties in one way of dealing with them. 64 (detection.md section 6) cost 128 bytes more and
/// save one false finding in ten; see docs/detection.md.
pub(crate) const EDGES: usize = 48;
/// Actions.
const ACTIONS: usize = 20;
/// An alert stays open this long after its last repetition.
const ALERT_SECONDS: u32 = 3_600;
/// And is told again after this time in any case.
const ALERT_SECONDS_MAX: u32 = 86_400;

/// A baseline unused for so long is worth no more than a stranger's.
const BASELINE_DAYS: u32 = 30;
/// Days between two change points.
const MODEL_DAYS: u32 = 7;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Agent {
    /// Of the agent's id.
    pub key: u64,
    pub first_second: u32,
    /// Of the latest event; earlier ones count as of then.
    pub last_second: u32,
    pub events: u32,
    /// Events with a counterparty.
    pub dealings: u32,
    /// Days with events.
    pub days: u16,
    /// It was a regular of its class once, then forgotten, and is back: 0 or 1.
    pub was_regular: u8,
    /// The models that drive it, and the day on which the last one came.
    pub models: [u32; 2],
    pub model_day: u32,
    pub edges: Memory<EDGES>,
    /// Trusted counterparties that `edges` had no room for.
    pub bygone: Bygone,
    pub actions: Memory<ACTIONS>,
    pub networks: Memory<8>,
    pub devices: Memory<4>,
    /// Of counterparties, by action: with the places of `actions`.
    pub novelties: [Novelty; ACTIONS],
    pub action_novelty: Novelty,
    pub network_novelty: Novelty,
    pub device_novelty: Novelty,
    /// Parents of counterparties dealt with: a Bloom filter with one bit each.
    pub parents: [u64; 2],
    pub volume: Volume,
    pub amounts: Amounts,
    pub recent: [Recent; 4],
    /// Money of the hour that began at `spent_since`.
    pub spent: Purse<3>,
    pub spent_since: u32,
    /// Dealings with one counterparty in an hour: hours, sum, sum of squares.
    pub bursts: [f32; 3],
    /// Surprise that novelties added up in the ten minutes since `novel_since`.
    pub novel_surprise: f32,
    pub novel_since: u32,
    pub alerts: [Alert; 4],
    /// The largest surprise on each scale in the open hour, as a bin of the histogram.
    pub block: [u8; SCALES],
    /// Whether the open hour counts for the calibration: 0 or 1.
    pub is_block_counted: u8,
}

pack_struct!(Agent {
    key,
    first_second,
    last_second,
    events,
    dealings,
    days,
    was_regular,
    models,
    model_day,
    edges,
    bygone,
    actions,
    networks,
    devices,
    novelties,
    action_novelty,
    network_novelty,
    device_novelty,
    parents,
    volume,
    amounts,
    recent,
    spent,
    spent_since,
    bursts,
    novel_surprise,
    novel_since,
    alerts,
    block,
    is_block_counted,
});

/// A counterparty dealt with lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recent {
    /// Of the counterparty; 0 is an empty place.
    pub fingerprint: u32,
    /// When the hour in which `dealings` are counted began.
    pub since: u32,
    pub last: u32,
    pub dealings: u32,
    /// Money that went there since this place was taken.
    pub paid: Purse<2>,
}

pack_struct!(Recent { fingerprint, since, last, dealings, paid });

/// A finding that repetitions are folded into.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Alert {
    /// Of detector and counterparty; 0 is an empty place.
    fingerprint: u32,
    opened: u32,
    last: u32,
    /// 1 review, 2 page, 3 block.
    severity: u8,
    /// Money at risk when it was last told, in hundredths.
    cents: i64,
}

pack_struct!(Alert { fingerprint, opened, last, severity, cents });

impl Agent {
    /// Source: performance.md section 2 allows 2,048 at first; the goal is 1,400.
    pub(crate) const BYTES_MAX: usize = 1_640;

    pub(crate) fn new(key: u64, second: u32) -> Self {
        Self { key, first_second: second, last_second: second, ..Self::default() }
    }

    /// Whether a finding on `subject` is to be told: not if one is open that said as much already.
    pub(crate) fn opens_alert(&mut self, subject: u64, severity: u8, cents: i64) -> bool {
        let (now, wanted) = (self.last_second, fingerprint(subject));
        let is_open = |alert: &Alert| {
            alert.fingerprint == wanted
                && now - alert.last <= ALERT_SECONDS
                && now - alert.opened <= ALERT_SECONDS_MAX
        };
        if let Some(open) = self.alerts.iter_mut().find(|alert| is_open(alert)) {
            open.last = now;
            // From no money to money is a step as well.
            let is_step = open.cents.saturating_mul(10) <= cents && open.cents < cents;
            if severity <= open.severity && !is_step {
                return false;
            }
            open.severity = open.severity.max(severity);
            open.cents = cents;
            return true;
        }
        let at = self.alerts.iter().position(|alert| alert.fingerprint == wanted);
        let at = at.unwrap_or_else(|| {
            let oldest = (0..self.alerts.len()).min_by_key(|at| self.alerts[*at].last);
            oldest.expect("there are four places")
        });
        self.alerts[at] = Alert { fingerprint: wanted, opened: now, last: now, severity, cents };
        true
    }

    /// How little is lost by forgetting this agent: what was seen on one day only goes before what
    /// has a baseline, unless that was not used for [`BASELINE_DAYS`]; then what is longest unused
    /// for how much is known of it.
    pub(crate) fn staleness(&self, second: u32) -> (bool, u64) {
        let age = second.saturating_sub(self.last_second);
        let has_baseline = 2 <= self.days && age < BASELINE_DAYS * 86_400;
        let known = u64::from(self.days.max(1)) * u64::from(2 + self.events.max(1).ilog2());
        (!has_baseline, (u64::from(age) + 1) * 1_024 / known)
    }

    /// Takes back a time that no other agent has reached: its clock was wrong. Open windows, alerts
    /// and recent dealings are in that future and are forgotten unlearned.
    pub(crate) fn rewind(&mut self, second: u32) {
        self.last_second = second;
        self.first_second = self.first_second.min(second);
        self.volume.rewind(second);
        self.alerts = Default::default();
        self.recent = Default::default();
        self.spent = Purse::default();
        self.spent_since = second;
        (self.novel_surprise, self.novel_since) = (0.0, second);
        (self.block, self.is_block_counted) = ([0; SCALES], 0);
        self.model_day = self.model_day.min(second / 86_400);
    }

    /// Meets the model that drives the agent. A new one is a change point: what it does and how much
    /// is learned anew from a quarter, whom it deals with is kept. Not more than once a week, so that
    /// names made up do not wear a baseline down.
    ///
    /// Source: detection.md section 6, cold start.
    pub(crate) fn meet_model(&mut self, model: u32) {
        if self.models.contains(&model) {
            return;
        }
        let day = self.last_second / 86_400;
        let is_first = self.models == [0; 2];
        if !is_first && day < self.model_day + MODEL_DAYS {
            return;
        }
        self.models = [model, self.models[0]];
        self.model_day = day;
        if !is_first {
            self.volume.soften();
            self.action_novelty.soften();
        }
    }

    /// How often counterparties were new under an action.
    pub(crate) fn novelty_of(&self, action: u64) -> Novelty {
        self.actions.find(action).map_or_else(Novelty::default, |at| self.novelties[at.index()])
    }

    pub(crate) fn knows_parent(&self, parent: u64) -> bool {
        let (word, bit) = parent_bit(parent);
        self.parents[word] & bit != 0
    }

    pub(crate) fn learn_parent(&mut self, parent: u64) {
        let (word, bit) = parent_bit(parent);
        self.parents[word] |= bit;
    }
}

fn parent_bit(parent: u64) -> (usize, u64) {
    (usize::from(parent >> 63 == 1), 1 << (parent & 63))
}

const _: () = assert!(size_of::<Agent>() <= Agent::BYTES_MAX, "see performance.md section 2");
