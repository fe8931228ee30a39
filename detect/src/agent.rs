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
use crate::volume::Volume;

/// Counterparties, with reads and writes apart. Source: 64 edges in detection.md section 6.
pub(crate) const EDGES: usize = 64;
/// An alert stays open this long after its last repetition.
const ALERT_SECONDS: u32 = 3_600;
/// And is told again after this time in any case.
const ALERT_SECONDS_MAX: u32 = 86_400;

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
    pub edges: Memory<EDGES>,
    /// Trusted counterparties that `edges` had no room for.
    pub bygone: Bygone,
    pub actions: Memory<24>,
    pub networks: Memory<8>,
    pub devices: Memory<4>,
    pub read_novelty: Novelty,
    pub write_novelty: Novelty,
    pub action_novelty: Novelty,
    pub network_novelty: Novelty,
    pub device_novelty: Novelty,
    /// Parents of counterparties dealt with: a Bloom filter with one bit each.
    pub parents: [u64; 2],
    pub volume: Volume,
    pub amounts: Amounts,
    pub recent: [Recent; 6],
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
    edges,
    bygone,
    actions,
    networks,
    devices,
    read_novelty,
    write_novelty,
    action_novelty,
    network_novelty,
    device_novelty,
    parents,
    volume,
    amounts,
    recent,
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
    /// Of counterparty and currency; 0 is an empty place.
    pub fingerprint: u32,
    /// When the hour in which `dealings` are counted began.
    pub since: u32,
    pub last: u32,
    pub dealings: u32,
    /// Money that went there since this place was taken.
    pub cents: i64,
}

pack_struct!(Recent { fingerprint, since, last, dealings, cents });

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
    /// Source: performance.md section 2, first mark.
    pub(crate) const BYTES_MAX: usize = 2_048;

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
            let is_step = 0 < open.cents && open.cents.saturating_mul(10) <= cents;
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

    /// How little is lost by forgetting this agent: long unused, and little known.
    pub(crate) fn staleness(&self, second: u32) -> u64 {
        let age = u64::from(second.saturating_sub(self.last_second)) + 1;
        age * 64 / u64::from(2 + (self.events + 1).ilog2())
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
