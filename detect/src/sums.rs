//! [`ClassSums`] and [`ClassDelta`]: what shards add up of a class, and who voted for what.
//!
//! Invariant: what is added up between two seals are whole numbers, or multiples of 2^-16, far below
//! 2^53 in floats, or bits that are set: such sums are exact, so neither the order of events nor that
//! of shards can change them.

use crate::fleet::FleetSums;
use crate::hash::KeyMap;
use crate::pack::{Pack, Unpacker};
use crate::tails::rounded;
use crate::volume::COUNTS;
use crate::voter::Voter;

/// Agents that must trust a thing, or days on which as many newcomers used it, before peers vouch
/// for it: one compromised agent cannot. Source: detection.md section 6.
pub(crate) const VOUCHERS_MIN: f64 = 3.0;

/// Rounded to a multiple of 2^-16, so that sums are exact: see the file's invariant.
pub(crate) fn quantised(x: f64) -> f64 {
    rounded(x * 65_536.0) / 65_536.0
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

/// A count that is never scaled.
impl Additive for u32 {
    fn add(&mut self, other: &Self) {
        *self = self.saturating_add(*other);
    }

    fn scale(&mut self, _factor: f64) {}
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

/// A struct of sums that are added field by field.
macro_rules! additive {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl $crate::sums::Additive for $name {
            fn add(&mut self, other: &Self) {
                $($crate::sums::Additive::add(&mut self.$field, &other.$field);)+
            }

            fn scale(&mut self, factor: f64) {
                $($crate::sums::Additive::scale(&mut self.$field, factor);)+
            }
        }

        $crate::pack::pack_struct!($name { $($field),+ });
    };
}
pub(crate) use additive;

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
    /// What else is true of counterparties that are new to an agent.
    NewcomerSums {
        all: f64,
        /// Their parent (host, account prefix) was new as well.
        foreign: f64,
        /// No other agent of the class ever dealt with them.
        unknown: f64,
        /// They were written to without ever having been looked at.
        unseen: f64,
    }
}

additive! {
    /// One action within a class.
    ActionSums {
        /// Agent-hours with it.
        hours: f64,
        /// Agent-hours with a counterparty.
        counterparties: NoveltySums,
        newcomers: NewcomerSums,
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
        /// Counterparties in an hour with dealings: the same.
        fans: [f64; 3],
        /// Pauses of an hour and more: count, sum and sum of squares of ln(hours).
        pauses: [f64; 3],
        /// Money to counterparties not trusted yet, summed up as of each payment: count, sum and sum of
        /// squares of ln(units).
        exposures: [f64; 3],
        actions: KeyMap<ActionSums>,
        action_novelty: NoveltySums,
        network_novelty: NoveltySums,
        device_novelty: NoveltySums,
        /// Credentials; strange is one that another agent holds.
        credential_novelty: NoveltySums,
        /// Events with a network; new is one that comes at once after another.
        switches: NoveltySums,
        /// Agent-hours whose largest surprises are in `surprises`.
        blocks: f64,
        /// Agent-hours by scale and bin: key `scale * BINS + bin`; bin 0 is not written.
        surprises: KeyMap<f64>,
    }
}

/// Who voted: one bit of 64 per agent, or per pool of newcomers (`voter.rs`). However often an agent forgets and votes again, it stays one
/// bit; two agents share one now and then, so [`Voters::count`] tells too few rather than too many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Voters(u64);

impl Voters {
    pub(crate) fn insert(&mut self, agent: u64) {
        self.0 |= 1 << (agent & 63);
    }

    /// Voters, of `votes` cast: the bits set, or the votes where so many bits are set that each
    /// stands for several voters.
    pub(crate) fn count(self, votes: f64) -> f64 {
        let bits = self.0.count_ones();
        if bits < 32 { votes.min(f64::from(bits) * 1.5) } else { votes }
    }

    pub(crate) fn has_another(self, agent: u64) -> bool {
        self.0 & !(1 << (agent & 63)) != 0
    }

    pub(crate) fn are_enough(self) -> bool {
        VOUCHERS_MIN <= f64::from(self.0.count_ones())
    }
}

impl Additive for Voters {
    fn add(&mut self, other: &Self) {
        self.0 |= other.0;
    }

    fn scale(&mut self, _factor: f64) {}
}

impl Pack for Voters {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        u64::unpack(input).map(Self)
    }
}

additive! {
    /// Agents that came to know, and to trust, a thing.
    PeerSums {
        holders: u32,
        trusting: u32,
        who_holds: Voters,
        who_trusts: Voters,
    }
}

impl PeerSums {
    pub(crate) fn hold(&mut self, voter: Voter) {
        self.holders = self.holders.saturating_add(1);
        if let Some(bit) = voter.of_dealing() {
            self.who_holds.insert(bit);
        }
    }

    pub(crate) fn trust(&mut self, voter: Voter) {
        self.trusting = self.trusting.saturating_add(1);
        self.who_trusts.insert(voter.of_trust());
    }

    /// Counts the votes of one who has become established as its own. They were counted before.
    pub(crate) fn affirm(&mut self, voter: Voter, is_trusted: bool) {
        self.who_holds.insert(voter.agent);
        if is_trusted {
            self.who_trusts.insert(voter.agent);
        }
    }
}

additive! {
    /// Agents that appeared, and that became regular: founders on their third day, others once they
    /// have a vote of their own (`voter.rs`).
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
        /// Who began to use which credential.
        credentials: KeyMap<Voters>,
        /// What agents did, by model.
        fleets: KeyMap<FleetSums>,
        heads: HeadCount,
    }
}
