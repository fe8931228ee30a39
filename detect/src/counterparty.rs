//! Whom an agent deals with: how strange a counterparty is, and how many dealings with it are too many.
//!
//! | the agent, in this way (action; all reads are one) | its peers                 | likelihood q              |
//! |----------------------------------------------------|---------------------------|---------------------------|
//! | trusts it                                          | any                       | 1                         |
//! | trusts it in another way                           | any                       | nu                        |
//! | never dealt with it                                | vouch for it in this way  | sqrt of nu max(mu, min(1, 3 f)) |
//! | never dealt with it                                | vouch for it in another   | sqrt of nu max(.8 mu, min(.5, f)) |
//! | never dealt with it                                | do not vouch              | nu mu delta kappa upsilon |
//! | has dealt with it, less than trust takes           | any                       | between q and 1 (log)     |
//!
//! nu = P(new to the agent | action), mu = P(not vouched for | new), f = share of peers that vouch. Of
//! new ones: delta = P(its parent is new as well), kappa = P(no other agent of the class
//! ever dealt with it), upsilon = P(written to without ever being looked at); where the circumstance is absent, one
//! minus that. To look at a vendor makes it no payee. Invariant: as in `novelty.rs`.
//!
//! Source: detection.md section 6.

use crate::agent::{Agent, Recent};
use crate::class::{ActionSums, Class, ClassDelta, Peers};
use crate::facts::{Counterparty, Facts, Money};
use crate::guidance::Standing;
use crate::hash::fingerprint;
use crate::memory::{Note, Place};
use crate::novelty::{Rates, Strangeness, likelihood_of_new, with_trust};
use crate::rough::Rough;
use crate::signs::Signs;
use crate::tails::{Deviation, as_float, negative_binomial_upper, rounded, surprise};

/// Trust in a counterparty that was trusted once and had to leave the memory.
const TRUST_OF_BYGONE: f32 = 0.67;
/// What the class's rate of new counterparties under an action is worth, in hours of the agent.
/// Source: measured, docs/detection.md.
const PRIOR_HOURS: f64 = 10.0;
/// To write to somebody whom the agent never met and nobody vouches for is what attacks look like:
/// it counts for ten times rarer than it is. Source: measured, docs/detection.md; 85 to 100 % of the
/// malicious writes of detection.md section 4 are so, and 1 to 6 % of the benign ones.
const ODDS_OF_UNSEEN: f64 = 0.1;
/// Fewer dealings in an hour are no burst.
const BURST_MIN: u64 = 4;
/// What the mean over all counterparties is worth, in hours with dealings.
const PACE_WORTH: f64 = 2.0;

/// How strange the counterparty of an event is.
#[expect(clippy::struct_excessive_bools, reason = "independent circumstances, each with a rate")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CounterpartySign {
    pub strangeness: Strangeness,
    pub place: Option<Place>,
    /// Its parent is new to agent and class as well.
    pub is_foreign: bool,
    /// No other agent of its class ever dealt with it.
    pub is_unknown: bool,
    /// The agent has dealt with it in some way.
    pub was_met: bool,
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
    facts: &Facts<'_>,
    other: &Counterparty,
    said: Standing,
) -> CounterpartySign {
    let mut sign = judge_unsaid(agent, peers, facts, other, said == Standing::Denied);
    if said.is_known() {
        (sign.strangeness.surprise, sign.strangeness.vouchers) = (0.0, 1.0);
    }
    sign
}

