//! [`Agent`]: everything remembered of one agent, in one flat record.
//!
//! Invariant: the record has a fixed size of at most [`Agent::BYTES_MAX`] bytes and owns no memory
//! outside itself, so state is bounded by the number of agents alone.

use crate::amount::Amounts;
use crate::calibration::Block;
use crate::exposure::Exposure;
use crate::facts::realm;
use crate::fan::Fan;
use crate::hash::{fingerprint, join};
use crate::memory::{Bygone, Memory};
use crate::novelty::{BriefNovelty, Novelty};
use crate::origin::Whereabouts;
use crate::pack::pack_struct;
use crate::purse::Purse;
use crate::rhythm::Rhythm;
use crate::rough::Rough;
use crate::volume::Volume;
use crate::voter::{Standing, Voter};

/// Counterparties in one way of dealing with them; older trusted ones are in a filter. 64 of them
/// (detection.md section 6) would cost 192 bytes more; see docs/detection.md.
pub(crate) const EDGES: usize = 40;
/// Actions.
const ACTIONS: usize = 20;
/// An alert stays open this long after its last repetition.
const ALERT_SECONDS: u32 = 3_600;
/// And is told again after this time in any case.
const ALERT_SECONDS_MAX: u32 = 86_400;

/// A baseline unused for so long is worth no more than a stranger's.
const BASELINE_DAYS: u32 = 30;
/// Days between two change points.
const MODEL_DAYS: u16 = 7;

/// What is read at every event comes first, so that it lies in few cache lines.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct Agent {
    /// Of the agent's id.
    pub key: u64,
    /// Of the latest event; earlier ones count as of then.
    pub last_second: u32,
    pub first_second: u32,
    pub events: u32,
    /// Events with a counterparty.
    pub dealings: u32,
    /// Days with events.
    pub days: u16,
    /// The day (since 1970) on which the last model came.
    pub model_day: u16,
    /// The models that drive it.
    pub models: [u32; 2],
    /// Among its class.
    pub standing: Standing,
    /// Of the open hour: whether it counts for the calibration, and what [`Change`]s it had.
    pub hour_flags: u8,
    /// Of the younger generation of `bygone`, which has no place for a single byte.
    pub bygone_entries: u8,
    pub action_novelty: Novelty,
    pub network_novelty: Novelty,
    pub device_novelty: Novelty,
    pub credential_novelty: Novelty,
    pub volume: Volume,
    pub actions: Memory<ACTIONS>,
    /// Of counterparties, by action: with the places of `actions`.
    pub novelties: [BriefNovelty; ACTIONS],
    pub networks: Memory<6, 0>,
    pub devices: Memory<3, 0>,
    pub credentials: Memory<2, 0>,
    pub whereabouts: Whereabouts,
    pub rhythm: Rhythm,
    pub fan: Fan,
    pub recent: [Recent; 3],
    pub edges: Memory<EDGES>,
    pub amounts: Amounts,
    /// Money of the hour of the latest event.
    pub spent: Purse<2>,
    /// The largest surprise on each scale in the open hour.
    pub block: Block,
    /// Dealings with one counterparty in an hour: hours, sum, sum of squares.
    pub bursts: [f32; 3],
    /// Surprise that novelties added up in the ten minutes since `novel_since`.
    pub novel_surprise: f32,
    pub novel_since: u32,
    /// From here on only what is new, flagged or paid to strangers is looked at: [`Agent::HOT_BYTES`].
    pub exposure: Exposure,
    /// Trusted counterparties that `edges` had no room for.
    pub bygone: Bygone,
    /// Parents of counterparties dealt with: a Bloom filter with one bit each.
    pub parents: [u32; 4],
    pub alerts: [Alert; 4],
}

pack_struct!(Agent {
    key,
    last_second,
    first_second,
    events,
    dealings,
    days,
    model_day,
    models,
    standing,
    hour_flags,
    bygone_entries,
    action_novelty,
    network_novelty,
    device_novelty,
    credential_novelty,
    volume,
    actions,
    novelties,
    networks,
    devices,
    credentials,
    whereabouts,
    rhythm,
    fan,
    recent,
    edges,
    amounts,
    spent,
    block,
    bursts,
    novel_surprise,
    novel_since,
    exposure,
    bygone,
    parents,
    alerts,
});

/// A counterparty dealt with lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recent {
    /// Of the counterparty; 0 is an empty place.
    pub fingerprint: u32,
    /// Money that went there since this place was taken.
    pub paid: Purse<2>,
    /// Units that went there today in several payments.
    pub parts: f32,
    /// Minute of the last dealing, and that in which the hour of `dealings` began; since 1970, modulo
    /// 2^16 (45 days).
    pub last_minute: u16,
    pub since_minute: u16,
    pub dealings: Rough,
    /// Payments of today.
    pub payments: Rough,
}

pack_struct!(Recent { fingerprint, paid, parts, last_minute, since_minute, dealings, payments });

