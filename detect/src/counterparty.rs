//! Whom an agent deals with: how strange a counterparty is, and how many dealings with it are too many.
//!
//! | the agent                                | its peers                        | likelihood q              |
//! |------------------------------------------|----------------------------------|---------------------------|
//! | trusts it (for a write: to write to)     | any                              | 1                         |
//! | trusts it, but to write to it            | any                              | nu                        |
//! | never dealt with it                      | vouch for it (for this way)      | nu max(mu, min(1, 3 f))   |
//! | never dealt with it, writes              | vouch for it, not for writing    | nu max(.8 mu, min(.5, f)) |
//! | never dealt with it                      | do not vouch                     | nu mu delta kappa upsilon |
//! | has dealt with it, less than trust takes | any                              | between q and 1 (log)     |
//!
//! nu = P(new to the agent), mu = P(not vouched for | new), f = share of peers that vouch. Of those
//! not vouched for: delta = P(its parent is new as well), kappa = P(nobody in the company knows it),
//! upsilon = P(written to without ever being looked at); where the circumstance is absent, one minus
//! that. To look at a vendor makes it no payee. Invariant: as in `novelty.rs`.
//!
//! Source: detection.md section 6.

use crate::agent::{Agent, Recent};
use crate::class::{ActionSums, Class, ClassDelta, Peers};
use crate::facts::{Counterparty, Facts};
use crate::hash::{fingerprint, join};
use crate::memory::Place;
use crate::novelty::{Novelty, Rates, Strangeness, likelihood_of_new, with_trust};
use crate::tails::{negative_binomial_upper, surprise};

/// Trust in a counterparty that was trusted once and had to leave the memory.
const TRUST_OF_BYGONE: f32 = 0.67;
/// Fewer dealings in an hour are no burst.
const BURST_MIN: u32 = 4;
/// What the mean over all counterparties is worth, in hours with dealings.
const PACE_WORTH: f64 = 2.0;

/// How strange the counterparty of an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CounterpartySign {
    pub strangeness: Strangeness,
    pub place: Option<Place>,
    /// Its parent is new to agent and class as well.
    pub is_foreign: bool,
    /// Nobody else in the company knows it.
    pub is_unknown: bool,
    /// The agent writes to it and never looked at it.
    pub is_unseen: bool,
}

impl CounterpartySign {
    /// New to the agent and vouched for by nobody.
    pub(crate) fn is_strange(&self) -> bool {
        self.strangeness.is_new && self.strangeness.vouchers <= 0.0
    }
}

/// Judges the counterparty against what agent, class and company knew before.
pub(crate) fn judge(
    agent: &Agent,
    peers: Peers<'_>,
    facts: &Facts,
    other: &Counterparty,
) -> CounterpartySign {
    let place = agent.edges.find(other.key);
    let is_bygone = place.is_none() && agent.bygone.may_hold(other.key);
    let trust = match place {
        Some(place) => agent.edges.trust(place),
        None if is_bygone => TRUST_OF_BYGONE,
        None => 0.0,
    };
    let write_trust = match place {
        Some(place) if facts.is_write => agent.edges.write_trust(place),
        Some(_) | None => 1.0,
    };
    if 1.0 <= trust && 1.0 <= write_trust {
        return CounterpartySign { place, ..CounterpartySign::default() };
    }
    let class = peers.class;
    let nothing = ActionSums::default();
    let of_action = class.sums.actions.get(&facts.action).unwrap_or(&nothing);
    let rates = Rates::of(&of_action.counterparties, &class.prior.counterparties);
    let novelty = novelty_of(agent, facts.is_write);
    let rate = novelty.rate(rates.new);
    let read = class.vouchers(other.key);
    let this_way = if facts.is_write { class.vouchers(other.written_to) } else { read };
    let mut sign = CounterpartySign {
        place,
        is_foreign: !agent.knows_parent(other.parent) && !class.has_seen(other.parent),
        is_unknown: !peers.company.knows(other.key),
        is_unseen: facts.is_write && place.is_none() && !is_bygone,
        strangeness: Strangeness {
            surprise: 0.0,
            rate,
            vouchers: this_way.max(read),
            is_new: (place.is_none() && !is_bygone) || write_trust <= 0.0,
        },
    };
    let new = if 0.0 < this_way {
        // What peers vouch for, a young agent is about to learn.
        likelihood_of_new(rate.powf(novelty.maturity()), rates.strange, this_way)
    } else if 0.0 < read {
        rate * (0.8 * rates.strange).max(read.min(0.5))
    } else {
        rate * rates.strange * likelihood_of_stranger(&sign, class, of_action, facts.is_write)
    };
    let likelihood = if facts.is_write && place.is_some() {
        // Once it is trusted to look at, writing to it is merely new.
        with_trust(with_trust(new, trust) * rate.powf(f64::from(trust)), write_trust)
    } else {
        with_trust(new, trust)
    };
    sign.strangeness.surprise = surprise(likelihood);
    sign
}

/// How likely it is for a stranger to be as strange as this one.
fn likelihood_of_stranger(
    sign: &CounterpartySign,
    class: &Class,
    of_action: &ActionSums,
    is_write: bool,
) -> f64 {
    let of = |is_so: bool, rate: f64| if is_so { rate } else { 1.0 - rate };
    let foreign = class.stranger_rate(of_action, |sums| sums.foreign);
    let unknown = class.stranger_rate(of_action, |sums| sums.unknown);
    let unseen = class.stranger_rate(of_action, |sums| sums.unseen);
    let likelihood = of(sign.is_foreign, foreign) * of(sign.is_unknown, unknown);
    if is_write { likelihood * of(sign.is_unseen, unseen) } else { likelihood }
}

