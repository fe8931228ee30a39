//! [`Class`]: what the agents of one class have in common, and thereby what a new one inherits.
//!
//! Invariant: what shards add up between two seals is exact (`sums.rs`). Rounding happens only when a
//! sealed epoch is added to a [`Class`], which is done once per epoch.

use crate::calibration::{BINS, Curve, Histogram, REACH, REACH_OF_FEATURES};
use crate::config::{Ablation, Config};
use crate::hash::KeyMap;
use crate::pack::pack_struct;
use crate::population::Population;
pub(crate) use crate::sums::{
    ActionSums, Additive, ClassDelta, ClassSums, HeadCount, NewcomerSums, NoveltySums, PeerSums,
    WindowSums, quantised,
};
use crate::sums::{VOUCHERS_MIN, Voters};

/// Features with a surprise of their own, in the order of [`crate::score::Feature`], and the total.
pub(crate) const SCALES: usize = 20;
/// The scale of the combined score.
pub(crate) const TOTAL: usize = SCALES - 1;

/// Hours of a week.
const WEEK: usize = 168;
/// A class's shape of the week is shrunk to flat with this many active hours per bucket's mean.
/// Source: detection.md section 6.
const WEEK_SHRINK: f64 = 20.0;
/// Half-life of class sums. Source: `S_g`'s H = 28 d in detection.md section 6.
pub(crate) const HALF_LIFE_DAYS: f64 = 28.0;
/// A class's prior is worth at most this many agent-days. Source: detection.md section 6.
const PRIOR_AGENT_DAYS: f64 = 3.0;
/// Source: 7 days of warm-up, detection.md section 7.
const SETTLED_DAYS: u32 = 7;
/// What all actions tell of the newcomers of one, in newcomers.
const NEWCOMERS_WORTH: f64 = 4.0;
/// What all agents tell a class of novelty, in events.
const NOVELTY_OF_ALL: f64 = 50.0;
/// Actions and counterparties remembered per class.
const ACTIONS_MAX: usize = 1_024;
/// Just under what a table of 32,768 places holds.
const PEERS_MAX: usize = 28_000;
/// What peers know of a thing.
#[derive(Clone, Debug, Default, PartialEq)]
struct Peer {
    sums: PeerSums,
    days: u16,
    last_day: u16,
}

pack_struct!(Peer { sums, days, last_day });

/// What a new agent of the class starts from, worth at most three agent-days.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prior {
    pub windows: [WindowSums; 3],
    pub bursts: [f64; 3],
    pub fans: [f64; 3],
    /// Probability that an agent is active, by hour of the week.
    pub activity: Vec<f64>,
    /// Active agent-hours per day of a regular agent, or of the whole class if it has none.
    pub hours_per_day: f64,
    /// Novelty of counterparties over all actions.
    pub counterparties: NoveltySums,
    /// What else is true of new ones, over all actions.
    pub newcomers: NewcomerSums,
    /// Agent-hours with an action, over all actions.
    pub action_hours: f64,
}

pack_struct!(Prior {
    windows,
    bursts,
    fans,
    activity,
    hours_per_day,
    counterparties,
    newcomers,
    action_hours,
});

/// With whom an agent is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers<'a> {
    pub class: &'a Class,
    /// All agents of the company.
    pub population: &'a Population,
    pub config: &'a Config,
}

