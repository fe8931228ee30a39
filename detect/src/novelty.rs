//! [`Novelty`]: how often something is new to an agent, and how unlikely a stranger therefore is.
//!
//! Invariant: a likelihood lies in 0 (excluded) to 1, is 1 for what is trusted, and falls neither
//! with trust nor with the number of peers that vouch.
//!
//! Source: detection.md section 6: Good-Turing, `nu = (N_new + 4 nu_g) / (n + 4)`, and the table of q.

use crate::class::{NoveltySums, Peers};
use crate::pack::pack_struct;

/// What the class's rate of novelty is worth, in events. Source: detection.md section 6.
const PRIOR_EVENTS: f64 = 4.0;
/// What a rate is worth that belongs to a wider group than asked for, in events.
const WIDER_EVENTS: f64 = 20.0;
/// Source: peers carry the first 64 to 128 events of an agent (detection.md section 0).
const MATURE_EVENTS: f64 = 128.0;
/// Rate of novelty where nothing is known at all.
const RATE_OF_NOTHING: f64 = 0.3;
/// After this many events both counters are halved: what is old fades.
const EVENTS_MAX: u16 = 4_096;
/// `new` is kept in eighths, so that halving does not lose it.
const EIGHTHS: u16 = 8;

/// Events of an agent, and those with something new.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Novelty {
    events: u16,
    new: u16,
}

pack_struct!(Novelty { events, new });

impl Novelty {
    pub(crate) fn push(&mut self, is_new: bool) {
        self.push_event();
        if is_new {
            self.push_new();
        }
    }

    pub(crate) fn push_event(&mut self) {
        if self.events == EVENTS_MAX {
            self.events /= 2;
            self.new /= 2;
        }
        self.events += 1;
    }

    /// Tells that the event counted last had something new.
    pub(crate) fn push_new(&mut self) {
        self.new = self.new.saturating_add(EIGHTHS);
    }

    /// Goes on with a quarter of what was counted.
    pub(crate) fn soften(&mut self) {
        self.events /= 4;
        self.new /= 4;
    }

    /// 0 to 1: how far the agent speaks for itself.
    pub(crate) fn maturity(self) -> f64 {
        (f64::from(self.events) / MATURE_EVENTS).min(1.0)
    }

    /// Probability that the next is new, where the class's is `of_class`.
    pub(crate) fn rate(self, of_class: f64) -> f64 {
        let new = f64::from(self.new) / f64::from(EIGHTHS);
        (new + PRIOR_EVENTS * of_class) / (f64::from(self.events) + PRIOR_EVENTS)
    }
}

/// The novelty that a class expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// P(new to the agent).
    pub new: f64,
    /// P(not vouched for by peers | new to the agent).
    pub strange: f64,
}

impl Rates {
    /// Of the narrow group, shrunk to the wide one.
    pub(crate) fn of(narrow: &NoveltySums, wide: &NoveltySums) -> Self {
        let wide_new = (wide.novel + 2.0 * RATE_OF_NOTHING) / (wide.events + 2.0);
        let wide_strange = (wide.strange + 1.0) / (wide.novel + 2.0);
        let worth = WIDER_EVENTS / 4.0;
        Self {
            new: (narrow.novel + WIDER_EVENTS * wide_new) / (narrow.events + WIDER_EVENTS),
            strange: (narrow.strange + worth * wide_strange) / (narrow.novel + worth),
        }
    }
}

/// How strange a thing is, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Strangeness {
    /// Minus the decimal logarithm of its likelihood.
    pub surprise: f64,
    /// P(something new) for this agent.
    pub rate: f64,
    /// Share of peers that vouch for it.
    pub vouchers: f64,
    pub is_new: bool,
}

/// The likelihood of what is `new` to the agent with probability `rate`, when this share of peers
/// vouches for it, and `strange` is P(no peer vouches | new to the agent).
pub(crate) fn likelihood_of_new(rate: f64, strange: f64, vouchers: f64) -> f64 {
    if 0.0 < vouchers { rate * strange.max((3.0 * vouchers).min(1.0)) } else { rate * strange }
}

