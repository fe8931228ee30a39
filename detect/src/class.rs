//! [`Class`]: what the agents of one class have in common, and thereby what a new one inherits.
//!
//! Invariant: what shards add up between two seals ([`ClassSums`]) are whole numbers, or multiples of
//! 2^-16, far below 2^53 in floats: such sums are exact, so neither the order of events nor that of
//! shards can change them. Rounding happens only when a sealed epoch is added to a [`Class`], which
//! is done once per epoch.

use crate::calibration::{BINS, Curve, Histogram, REACH, REACH_OF_FEATURES};
use crate::hash::KeyMap;
use crate::pack::pack_struct;
use crate::volume::COUNTS;

/// Features with a surprise of their own, in the order of [`crate::score::Feature`], and the total.
pub(crate) const SCALES: usize = 13;
/// The scale of the combined score.
pub(crate) const TOTAL: usize = SCALES - 1;

/// Hours of a week.
const WEEK: usize = 168;
/// A class's shape of the week is shrunk to flat with this many active hours per bucket's mean.
/// Source: detection.md section 6.
const WEEK_SHRINK: f64 = 20.0;
/// Half-life of class sums. Source: `S_g`'s H = 28 d in detection.md section 6.
const HALF_LIFE_DAYS: f64 = 28.0;
/// A class's prior is worth at most this many agent-days. Source: detection.md section 6.
const PRIOR_AGENT_DAYS: f64 = 3.0;
/// Source: 7 days of warm-up, detection.md section 7.
const SETTLED_DAYS: u32 = 7;
/// What all actions tell of the strangers of one, in strangers.
const STRANGERS_WORTH: f64 = 4.0;
/// What all agents tell a class of novelty, in events.
const NOVELTY_OF_ALL: f64 = 50.0;
/// Actions and counterparties remembered per class.
const ACTIONS_MAX: usize = 1_024;
const PEERS_MAX: usize = 32_768;
/// Agents that must trust a thing, or days on which as many newcomers used it, before peers vouch
/// for it: one compromised agent cannot. Source: detection.md section 6.
const VOUCHERS_MIN: f64 = 3.0;

/// Rounded to a multiple of 2^-16, so that sums are exact: see the file's invariant.
pub(crate) fn quantised(x: f64) -> f64 {
    (x * 65_536.0).round() / 65_536.0
}

/// Sums that can be added and, for forgetting, scaled.
pub(crate) trait Additive {
    fn add(&mut self, other: &Self);
    fn scale(&mut self, factor: f64);
}

impl Additive for f64 {
    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn scale(&mut self, factor: f64) {
        *self *= factor;
    }
}

impl<T: Additive, const N: usize> Additive for [T; N] {
    fn add(&mut self, other: &Self) {
        for (one, more) in self.iter_mut().zip(other) {
            one.add(more);
        }
    }

    fn scale(&mut self, factor: f64) {
        for one in self {
            one.scale(factor);
        }
    }
}

impl<T: Additive + Default + Clone> Additive for KeyMap<T> {
    fn add(&mut self, other: &Self) {
        for (key, more) in other {
            self.entry(*key).or_default().add(more);
        }
    }

    fn scale(&mut self, factor: f64) {
        for one in self.values_mut() {
            one.scale(factor);
        }
    }
}

macro_rules! additive {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl Additive for $name {
            fn add(&mut self, other: &Self) {
                $(self.$field.add(&other.$field);)+
            }

            fn scale(&mut self, factor: f64) {
                $(self.$field.scale(factor);)+
            }
        }

        pack_struct!($name { $($field),+ });
    };
}

additive! {
    /// Closed active windows of one length.
    WindowSums {
        windows: f64,
        /// Sum and sum of squares of each count.
        counts: [[f64; 2]; COUNTS],
        money_windows: f64,
        /// Sum and sum of squares of ln(money).
        money: [f64; 2],
    }
}

additive! {
    /// How often something was new.
    NoveltySums {
        events: f64,
        /// New to the agent.
        novel: f64,
        /// New to the agent and not vouched for by its peers.
        strange: f64,
    }
}

