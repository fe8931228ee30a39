//! From where a credential is used, and who else uses it: networks that take turns too quickly, and a
//! credential that is another agent's.
//!
//! Invariant: both are judged by how often it happens to this agent and its class; what always
//! happens (a pool of addresses, a service account of a whole team) is not unusual.

use crate::agent::Agent;
use crate::class::{NoveltySums, Peers};
use crate::facts::Facts;
use crate::hash::fingerprint;
use crate::novelty::{Novelty, Rates, Strangeness};
use crate::pack::pack_struct;
use crate::tails::surprise;

/// Who is in one network and after so many seconds in another is in both.
const QUICK_SECONDS: u32 = 60;

/// The network of the latest event, and how often the next one came from another at once. 12 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Whereabouts {
    network: u32,
    second: u32,
    switches: Novelty,
}

pack_struct!(Whereabouts { network, second, switches });

impl Whereabouts {
    fn is_switch(&self, network: u64, second: u32) -> bool {
        self.network != 0
            && self.network != fingerprint(network)
            && second.saturating_sub(self.second) < QUICK_SECONDS
    }

    /// How strange it is to be in this network now.
    pub(crate) fn judge(&self, facts: &Facts<'_>, class: &NoveltySums) -> Strangeness {
        let is_switch = facts.network.is_some_and(|at| self.is_switch(at, facts.second));
        if !is_switch {
            return Strangeness::default();
        }
        let of_class = Rates::of(class, &NoveltySums::default());
        let rate = self.switches.rate(of_class.new);
        let surprise = surprise(rate) * self.switches.maturity();
        Strangeness { surprise, rate, vouchers: 0.0, is_new: true }
    }

    pub(crate) fn learn(&mut self, facts: &Facts<'_>, class: &mut NoveltySums) {
        let Some(network) = facts.network else { return };
        let is_switch = self.is_switch(network, facts.second);
        self.switches.push(is_switch);
        class.events += 1.0;
        class.novel += f64::from(u8::from(is_switch));
        (self.network, self.second) = (fingerprint(network), facts.second);
    }

    /// Forgets the latest event: the clock was wrong.
    pub(crate) fn rewind(&mut self) {
        (self.network, self.second) = (0, 0);
    }
}

/// How strange it is that the agent uses a credential that is new to it and that another agent holds.
///
/// `vouchers` is 1 if another agent holds it, whatever comes of that.
pub(crate) fn judge_credential(agent: &Agent, peers: Peers<'_>, facts: &Facts<'_>) -> Strangeness {
    if agent.credentials.find(facts.credential).is_some() {
        return Strangeness::default();
    }
    let is_shared = peers.population.is_held_by_another(facts.credential, agent.key);
    let rates = Rates::of(&peers.class.sums.credential_novelty, &NoveltySums::default());
    let rate = agent.credential_novelty.rate(rates.new);
    let vouchers = f64::from(u8::from(is_shared));
    if !is_shared {
        return Strangeness { surprise: 0.0, rate, vouchers, is_new: true };
    }
    // What a class shares from the start is no surprise; of an agent without a history nothing is.
    let surprise = surprise(rate * rates.strange) * agent.credential_novelty.maturity();
    Strangeness { surprise, rate, vouchers, is_new: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Keys;
    use crate::sample::event;

    /// Does something with the facts of an event that uses a credential from there and then.
    fn with_facts<T>(address: &str, second: u32, of: impl FnOnce(&Facts<'_>) -> T) -> T {
        let mut stamped = event("a", "c", i64::from(second), "x.get");
        stamped.event.source_ip = Some(address.parse().unwrap());
        let keys = Keys::of(&stamped, &[]);
        of(&Facts::at(&stamped.event, &keys, keys.second))
    }

    #[test]
    fn to_be_in_two_networks_within_a_minute_is_strange_unless_it_always_happens() {
        let (mut steady, mut pooled) = (Whereabouts::default(), Whereabouts::default());
        let mut sums = NoveltySums::default();
        for n in 0..400_u32 {
            let second = 1_000 + 10 * n;
            with_facts("10.1.1.1", second, |facts| steady.learn(facts, &mut sums));
            let address = ["10.1.1.1", "10.2.2.2"][n as usize % 2];
            with_facts(address, second, |facts| pooled.learn(facts, &mut NoveltySums::default()));
        }
        let soon = 1_000 + 4_000 + 5;
        let judge = |of: &Whereabouts, address: &str, second: u32| {
            with_facts(address, second, |facts| of.judge(facts, &sums))
        };

        let elsewhere = judge(&steady, "10.9.9.9", soon);
        let later = judge(&steady, "10.9.9.9", soon + 600);
        let at_home = judge(&steady, "10.1.1.1", soon);
        let of_pool = judge(&pooled, "10.1.1.1", soon);

        assert!(1.5 < elsewhere.surprise, "{elsewhere:?}");
        assert!(later.surprise <= 0.0 && at_home.surprise <= 0.0, "{later:?} {at_home:?}");
        assert!(of_pool.surprise < 0.2, "{of_pool:?}");
    }
}