impl Peers<'_> {
    /// See [`Class::vouchers`].
    pub(crate) fn vouchers(&self, key: u64) -> f64 {
        if self.config.is_without(Ablation::Peers) { 0.0 } else { self.class.vouchers(key) }
    }

    /// Whether no other agent of the class ever dealt with a thing.
    pub(crate) fn is_unknown(&self, key: u64, agent: u64) -> bool {
        self.config.is_without(Ablation::Peers) || !self.class.is_held_by_another(key, agent)
    }

    /// How far something met is trusted, `trust` being what its history says.
    pub(crate) fn trust(&self, trust: f32) -> f32 {
        if self.config.is_without(Ablation::Probation) { 1.0 } else { trust }
    }
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

    /// Sets the days down to `day`: those after it were a wrong clock's.
    pub(crate) fn rewind(&mut self, day: u32) {
        self.first_day = self.first_day.min(day);
        self.last_day = self.last_day.min(day);
        for peer in self.peers.values_mut() {
            peer.last_day = peer.last_day.min(short(day));
        }
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
        let short_day = short(day);
        for (key, more) in &delta.peers {
            let peer = self.peers.entry(*key).or_default();
            peer.sums.add(more);
            if peer.last_day != short_day || peer.days == 0 {
                peer.days = peer.days.saturating_add(1);
                peer.last_day = short_day;
            }
        }
        if PEERS_MAX < self.peers.len() {
            let worth = |peer: &Peer| {
                (f64::from(peer.sums.trusting) + f64::from(peer.sums.holders), peer.last_day.into())
            };
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
        let (mut bursts, mut fans) = (sums.bursts, sums.fans);
        windows.scale(worth);
        bursts.scale(worth);
        fans.scale(worth);
        if let Some(all) = all {
            // A class with less than three agent-days borrows the rest from everyone.
            let borrowed = 1.0 - (sums.agent_days / PRIOR_AGENT_DAYS).min(1.0);
            let Prior { windows: mut of_all, bursts: mut more, fans: mut wider, .. } =
                all.prior.clone();
            of_all.scale(borrowed);
            more.scale(borrowed);
            wider.scale(borrowed);
            windows.add(&of_all);
            bursts.add(&more);
            fans.add(&wider);
        }
        self.prior.windows = windows;
        self.prior.bursts = bursts;
        self.prior.fans = fans;
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
        let mut newcomers = NewcomerSums::default();
        let mut action_hours = 0.0;
        // In the order of keys, since sums of decayed floats depend on it.
        let mut actions: Vec<(&u64, &ActionSums)> = self.sums.actions.iter().collect();
        actions.sort_unstable_by_key(|(key, _)| **key);
        for (_, action) in actions {
            action_hours += action.hours;
            counterparties.add(&action.counterparties);
            newcomers.add(&action.newcomers);
        }
        if let Some(all) = all.filter(|all| 0.0 < all.prior.counterparties.events) {
            let worth = (NOVELTY_OF_ALL / all.prior.counterparties.events).min(1.0);
            let (mut of_all, mut newcomers_of_all) =
                (all.prior.counterparties.clone(), all.prior.newcomers.clone());
            of_all.scale(worth);
            newcomers_of_all.scale(worth);
            counterparties.add(&of_all);
            newcomers.add(&newcomers_of_all);
        }
        self.prior.action_hours = action_hours;
        self.prior.counterparties = counterparties;
        self.prior.newcomers = newcomers;
    }

    /// P(a newcomer is so) for the circumstance `of`, over all actions.
    pub(crate) fn newcomer_rate(&self, of: impl Fn(&NewcomerSums) -> f64) -> f64 {
        let wide = &self.prior.newcomers;
        (of(wide) + 1.0) / (wide.all + 2.0)
    }

    /// The same for an action, shrunk to all actions.
    pub(crate) fn newcomer_rate_of(
        &self,
        action: &ActionSums,
        of: impl Fn(&NewcomerSums) -> f64,
    ) -> f64 {
        let own = &action.newcomers;
        let of_wide = self.newcomer_rate(&of);
        (of(own) + NEWCOMERS_WORTH * of_wide) / (own.all + NEWCOMERS_WORTH)
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
        let share = |voters: Voters, votes: f64, whole: f64| {
            if !voters.are_enough() {
                return 0.0;
            }
            let part = voters.count(votes);
            (part / whole.max(part)).min(1.0)
        };
        if !self.counts_days() {
            share(peer.sums.who_trusts, peer.sums.trusting.into(), self.heads.regular)
        } else if 3 <= peer.days {
            share(peer.sums.who_holds, peer.sums.holders.into(), self.heads.seen)
        } else {
            0.0
        }
    }

    /// Whether peers are counted by days, since its agents live too briefly to trust anything.
    pub(crate) fn counts_days(&self) -> bool {
        self.heads.regular < VOUCHERS_MIN
    }

    /// Whether others than a single careless agent know a thing.
    pub(crate) fn knows(&self, key: u64) -> bool {
        let is_known = |peer: &Peer| 1 <= peer.sums.trusting || peer.sums.who_holds.are_enough();
        self.peers.get(&key).is_some_and(is_known)
    }

    /// Whether an agent other than this one used a thing, on another day than its first.
    pub(crate) fn is_held_by_another(&self, key: u64, agent: u64) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.sums.who_holds.has_another(agent))
    }

    /// Share of agent-hours in which an action was done, on all in which anything was.
    pub(crate) fn rarity(&self, action: u64) -> f64 {
        let hours = self.sums.actions.get(&action).map_or(0.0, |sums| sums.hours);
        -((hours + 0.5) / (self.prior.action_hours + 1.0)).log10()
    }

    /// Whether anyone of the class ever used a thing.
    pub(crate) fn has_seen(&self, key: u64) -> bool {
        self.peers.contains_key(&key)
    }

    /// Agents of the class that use a thing or did.
    pub(crate) fn holders(&self, key: u64) -> f64 {
        self.peers.get(&key).map_or(0.0, |peer| peer.sums.holders.into())
    }
}

/// A day since 1970; u32 seconds end in 2106.
fn short(day: u32) -> u16 {
    u16::try_from(day).unwrap_or(u16::MAX)
}

/// Keeps the `wanted` entries of most worth; among equals those with the smaller key.
pub(crate) fn keep_most<V>(map: &mut KeyMap<V>, wanted: usize, worth: impl Fn(&V) -> (f64, u32)) {
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
    map.shrink_to_fit();
}