additive! {
    /// What else is true of strange counterparties.
    StrangerSums {
        strangers: f64,
        /// Their parent (host, account prefix) was new as well.
        foreign: f64,
        /// No other agent of the company knew them.
        unknown: f64,
        /// They were written to without ever having been looked at.
        unseen: f64,
    }
}

additive! {
    /// One action within a class.
    ActionSums {
        /// Dealings with a counterparty.
        counterparties: NoveltySums,
        strangers: StrangerSums,
        amounts: f64,
        /// Sum and sum of squares of ln(amount).
        amount: [f64; 2],
        /// Amounts just below a round limit.
        near_limit: f64,
    }
}

additive! {
    /// What a class did in an epoch, or in all sealed ones.
    ClassSums {
        events: f64,
        agent_days: f64,
        /// Those of agents on their third day or later.
        regular_days: f64,
        /// Days on which the class did anything; counted when an epoch is sealed.
        class_days: f64,
        /// Agent-hours with events, by hour of the week.
        week: KeyMap<f64>,
        windows: [WindowSums; 3],
        /// Dealings with one counterparty in an hour: hours, sum, sum of squares.
        bursts: [f64; 3],
        actions: KeyMap<ActionSums>,
        action_novelty: NoveltySums,
        network_novelty: NoveltySums,
        device_novelty: NoveltySums,
        /// Agent-hours whose largest surprises are in `surprises`.
        blocks: f64,
        /// Agent-hours by scale and bin: key `scale * BINS + bin`; bin 0 is not written.
        surprises: KeyMap<f64>,
    }
}

additive! {
    /// Agents that came to know, and to trust, a thing.
    PeerSums {
        holders: f64,
        trusting: f64,
    }
}

additive! {
    /// Agents that appeared, and that became regular (a third day).
    HeadCount {
        seen: f64,
        regular: f64,
    }
}

additive! {
    /// What the shards add to a class in one epoch.
    ClassDelta {
        sums: ClassSums,
        peers: KeyMap<PeerSums>,
        heads: HeadCount,
    }
}

/// What peers know of a thing.
#[derive(Clone, Debug, Default, PartialEq)]
struct Peer {
    sums: PeerSums,
    days: u32,
    last_day: u32,
}

pack_struct!(Peer { sums, days, last_day });

/// What a new agent of the class starts from, worth at most three agent-days.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prior {
    pub windows: [WindowSums; 3],
    pub bursts: [f64; 3],
    /// Probability that an agent is active, by hour of the week.
    pub activity: Vec<f64>,
    /// Active agent-hours per day of a regular agent, or of the whole class if it has none.
    pub hours_per_day: f64,
    /// Novelty of counterparties over all actions.
    pub counterparties: NoveltySums,
    /// What else is true of strange ones, over all actions.
    pub strangers: StrangerSums,
}

pack_struct!(Prior { windows, bursts, activity, hours_per_day, counterparties, strangers });

/// With whom an agent is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a> {
    pub class: &'a Class,
    /// All agents of the company.
    pub company: &'a Class,
}

/// A class as of a sealed epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    pub sums: ClassSums,
    peers: KeyMap<Peer>,
    pub heads: HeadCount,
    pub prior: Prior,
    /// One per scale: surprise to calibrated surprise.
    pub curves: Vec<Curve>,
    /// Days since 1970 of its first and of its latest event.
    first_day: u32,
    last_day: u32,
}

pack_struct!(Class { sums, peers, heads, prior, curves, first_day, last_day });

impl Default for Class {
    fn default() -> Self {
        Self {
            sums: ClassSums::default(),
            peers: KeyMap::default(),
            heads: HeadCount::default(),
            prior: Prior { activity: vec![1.0; WEEK], hours_per_day: 8.0, ..Prior::default() },
            curves: vec![Curve::default(); SCALES],
            first_day: 0,
            last_day: 0,
        }
    }
}

impl Class {
    /// Forgets one day.
    pub(crate) fn age_by_a_day(&mut self) {
        let keep = (-1.0 / HALF_LIFE_DAYS).exp2();
        self.sums.scale(keep);
        // Calibration forgets twice as fast: surprises become fewer as baselines grow.
        self.sums.blocks *= keep;
        self.sums.surprises.scale(keep);
    }