/// The same by baselines alone; who `is_denied` is trusted by none of them.
fn judge_unsaid(
    agent: &Agent,
    peers: Peers<'_>,
    facts: &Facts<'_>,
    other: &Counterparty,
    is_denied: bool,
) -> CounterpartySign {
    let place = agent.edges.find(other.edge);
    let is_bygone = place.is_none() && agent.bygone.may_hold(other.edge);
    let trust = match place {
        Some(place) => peers.trust(agent.edges.trust(place)),
        None if is_bygone => TRUST_OF_BYGONE,
        None => 0.0,
    };
    let trust = if is_denied { 0.0 } else { trust };
    if 1.0 <= trust {
        return CounterpartySign { place, ..CounterpartySign::default() };
    }
    let class = peers.class;
    let nothing = ActionSums::default();
    let of_action = class.sums.actions.get(&facts.action).unwrap_or(&nothing);
    let rates = Rates::of(&of_action.counterparties, &class.prior.counterparties);
    let novelty = agent.novelty_of(facts.action);
    let rate = novelty.rate_where(rates.new, PRIOR_HOURS);
    let elsewhere = agent.edges.trust_of_kin(other.edge).filter(|_| !is_denied);
    let vouchers = |key: u64| if is_denied { 0.0 } else { peers.vouchers(key) };
    let (this_way, any_way) = (vouchers(other.edge), vouchers(other.key));
    let parent = facts.parent();
    let mut sign = CounterpartySign {
        place,
        was_met: elsewhere.is_some(),
        is_foreign: !agent.knows_parent(parent) && !class.has_seen(parent),
        is_unknown: peers.is_unknown(other.key, agent.key),
        is_unseen: facts.is_write && elsewhere.is_none() && !is_bygone,
        strangeness: Strangeness {
            surprise: 0.0,
            rate,
            vouchers: this_way.max(any_way),
            is_new: place.is_none() && !is_bygone,
        },
    };
    let new = if 0.0 < this_way {
        likelihood_of_new(rate, rates.strange, this_way).sqrt()
    } else if 0.0 < any_way {
        (rate * (0.8 * rates.strange).max(any_way.min(0.5))).sqrt()
    } else {
        let stranger = likelihood_of_stranger(&sign, class, of_action, facts.is_write);
        let likelihood = rate * rates.strange * stranger;
        // One peer is no voucher yet, but takes half the surprise away, as vouchers do.
        if sign.is_unknown { likelihood } else { likelihood.sqrt() }
    };
    // Once it is trusted in another way, this one is merely new.
    let kin = f64::from(elsewhere.unwrap_or(0.0));
    let new = if 0.0 < kin { new.powf(1.0 - kin) * new.max(rate).powf(kin) } else { new };
    sign.strangeness.surprise = surprise(with_trust(new, trust));
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
    let foreign = class.newcomer_rate(|sums| sums.foreign);
    let unknown = class.newcomer_rate(|sums| sums.unknown);
    let likelihood = of(sign.is_foreign, foreign) * of(sign.is_unknown, unknown);
    if !is_write {
        return likelihood;
    }
    let unseen = class.newcomer_rate_of(of_action, |sums| sums.unseen);
    let odds = if sign.is_unseen { ODDS_OF_UNSEEN } else { 1.0 };
    likelihood * of(sign.is_unseen, unseen) * odds
}

/// Learns of a dealing that succeeded.
pub(crate) fn learn(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    facts: &Facts<'_>,
    other: &Counterparty,
    signs: &Signs,
) {
    let sign = &signs.counterparty;
    let was_bygone = sign.place.is_none() && agent.bygone.may_hold(other.edge);
    let is_new = sign.strangeness.is_new;
    let voter = signs.voter;
    // Hours are counted, not dealings: a list of ten vendors is not ten chances to meet a new one.
    let action = agent.actions.find(facts.action).expect("it was learned just now");
    let novelty = &mut agent.novelties[action.index()];
    if agent.actions.is_first_of_hour(action, Note::Counterparty) {
        novelty.push_event();
        let sums = delta.sums.actions.entry(facts.action).or_default();
        sums.counterparties.events += 1.0;
    }
    if is_new && agent.actions.is_first_of_hour(action, Note::NewCounterparty) {
        novelty.push_new();
        let sums = delta.sums.actions.entry(facts.action).or_default();
        sums.counterparties.novel += 1.0;
        // A newcomer's strangers say nothing of what its peers may expect, or a flood of newcomers
        // would make everything usual.
        if voter.of_dealing().is_some() {
            sums.counterparties.strange += f64::from(u8::from(sign.is_strange()));
            sums.newcomers.all += 1.0;
            sums.newcomers.foreign += f64::from(u8::from(sign.is_foreign));
            sums.newcomers.unknown += f64::from(u8::from(sign.is_unknown));
            sums.newcomers.unseen += f64::from(u8::from(sign.is_unseen));
        }
    }
    let dealing = agent.edges.deal(other.edge, facts.hour());
    if let Some(evicted) = dealing.evicted {
        agent.bygone.insert(evicted, &mut agent.bygone_entries);
    }
    // Nobody vouches for what was confirmed as an attack.
    if was_bygone || signs.is_denied {
        return;
    }
    let mut vote = |key: u64| {
        let peers = delta.peers.entry(key).or_default();
        if dealing.is_new {
            peers.hold(voter);
        } else if dealing.is_now_trusted {
            peers.trust(voter);
        } else if voter.is_promoted {
            peers.affirm(voter, dealing.is_trusted);
        }
    };
    let is_day = dealing.is_new_day && (voter.counts_days || voter.is_promoted);
    if dealing.is_new || dealing.is_now_trusted || is_day {
        vote(other.edge);
        vote(other.key);
    }
    if dealing.is_new {
        let parent = facts.parent();
        if !agent.knows_parent(parent) {
            agent.learn_parent(parent);
            if voter.of_dealing().is_some() {
                delta.peers.entry(parent).or_default().hold(voter);
            }
        }
    }
}

/// What is remembered of late dealings with a counterparty, the present one included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Touched {
    /// Dealings of this hour.
    pub dealings: u64,
    /// Money that went there in the event's currency, as far back as is remembered.
    pub cents: i64,
    /// Payments of today, and the units they add up to.
    pub payments: u64,
    pub parts: f64,
}

