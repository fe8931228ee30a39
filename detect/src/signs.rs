//! [`Signs`]: everything unusual about one event, feature by feature, before it is weighed.
//!
//! Invariant: signs are read from the state before the event was learned; only the open windows
//! (counts and money of the last minutes, hour and day) hold the event already.

use schemas::DetectorKind;

use crate::agent::Agent;
use crate::amount::{NearLimit, UnusualAmount};
use crate::class::{Peers, Prior, SCALES};
use crate::counterparty::{self, BurstSign, CounterpartySign};
use crate::facts::Facts;
use crate::novelty::{self, Strangeness};
use crate::volume::Unusual;

/// Looking at something new is less than doing something to it. Source: detection.md section 6.
const READ_WEIGHT: f64 = 0.4;
/// What failed of itself had no effect. What was refused keeps its weight: somebody tried.
const ERROR_WEIGHT: f64 = 0.5;
/// A new network with a known device (or the reverse) is a journey; both at once are another place.
const ONE_OF_TWO_WEIGHT: f64 = 0.5;

/// One thing that can be unusual. Each has a scale of its own in the calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    Calls,
    Writes,
    Failures,
    Money,
    Drift,
    Hour,
    Amount,
    NearLimit,
    Counterparty,
    Burst,
    Action,
    Origin,
}

/// Features that tell of the same thing: only the strongest of a group counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// How much.
    Volume,
    /// When.
    Hour,
    /// How high.
    Amount,
    /// With whom and what.
    Novelty,
    /// From where.
    Origin,
}

impl Group {
    pub(crate) const COUNT: usize = 5;
}

impl Feature {
    pub(crate) const ALL: [Self; SCALES - 1] = [
        Self::Calls,
        Self::Writes,
        Self::Failures,
        Self::Money,
        Self::Drift,
        Self::Hour,
        Self::Amount,
        Self::NearLimit,
        Self::Counterparty,
        Self::Burst,
        Self::Action,
        Self::Origin,
    ];

    pub(crate) fn group(self) -> Group {
        match self {
            Self::Calls
            | Self::Writes
            | Self::Failures
            | Self::Money
            | Self::Drift
            | Self::Burst => Group::Volume,
            Self::Hour => Group::Hour,
            Self::Amount | Self::NearLimit => Group::Amount,
            Self::Counterparty | Self::Action => Group::Novelty,
            Self::Origin => Group::Origin,
        }
    }

    pub(crate) fn detector(self) -> DetectorKind {
        match self {
            Self::Calls
            | Self::Writes
            | Self::Failures
            | Self::Money
            | Self::Drift
            | Self::Hour => DetectorKind::UnusualVolume,
            Self::Amount | Self::NearLimit => DetectorKind::UnusualAmount,
            Self::Counterparty => DetectorKind::NewCounterparty,
            Self::Burst => DetectorKind::CounterpartyBurst,
            Self::Action => DetectorKind::NewAction,
            Self::Origin => DetectorKind::StolenCredential,
        }
    }
}

/// An hour of the week in which nobody works.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UnusualHour {
    pub surprise: f64,
    /// Share of such hours that are active.
    pub expected: f64,
}

impl UnusualHour {
    /// By the class's week.
    fn of(prior: &Prior, facts: &Facts) -> Self {
        let expected = prior.activity[facts.hour_of_week];
        if ODD_HOUR <= expected {
            return Self::default();
        }
        Self { surprise: crate::tails::surprise(expected), expected }
    }
}

/// An hour is odd if fewer than one in ten is active.
const ODD_HOUR: f64 = 0.1;

/// Calls, writes and failures, then money.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    /// A finding named its counterparty or action already, and it is not trusted since.
    pub is_told: bool,
    /// What novelty counts: less for reads, and for what failed of itself.
    pub weight: f64,
    pub counts: [Unusual; 3],
    pub money: Unusual,
    pub drift: Unusual,
    pub hour: UnusualHour,
    pub amount: UnusualAmount,
    pub near_limit: NearLimit,
    pub counterparty: CounterpartySign,
    pub burst: BurstSign,
    pub action: Strangeness,
    pub network: Strangeness,
    pub device: Strangeness,
}