    /// Adds a sealed epoch on `day`.
    pub(crate) fn add(&mut self, delta: &ClassDelta, day: u32) {
        if self.first_day == 0 {
            self.first_day = day;
        }
        if self.last_day < day {
            self.last_day = day;
            self.sums.class_days += 1.0;
        }
        self.sums.add(&delta.sums);
        self.heads.add(&delta.heads);
        for (key, more) in &delta.peers {
            let peer = self.peers.entry(*key).or_default();
            peer.sums.add(more);
            if peer.last_day != day || peer.days == 0 {
                peer.days += 1;
                peer.last_day = day;
            }
        }
        if PEERS_MAX < self.peers.len() {
            let worth = |peer: &Peer| (peer.sums.trusting + peer.sums.holders, peer.last_day);
            keep_most(&mut self.peers, PEERS_MAX * 3 / 4, worth);
        }
        if ACTIONS_MAX < self.sums.actions.len() {
            let worth = |action: &ActionSums| (action.counterparties.events + action.amounts, 0);
            keep_most(&mut self.sums.actions, ACTIONS_MAX * 3 / 4, worth);
        }
    }

    /// The same, but nobody vouches for anything.
    pub(crate) fn without_peers(&self) -> Self {
        Self {
            sums: self.sums.clone(),
            peers: KeyMap::default(),
            heads: HeadCount::default(),
            prior: self.prior.clone(),
            curves: self.curves.clone(),
            first_day: self.first_day,
            last_day: self.last_day,
        }
    }

    /// Works out what scoring reads: the prior and the curves, shrunk towards `all` agents.
    pub(crate) fn derive(&mut self, all: Option<&Self>) {
        let sums = &self.sums;
        let agent_days = sums.agent_days.max(1.0);
        let worth = (PRIOR_AGENT_DAYS / agent_days).min(1.0);
        let mut windows = sums.windows.clone();
        let mut bursts = sums.bursts;
        windows.scale(worth);
        bursts.scale(worth);
        if let Some(all) = all {
            // A class with less than three agent-days borrows the rest from everyone.
            let borrowed = 1.0 - (sums.agent_days / PRIOR_AGENT_DAYS).min(1.0);
            let (mut of_all, mut bursts_of_all) = (all.prior.windows.clone(), all.prior.bursts);
            of_all.scale(borrowed);
            bursts_of_all.scale(borrowed);
            windows.add(&of_all);
            bursts.add(&bursts_of_all);
        }
        self.prior.windows = windows;
        self.prior.bursts = bursts;
        let hours: f64 = (0..WEEK).map(|hour| self.active_hours(hour)).sum();
        // Agents that live for moments share one budget of false findings: their class's.
        let budgets = sums.regular_days.max(sums.class_days);
        self.prior.hours_per_day = (hours + 8.0) / (budgets + 1.0);
        // How often an agent could have been active in one hour of the week; and in one hour of the
        // day, to which the former is shrunk.
        let possible = sums.agent_days / 5.0;
        let mean = (hours / 168.0 + 1.0) / (possible + 5.0);
        let of_day: Vec<f64> = (0..24)
            .map(|hour| {
                let active: f64 = (0..7).map(|day| self.active_hours(day * 24 + hour)).sum();
                (active + WEEK_SHRINK * mean) / (7.0 * possible + WEEK_SHRINK)
            })
            .collect();
        self.prior.activity = (0..WEEK)
            .map(|hour| {
                let active = self.active_hours(hour) + WEEK_SHRINK * of_day[hour % 24];
                (active / (possible + WEEK_SHRINK)).clamp(1e-4, 1.0)
            })
            .collect();
        self.derive_novelty(all);
        self.curves = (0..SCALES)
            .map(|scale| {
                let reach = if scale == TOTAL { REACH } else { REACH_OF_FEATURES };
                let of_all = all.map(|all| all.histogram(scale));
                Curve::fit(&self.histogram(scale), of_all.as_ref(), reach)
            })
            .collect();
    }

    /// Whether surprises of its agents are worth keeping for calibration. In its first days
    /// everything is new to everyone, which says nothing about later.
    pub(crate) fn is_settled(&self) -> bool {
        SETTLED_DAYS <= self.last_day.saturating_sub(self.first_day)
    }