/// From the likelihood of something never seen to that of something seen with this trust: linear in
/// the logarithm.
pub(crate) fn with_trust(likelihood: f64, trust: f32) -> f64 {
    match trust {
        1.0.. => 1.0,
        ..=0.0 => likelihood,
        _ => likelihood.powf(1.0 - f64::from(trust)),
    }
}

/// Judges something of which the agent keeps a memory and the class a novelty: actions, networks and
/// devices.
pub(crate) fn judge(
    trust: Option<f32>,
    novelty: Novelty,
    sums: &NoveltySums,
    peers: Peers<'_>,
    key: u64,
) -> Strangeness {
    let trust = trust.map(|trust| peers.trust(trust));
    if trust.is_some_and(|trust| 1.0 <= trust) {
        return Strangeness::default();
    }
    let rates = Rates::of(sums, &NoveltySums::default());
    let rate = novelty.rate(rates.new);
    let vouchers = peers.vouchers(key);
    // What peers vouch for, a young agent is about to learn: its own rate says nothing yet.
    let likelihood = likelihood_of_new(rate, rates.strange, vouchers);
    let likelihood =
        if 0.0 < vouchers { likelihood.powf(0.5 * novelty.maturity()) } else { likelihood };
    let likelihood = with_trust(likelihood, trust.unwrap_or(0.0));
    Strangeness {
        surprise: crate::tails::surprise(likelihood),
        rate,
        vouchers,
        is_new: trust.is_none(),
    }
}

/// The same in two bytes, for each of many actions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BriefNovelty {
    events: u8,
    /// In quarters.
    new: u8,
}

pack_struct!(BriefNovelty { events, new });

impl BriefNovelty {
    const QUARTERS: u8 = 4;

    pub(crate) fn push_event(&mut self) {
        if self.events == u8::MAX {
            self.halve();
        }
        self.events += 1;
    }

    /// Tells that the event counted last had something new.
    pub(crate) fn push_new(&mut self) {
        if u8::MAX - Self::QUARTERS < self.new {
            self.halve();
        }
        self.new += Self::QUARTERS;
    }

    fn halve(&mut self) {
        self.events /= 2;
        self.new /= 2;
    }

    /// Probability that the next is new, where the class's is `of_class` and worth `prior` events.
    pub(crate) fn rate_where(self, of_class: f64, prior: f64) -> f64 {
        let new = f64::from(self.new) / f64::from(Self::QUARTERS);
        (new + prior * of_class) / (f64::from(self.events) + prior)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_starts_at_the_classs_and_becomes_the_agents_own() {
        let mut novelty = Novelty::default();
        assert!((novelty.rate(0.2) - 0.2).abs() < 1e-9);

        for n in 0..20_000 {
            novelty.push(n % 50 == 0);
        }

        assert!((novelty.rate(0.2) - 0.02).abs() < 0.002, "{}", novelty.rate(0.2));
    }

    #[test]
    fn in_two_bytes_rates_come_out_the_same() {
        for (every, within) in [(50, 0.01), (3, 0.05), (1, 0.01)] {
            let mut novelty = BriefNovelty::default();
            for n in 0..5_000 {
                novelty.push_event();
                if n % every == 0 {
                    novelty.push_new();
                }
            }

            let rate = novelty.rate_where(0.2, 1.0);
            assert!((rate - 1.0 / f64::from(every)).abs() < within, "{every}: {rate}");
        }
    }

    #[test]
    fn trust_and_vouching_peers_only_make_a_thing_more_likely() {
        let of = |trust, vouchers| with_trust(likelihood_of_new(0.03, 0.3, vouchers), trust);

        assert!(of(0.0, 0.0) < of(0.0, 0.2) && of(0.0, 0.2) < of(0.0, 0.4));
        assert!(of(0.0, 0.0) < of(0.34, 0.0) && of(0.34, 0.0) < of(0.67, 0.0));
        assert!((of(1.0, 0.0) - 1.0).abs() < 1e-12);
    }
}