/// Counts the event among the recent dealings with its counterparty.
pub(crate) fn touch_recent(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    facts: &Facts<'_>,
    other: &Counterparty,
) -> Touched {
    let wanted = fingerprint(other.key);
    let minute = facts.second / 60;
    let at = agent.recent.iter().position(|recent| recent.fingerprint == wanted);
    let at = at.unwrap_or_else(|| {
        let oldest = (0..agent.recent.len()).max_by_key(|at| agent.recent[*at].age(minute));
        oldest.expect("there are three places")
    });
    let recent = agent.recent[at];
    let is_same = recent.fingerprint == wanted;
    let mut recent = if is_same && recent.is_this_hour(minute) {
        Recent { dealings: Rough::of(recent.dealings.get() + 1), ..recent }
    } else {
        close_burst(agent, delta, recent, is_same.then_some(other));
        recent.next_hour(is_same, wanted, minute)
    };
    recent.touch(minute);
    if let Some(money) = facts.paid() {
        recent.pay(money);
    }
    agent.recent[at] = recent;
    Touched {
        dealings: recent.dealings.get(),
        cents: facts.money.map_or(0, |money| recent.paid.paid(&money)),
        payments: recent.payments.get(),
        parts: f64::from(recent.parts),
    }
}

impl Recent {
    /// The payments of a day are one sum; this long after the last one another begins.
    const PARTS_MINUTES: u32 = 1_440;

    #[expect(clippy::cast_possible_truncation, reason = "minutes are kept modulo 2^16")]
    fn is_this_hour(&self, minute: u32) -> bool {
        (minute as u16).wrapping_sub(self.since_minute) < 60 && self.age(minute) < 60
    }

    /// The first dealing of an hour, with the same counterparty or with another.
    #[expect(clippy::cast_possible_truncation, reason = "minutes are kept modulo 2^16")]
    fn next_hour(self, is_same: bool, fingerprint: u32, minute: u32) -> Self {
        let first = Self {
            fingerprint,
            since_minute: minute as u16,
            last_minute: minute as u16,
            dealings: Rough::of(1),
            ..Self::default()
        };
        if !is_same {
            return first;
        }
        let Self { paid, parts, payments, .. } = self;
        let is_another_day = Self::PARTS_MINUTES <= self.age(minute);
        if is_another_day {
            Self { paid, ..first }
        } else {
            Self { paid, parts, payments, ..first }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "minutes are kept modulo 2^16")]
    fn touch(&mut self, minute: u32) {
        self.last_minute = minute as u16;
    }

    #[expect(clippy::cast_possible_truncation, reason = "sums are told to seven digits")]
    fn pay(&mut self, money: &Money) {
        self.paid.add(money);
        self.payments = Rough::of(self.payments.get() + 1);
        self.parts += money.units as f32;
    }

    /// Minutes since the last dealing; an empty place is older than all.
    #[expect(clippy::cast_possible_truncation, reason = "minutes are kept modulo 2^16")]
    fn age(&self, minute: u32) -> u32 {
        if self.fingerprint == 0 {
            return u32::MAX;
        }
        u32::from((minute as u16).wrapping_sub(self.last_minute))
    }
}

/// Learns how many dealings an hour had.
#[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
fn close_burst(
    agent: &mut Agent,
    delta: &mut ClassDelta,
    closed: Recent,
    other: Option<&Counterparty>,
) {
    let dealings = as_float(closed.dealings.get());
    if dealings < 1.0 {
        return;
    }
    // One wild hour is learned as a busy one, or the next flood would be usual.
    let [hours, sum, _] = agent.bursts.map(f64::from);
    let busy = if hours < 3.0 { 10_000.0 } else { 8.0 * (sum / hours).max(1.0) };
    let dealings = rounded(dealings.min(busy));
    let sums = [1.0, dealings, dealings * dealings];
    let all = agent.bursts.iter_mut().zip(&mut delta.sums.bursts);
    for ((own, of_class), more) in all.zip(sums) {
        // Forgets at the pace of 256 hours with dealings.
        *own = *own * (255.0 / 256.0) + more as f32;
        *of_class += more;
    }
    if let Some(place) = other.and_then(|other| agent.edges.find(other.edge)) {
        agent.edges.learn_pace(place, dealings);
    }
}

/// Judges how many dealings with one counterparty this hour has.
pub(crate) fn judge_burst(
    agent: &Agent,
    class: &Class,
    place: Option<Place>,
    dealings: u64,
) -> Deviation {
    if dealings < BURST_MIN {
        return Deviation::default();
    }
    let prior = &class.prior.bursts;
    let [hours, sum, squares] = std::array::from_fn(|at| f64::from(agent.bursts[at]) + prior[at]);
    if hours < 3.0 {
        return Deviation::default();
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
    let seen = as_float(dealings);
    if seen < 1.5 * expected {
        return Deviation::default();
    }
    let tail = negative_binomial_upper(seen, expected, 1.0 / wildness);
    Deviation { surprise: surprise(tail), expected, seen }
}