/// A finding that repetitions are folded into.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Alert {
    /// Of detector and counterparty; 0 is an empty place.
    fingerprint: u32,
    opened: u32,
    /// Minutes from there to the last repetition, times 4, and the severity: 1 review, 2 page, 3
    /// block.
    minutes_and_severity: u16,
    /// Money at risk when it was last told, in hundredths.
    cents: Rough,
}

pack_struct!(Alert { fingerprint, opened, minutes_and_severity, cents });

impl Alert {
    fn severity(self) -> u8 {
        (self.minutes_and_severity & 3).to_le_bytes()[0]
    }

    fn last(self) -> u32 {
        self.opened.saturating_add(60 * u32::from(self.minutes_and_severity >> 2))
    }

    fn touch(&mut self, now: u32, severity: u8) {
        // An alert is told anew after a day, so there are 1,440 minutes at most.
        let minutes = (now.saturating_sub(self.opened) / 60).min(0x3fff);
        let minutes = u16::try_from(minutes).expect("fourteen bits");
        self.minutes_and_severity = (minutes << 2) | u16::from(severity & 3);
    }
}

impl Agent {
    /// 20 cache lines and a half; with index and class an agent takes under 1,400 bytes, the goal.
    /// Source: detection.md section 6, memory per agent.
    pub(crate) const BYTES_MAX: usize = 1_312;

    /// Bytes that most events look at.
    pub(crate) const HOT_BYTES: usize = std::mem::offset_of!(Self, exposure);

    pub(crate) fn new(key: u64, second: u32) -> Self {
        Self { key, first_second: second, last_second: second, ..Self::default() }
    }

    /// Whether a finding on `subject` is to be told: not if one is open that said as much already.
    pub(crate) fn opens_alert(&mut self, subject: u64, severity: u8, cents: i64) -> bool {
        let (now, wanted) = (self.last_second, fingerprint(subject));
        let is_open = |alert: &Alert| {
            alert.fingerprint == wanted
                && now.saturating_sub(alert.last()) <= ALERT_SECONDS
                && now.saturating_sub(alert.opened) <= ALERT_SECONDS_MAX
        };
        let rough = Rough::of(cents.max(0).cast_unsigned());
        if let Some(open) = self.alerts.iter_mut().find(|alert| is_open(alert)) {
            // From no money to money is a step as well.
            let is_step = open.cents.get().saturating_mul(10) <= rough.get()
                && open.cents.get() < rough.get();
            let is_told = severity <= open.severity() && !is_step;
            open.touch(now, severity.max(open.severity()));
            if !is_told {
                open.cents = rough;
            }
            return !is_told;
        }
        let at = self.alerts.iter().position(|alert| alert.fingerprint == wanted);
        let at = at.unwrap_or_else(|| {
            let oldest = (0..self.alerts.len()).min_by_key(|at| self.alerts[*at].last());
            oldest.expect("there are four places")
        });
        let mut alert =
            Alert { fingerprint: wanted, opened: now, cents: rough, ..Alert::default() };
        alert.touch(now, severity);
        self.alerts[at] = alert;
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
        self.volume.rewind();
        self.alerts = Default::default();
        self.recent = Default::default();
        self.spent = Purse::default();
        (self.novel_surprise, self.novel_since) = (0.0, second);
        (self.block, self.hour_flags) = (Block::default(), 0);
        self.fan.rewind();
        self.whereabouts.rewind();
        self.model_day = self.model_day.min(day_of(second));
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
        let day = day_of(self.last_second);
        let is_first = self.models == [0; 2];
        if !is_first && day < self.model_day.saturating_add(MODEL_DAYS) {
            return;
        }
        self.models = [model, self.models[0]];
        self.model_day = day;
        if !is_first {
            self.volume.soften();
            self.action_novelty.soften();
        }
    }

    /// How it votes as an agent of a class; the sponsor's key stands for all newcomers of one sponsor.
    pub(crate) fn voter(&self, class: u64, sponsor: u64, counts_days: bool) -> Voter {
        let is_founder = self.standing.is_founder(class);
        let is_promoted = !is_founder && Standing::TENURE_DAYS <= self.days;
        let is_established = is_founder || is_promoted || self.standing.is_back();
        let pool = join(realm::POOL, sponsor);
        Voter { agent: self.key, pool, is_established, is_promoted, counts_days }
    }

    /// How often counterparties were new under an action.
    pub(crate) fn novelty_of(&self, action: u64) -> BriefNovelty {
        let place = self.actions.find(action);
        place.map_or_else(BriefNovelty::default, |at| self.novelties[at.index()])
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

fn parent_bit(parent: u64) -> (usize, u32) {
    (usize::try_from(parent >> 62).expect("two bits"), 1 << (parent & 31))
}

/// Days since 1970; u32 seconds end in 2106.
fn day_of(second: u32) -> u16 {
    u16::try_from(second / 86_400).expect("49,710 days at most")
}

const _: () = assert!(size_of::<Agent>() == Agent::BYTES_MAX, "half cache lines, and no more");