    fn derive_novelty(&mut self, all: Option<&Self>) {
        let mut counterparties = NoveltySums::default();
        let mut strangers = StrangerSums::default();
        // In the order of keys, since sums of decayed floats depend on it.
        let mut actions: Vec<(&u64, &ActionSums)> = self.sums.actions.iter().collect();
        actions.sort_unstable_by_key(|(key, _)| **key);
        for (_, action) in actions {
            counterparties.add(&action.counterparties);
            strangers.add(&action.strangers);
        }
        if let Some(all) = all.filter(|all| 0.0 < all.prior.counterparties.events) {
            let worth = (NOVELTY_OF_ALL / all.prior.counterparties.events).min(1.0);
            let (mut of_all, mut strangers_of_all) =
                (all.prior.counterparties.clone(), all.prior.strangers.clone());
            of_all.scale(worth);
            strangers_of_all.scale(worth);
            counterparties.add(&of_all);
            strangers.add(&strangers_of_all);
        }
        self.prior.counterparties = counterparties;
        self.prior.strangers = strangers;
    }

    /// P(a stranger is so | strange) for the circumstance `of`, of an action shrunk to all actions.
    pub(crate) fn stranger_rate(
        &self,
        action: &ActionSums,
        of: impl Fn(&StrangerSums) -> f64,
    ) -> f64 {
        let (own, wide) = (&action.strangers, &self.prior.strangers);
        let of_wide = (of(wide) + 1.0) / (wide.strangers + 2.0);
        (of(own) + STRANGERS_WORTH * of_wide) / (own.strangers + STRANGERS_WORTH)
    }

    fn active_hours(&self, hour: usize) -> f64 {
        self.sums.week.get(&(hour as u64)).copied().unwrap_or(0.0)
    }

    fn histogram(&self, scale: usize) -> Histogram {
        let count = |bin: usize| {
            self.sums.surprises.get(&((scale * BINS + bin) as u64)).copied().unwrap_or(0.0)
        };
        Histogram::new(self.sums.blocks, std::array::from_fn(count))
    }

    /// Share of the class's agents that vouch for a thing, 0 to 1. 0 below three vouchers.
    ///
    /// Agents vouch by trust. In a class whose agents live too briefly to trust anything, those
    /// count that used the thing, if three did so on three days.
    pub(crate) fn vouchers(&self, key: u64) -> f64 {
        let Some(peer) = self.peers.get(&key) else { return 0.0 };
        let share = |part: f64, whole: f64| {
            if part < VOUCHERS_MIN { 0.0 } else { (part / whole.max(part)).min(1.0) }
        };
        let trusting = share(peer.sums.trusting, self.heads.regular);
        let holding = if peer.days < 3 { 0.0 } else { share(peer.sums.holders, self.heads.seen) };
        trusting.max(holding)
    }

    /// Whether others than a single careless agent know a thing.
    pub(crate) fn knows(&self, key: u64) -> bool {
        let is_known = |peer: &Peer| 1.0 <= peer.sums.trusting || VOUCHERS_MIN <= peer.sums.holders;
        self.peers.get(&key).is_some_and(is_known)
    }

    /// Whether anyone of the class ever used a thing.
    pub(crate) fn has_seen(&self, key: u64) -> bool {
        self.peers.contains_key(&key)
    }

    /// Agents of the class that use a thing or did.
    pub(crate) fn holders(&self, key: u64) -> f64 {
        self.peers.get(&key).map_or(0.0, |peer| peer.sums.holders)
    }
}

/// Keeps the `wanted` entries of most worth; among equals those with the smaller key.
fn keep_most<V>(map: &mut KeyMap<V>, wanted: usize, worth: impl Fn(&V) -> (f64, u32)) {
    let mut ranked: Vec<(f64, u32, u64)> = map
        .iter()
        .map(|(key, value)| {
            let (first, second) = worth(value);
            (first, second, *key)
        })
        .collect();
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
    for (_, _, key) in ranked.drain(wanted.min(ranked.len())..) {
        map.remove(&key);
    }
}