impl Signs {
    /// Reads the signs of an event whose counterparty has had `dealings` in this hour.
    pub(crate) fn read(agent: &Agent, peers: Peers<'_>, facts: &Facts, dealings: u32) -> Self {
        let class = peers.class;
        let prior = &class.prior;
        let at = facts.second;
        let mut signs = Self {
            counts: [0, 1, 2].map(|count| agent.volume.unusual(count, at, prior)),
            hour: UnusualHour::of(prior, facts),
            drift: agent.volume.unusual_drift(),
            ..Self::default()
        };
        if let Some(money) = &facts.money {
            let of_class = class.sums.actions.get(&money.key);
            signs.money = agent.volume.unusual_money(money.units, at, prior);
            signs.amount = agent.amounts.unusual(money, of_class);
            signs.near_limit = agent.amounts.near_limit(money, facts.hour(), of_class);
        }
        if let Some(other) = &facts.counterparty {
            signs.counterparty = counterparty::judge(agent, peers, facts, other);
            let place = signs.counterparty.place;
            signs.burst = counterparty::judge_burst(agent, class, place, dealings);
        }
        signs.action = novelty::judge(
            agent.actions.find(facts.action).map(|place| agent.actions.trust(place)),
            agent.action_novelty,
            &class.sums.action_novelty,
            peers,
            facts.action,
        );
        if let Some(network) = facts.network {
            signs.network = novelty::judge(
                agent.networks.find(network).map(|place| agent.networks.trust(place)),
                agent.network_novelty,
                &class.sums.network_novelty,
                peers,
                network,
            );
        }
        if let Some(device) = facts.device {
            signs.device = novelty::judge(
                agent.devices.find(device).map(|place| agent.devices.trust(place)),
                agent.device_novelty,
                &class.sums.device_novelty,
                peers,
                device,
            );
        }
        // A key has no usual place before it has a history.
        signs.network.surprise *= agent.network_novelty.maturity();
        signs.device.surprise *= agent.device_novelty.maturity();
        let weight = if facts.is_write { 1.0 } else { READ_WEIGHT };
        let weight = if facts.is_error { weight * ERROR_WEIGHT } else { weight };
        signs.counterparty.strangeness.surprise *= weight;
        signs.action.surprise *= weight;
        signs.weight = weight;
        let place = agent.actions.find(facts.action);
        signs.is_told = signs.counterparty.place.is_some_and(|at| agent.edges.is_alerted(at))
            || (0.0 < signs.action.surprise
                && place.is_some_and(|at| agent.actions.is_alerted(at)));
        signs
    }

    /// The largest surprise of calls and of dealings with one counterparty; where a tail is too small
    /// to be told, larger counts still come first.
    pub(crate) fn volume(&self) -> f64 {
        let Unusual { surprise, seen, .. } = self.counts[0];
        let calls = surprise + seen.max(1.0).log10();
        let BurstSign { surprise, seen, .. } = self.burst;
        calls.max(surprise + seen.max(1.0).log10())
    }

    /// The raw surprise of a feature.
    pub(crate) fn surprise(&self, feature: Feature) -> f64 {
        match feature {
            Feature::Calls => self.counts[0].surprise,
            Feature::Writes => self.counts[1].surprise,
            Feature::Failures => self.counts[2].surprise,
            Feature::Money => self.money.surprise,
            Feature::Drift => self.drift.surprise,
            Feature::Hour => self.hour.surprise,
            Feature::Amount => self.amount.surprise,
            Feature::NearLimit => self.near_limit.surprise,
            Feature::Counterparty => self.counterparty.strangeness.surprise,
            Feature::Burst => self.burst.surprise,
            Feature::Action => self.action.surprise,
            Feature::Origin => {
                let [network, device] = [self.network.surprise, self.device.surprise];
                if network <= 0.0 || device <= 0.0 {
                    ONE_OF_TWO_WEIGHT * network.max(device)
                } else {
                    network + device
                }
            }
        }
    }
}