fn novelty_of(agent: &Agent, is_write: bool) -> Novelty {
    if is_write { agent.write_novelty } else { agent.read_novelty }
}

/// Learns of a dealing that succeeded.
pub(crate) fn learn(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    facts: &Facts,
    other: &Counterparty,
    sign: &CounterpartySign,
) {
    let was_bygone = sign.place.is_none() && agent.bygone.may_hold(other.key);
    let is_new = sign.strangeness.is_new;
    let novelty = if facts.is_write { &mut agent.write_novelty } else { &mut agent.read_novelty };
    novelty.push(is_new);
    let sums = delta.sums.actions.entry(facts.action).or_default();
    sums.counterparties.events += 1.0;
    if is_new {
        sums.counterparties.novel += 1.0;
        if sign.is_strange() {
            sums.counterparties.strange += 1.0;
            sums.strangers.strangers += 1.0;
            sums.strangers.foreign += f64::from(u8::from(sign.is_foreign));
            sums.strangers.unknown += f64::from(u8::from(sign.is_unknown));
            sums.strangers.unseen += f64::from(u8::from(sign.is_unseen));
        }
    }
    let dealing = agent.edges.deal(other.key, facts.hour());
    if let Some(evicted) = dealing.evicted {
        agent.bygone.insert(evicted);
    }
    if facts.is_write {
        let write = agent.edges.write(dealing.place);
        if (write.is_first || write.is_now_trusted) && !was_bygone {
            let peers = delta.peers.entry(other.written_to).or_default();
            peers.holders += f64::from(u8::from(write.is_first));
            peers.trusting += f64::from(u8::from(write.is_now_trusted));
        }
    }
    if dealing.is_new && !was_bygone {
        delta.peers.entry(other.key).or_default().holders += 1.0;
        if !agent.knows_parent(other.parent) {
            agent.learn_parent(other.parent);
            delta.peers.entry(other.parent).or_default().holders += 1.0;
        }
    } else if dealing.is_now_trusted && !was_bygone {
        delta.peers.entry(other.key).or_default().trusting += 1.0;
    } else if dealing.is_new_day {
        delta.peers.entry(other.key).or_default();
    }
}

/// Counts the event among the recent dealings with its counterparty. Returns the count of this hour,
/// and the money that went there since it was first seen, as far back as is remembered.
pub(crate) fn touch_recent(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    facts: &Facts,
    other: &Counterparty,
) -> (u32, i64) {
    let currency = facts.money.map_or(0, |money| money.currency);
    let wanted = fingerprint(join(other.key, currency));
    let at = agent.recent.iter().position(|recent| recent.fingerprint == wanted);
    let at = at.unwrap_or_else(|| {
        let oldest = (0..agent.recent.len()).min_by_key(|at| agent.recent[*at].last);
        oldest.expect("there are six places")
    });
    let recent = agent.recent[at];
    let is_same = recent.fingerprint == wanted;
    let recent = if is_same && facts.second.saturating_sub(recent.since) < 3_600 {
        Recent { dealings: recent.dealings.saturating_add(1), ..recent }
    } else {
        close_burst(agent, delta, recent, is_same.then_some(other));
        let cents = if is_same { recent.cents } else { 0 };
        Recent { fingerprint: wanted, since: facts.second, dealings: 1, cents, last: 0 }
    };
    let paid = facts.money.filter(|_| facts.is_success).map_or(0, |money| money.cents);
    let recent = Recent { last: facts.second, cents: recent.cents.saturating_add(paid), ..recent };
    agent.recent[at] = recent;
    (recent.dealings, recent.cents)
}

/// Learns how many dealings an hour had.
#[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
fn close_burst(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    closed: Recent,
    other: Option<&Counterparty>,
) {
    if closed.dealings == 0 {
        return;
    }
    let dealings = f64::from(closed.dealings.min(10_000));
    let sums = [1.0, dealings, dealings * dealings];
    let all = agent.bursts.iter_mut().zip(&mut delta.sums.bursts);
    for ((own, of_class), more) in all.zip(sums) {
        // Forgets at the pace of 256 hours with dealings.
        *own = *own * (255.0 / 256.0) + more as f32;
        *of_class += more;
    }
    if let Some(place) = other.and_then(|other| agent.edges.find(other.key)) {
        agent.edges.learn_pace(place, dealings);
    }
}

/// Many dealings with one counterparty in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BurstSign {
    pub surprise: f64,
    pub expected: f64,
    pub seen: f64,
}

/// Judges the count of this hour.
pub(crate) fn judge_burst(
    agent: &Agent,
    class: &Class,
    place: Option<Place>,
    dealings: u32,
) -> BurstSign {
    if dealings < BURST_MIN {
        return BurstSign::default();
    }
    let prior = &class.prior.bursts;
    let [hours, sum, squares] = std::array::from_fn(|at| f64::from(agent.bursts[at]) + prior[at]);
    if hours < 3.0 {
        return BurstSign::default();
    }
    let mean = (sum / hours).max(1.0);
    let variance = (squares / hours - mean * mean).max(0.0);
    let wildness = ((variance - mean) / (mean * mean)).clamp(0.05, 4.0);
    let expected = match place {
        Some(place) => {
            let own = f64::from(agent.edges.days(place)) + 1.0;
            (PACE_WORTH * mean + own * agent.edges.pace(place)) / (PACE_WORTH + own)
        }
        None => mean,
    };
    let seen = f64::from(dealings);
    if seen < 1.5 * expected {
        return BurstSign::default();
    }
    let tail = negative_binomial_upper(seen, expected, 1.0 / wildness);
    BurstSign { surprise: surprise(tail), expected, seen }
}
