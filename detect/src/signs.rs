//! [`Signs`]: everything unusual about one event, feature by feature, before it is weighed.
//!
//! Invariant: signs are read from the state before the event was learned; only the open windows
//! (counts and money of the last minutes, hour and day) hold the event already.

use schemas::DetectorKind;

use crate::agent::Agent;
use crate::amount::{NearLimit, UnusualAmount};
use crate::class::{Peers, SCALES};
use crate::counterparty::{self, CounterpartySign, Touched};
use crate::facts::Facts;
use crate::fleet::{Change, Fleets, Shift};
use crate::guidance::{Standing, Word};
use crate::novelty::{self, Strangeness};
use crate::origin;
use crate::tails::Deviation;
use crate::volume::Unusual;
use crate::voter::Voter;

/// Looking at something new is less than doing something to it. Source: detection.md section 6.
const READ_WEIGHT: f64 = 0.4;
/// What failed of itself had no effect. What was refused keeps its weight: somebody tried.
const ERROR_WEIGHT: f64 = 0.5;
/// A new network with a known device (or the reverse) is a journey; both at once are another place.
const ONE_OF_TWO_WEIGHT: f64 = 0.5;
/// What is denied is a surprise however often it is done: at the least one in ten.
const SURPRISE_OF_DENIED: f64 = 1.0;

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
    Parts,
    Fan,
    Silence,
    Sharing,
    Switch,
    Exposure,
    Fleet,
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
    /// From where, and with whose credential.
    Origin,
    /// Together with others of its model.
    Fleet,
}

impl Group {
    pub(crate) const COUNT: usize = 6;

    /// The strongest of several features is as rare as it looks only once for each of them: the decimal
    /// logarithm of how many there are. Source: Bonferroni's inequality.
    pub(crate) fn handicap(self) -> f64 {
        match self {
            Self::Volume => 0.845,
            Self::Amount => 0.602,
            Self::Origin => 0.477,
            Self::Hour => 0.301,
            Self::Novelty | Self::Fleet => 0.0,
        }
    }
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
        Self::Parts,
        Self::Fan,
        Self::Silence,
        Self::Sharing,
        Self::Switch,
        Self::Exposure,
        Self::Fleet,
    ];

    pub(crate) fn group(self) -> Group {
        match self {
            Self::Calls
            | Self::Writes
            | Self::Failures
            | Self::Money
            | Self::Drift
            | Self::Burst
            | Self::Fan => Group::Volume,
            Self::Hour | Self::Silence => Group::Hour,
            Self::Amount | Self::NearLimit | Self::Parts | Self::Exposure => Group::Amount,
            Self::Counterparty | Self::Action => Group::Novelty,
            Self::Origin | Self::Sharing | Self::Switch => Group::Origin,
            Self::Fleet => Group::Fleet,
        }
    }

    pub(crate) fn detector(self) -> DetectorKind {
        match self {
            Self::Calls | Self::Writes | Self::Money | Self::Drift => DetectorKind::UnusualVolume,
            Self::Failures => DetectorKind::FailureBurst,
            Self::Hour | Self::Silence => DetectorKind::UnusualTime,
            Self::Amount => DetectorKind::UnusualAmount,
            Self::NearLimit | Self::Parts => DetectorKind::Structuring,
            Self::Fan => DetectorKind::FanOut,
            Self::Sharing => DetectorKind::SharedCredential,
            Self::Exposure => DetectorKind::NewExposure,
            Self::Fleet => DetectorKind::FleetShift,
            Self::Counterparty => DetectorKind::NewCounterparty,
            Self::Burst => DetectorKind::CounterpartyBurst,
            Self::Action => DetectorKind::NewAction,
            Self::Origin | Self::Switch => DetectorKind::StolenCredential,
        }
    }
}

/// Everything that may be unusual about an event.
#[expect(clippy::struct_excessive_bools, reason = "independent circumstances")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    /// A finding named its counterparty or action already, and it is not trusted since.
    pub is_told: bool,
    /// What novelty counts: less for reads, and for what failed of itself.
    pub weight: f64,
    /// Calls, writes and failures.
    pub counts: [Unusual; 3],
    pub money: Unusual,
    pub drift: Unusual,
    pub hour: Deviation,
    /// Hours without an event.
    pub silence: Deviation,
    pub amount: UnusualAmount,
    pub near_limit: NearLimit,
    pub counterparty: CounterpartySign,
    pub burst: Deviation,
    pub fan: Deviation,
    /// Payments of a day to one counterparty, taken as one.
    pub parts: UnusualAmount,
    /// Money goes to somebody who is not trusted yet; and the sum of such money.
    pub is_exposed: bool,
    pub exposure: Deviation,
    pub action: Strangeness,
    pub network: Strangeness,
    pub device: Strangeness,
    pub credential: Strangeness,
    pub switch: Strangeness,
    /// The strongest shift of its fleet that the event is part of.
    pub fleet: Option<(Change, Shift)>,
    /// It failed or was refused.
    pub is_failure: bool,
    /// A person confirmed an attack with its counterparty or action.
    pub is_denied: bool,
    pub voter: Voter,
}

/// What is known of an event beside the baselines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Late dealings with its counterparty, this one included.
    pub touched: Touched,
    /// The silence that it ends.
    pub silence: Deviation,
    /// What people said of it.
    pub word: Word,
    pub voter: Voter,
}

impl Signs {
    /// Reads the signs of an event, of which none was read yet.
    pub(crate) fn read(
        &mut self,
        agent: &mut Agent,
        peers: Peers<'_>,
        facts: &Facts<'_>,
        open: &Open,
    ) {
        let Open { touched, silence, word, voter } = open;
        let class = peers.class;
        let prior = &class.prior;
        let at = facts.second;
        self.counts = [0, 1, 2].map(|count| agent.volume.unusual(count, at, prior));
        self.hour = agent.rhythm.judge_hour(facts.hour_of_week, prior);
        self.silence = *silence;
        self.fan = agent.fan.judge(prior);
        self.is_failure = !facts.is_success;
        self.voter = *voter;
        self.drift = agent.volume.unusual_drift();
        self.read_money(agent, peers, facts, touched);
        if let Some(other) = &facts.counterparty {
            self.counterparty = counterparty::judge(agent, peers, facts, other, word.counterparty);
            let place = self.counterparty.place;
            self.burst = counterparty::judge_burst(agent, class, place, touched.dealings);
            if let Some(money) = facts.paid() {
                let is_known = word.counterparty.is_known();
                self.is_exposed = 0.0 < self.counterparty.strangeness.surprise
                    || word.counterparty == Standing::Expected;
                if self.is_exposed && !is_known {
                    self.exposure = agent.exposure.judge(money.units, facts.hour(), &class.sums);
                }
            }
        }
        let place = agent.actions.find(facts.action);
        self.action = novelty::judge(
            place.map(|place| agent.actions.trust(place)),
            agent.action_novelty,
            &class.sums.action_novelty,
            peers,
            facts.action,
        );
        self.hear(word);
        self.read_origin(agent, peers, facts);
        let weight = if facts.is_write { 1.0 } else { READ_WEIGHT };
        let weight = if facts.is_error { weight * ERROR_WEIGHT } else { weight };
        self.counterparty.strangeness.surprise *= weight;
        self.action.surprise *= weight;
        self.weight = weight;
        self.is_told = self.is_denied
            || self.counterparty.place.is_some_and(|at| agent.edges.is_alerted(at))
            || (0.0 < self.action.surprise && place.is_some_and(|at| agent.actions.is_alerted(at)));
        self.fleet = facts.model.and_then(|model| self.shift_of(model, &peers.population.fleets));
    }

    /// Takes what people said of the action and of volumes; the counterparty has its share already.
    fn hear(&mut self, word: &Word) {
        self.is_denied = word.is_denied();
        match word.action {
            Standing::Open => {}
            Standing::Denied => self.action.surprise = self.action.surprise.max(SURPRISE_OF_DENIED),
            Standing::Expected | Standing::Trusted => {
                (self.action.surprise, self.action.vouchers) = (0.0, 1.0);
            }
        }
        let Some(times) = word.volume_times else { return };
        let is_expected = |expected: f64, seen: f64| seen <= times * expected.max(1.0);
        let [calls, writes, _] = &mut self.counts;
        for unusual in [calls, writes, &mut self.money, &mut self.drift] {
            if is_expected(unusual.expected, unusual.seen) {
                unusual.surprise = 0.0;
            }
        }
        for deviation in [&mut self.burst, &mut self.fan] {
            if is_expected(deviation.expected, deviation.seen) {
                deviation.surprise = 0.0;
            }
        }
    }

    /// What is unusual about the amount.
    fn read_money(
        &mut self,
        agent: &Agent,
        peers: Peers<'_>,
        facts: &Facts<'_>,
        touched: &Touched,
    ) {
        let Some(money) = &facts.money else { return };
        let of_class = peers.class.sums.actions.get(&money.key);
        self.money = agent.volume.unusual_money(money.units, facts.second, &peers.class.prior);
        self.amount = agent.amounts.unusual(money, of_class);
        self.near_limit = agent.amounts.near_limit(money, facts.hour(), of_class);
        let Touched { payments, parts, .. } = *touched;
        self.parts = agent.amounts.unusual_in_parts(money, payments, parts, of_class);
    }

    /// From where the credential is used, and whose it is.
    fn read_origin(&mut self, agent: &Agent, peers: Peers<'_>, facts: &Facts<'_>) {
        let sums = &peers.class.sums;
        self.credential = origin::judge_credential(agent, peers, facts);
        self.switch = agent.whereabouts.judge(facts, &sums.switches);
        if let Some(network) = facts.network {
            self.network = novelty::judge(
                agent.networks.find(network).map(|place| agent.networks.trust(place)),
                agent.network_novelty,
                &sums.network_novelty,
                peers,
                network,
            );
        }
        if let Some(device) = facts.device {
            self.device = novelty::judge(
                agent.devices.find(device).map(|place| agent.devices.trust(place)),
                agent.device_novelty,
                &sums.device_novelty,
                peers,
                device,
            );
        }
        // A key has no usual place before it has a history.
        self.network.surprise *= agent.network_novelty.maturity();
        self.device.surprise *= agent.device_novelty.maturity();
    }

    /// Whether the event is a change that fleets are watched for.
    pub(crate) fn has_changed(&self, change: Change) -> bool {
        match change {
            Change::Action => 0.0 < self.action.surprise,
            Change::Counterparty => self.counterparty.is_strange(),
            Change::Failure => self.is_failure,
        }
    }

    fn shift_of(&self, model: u32, fleets: &Fleets) -> Option<(Change, Shift)> {
        let shifts = Change::ALL.into_iter().filter(|change| self.has_changed(*change));
        let shifts = shifts.map(|change| (change, fleets.shift(model, change)));
        let strongest = shifts.max_by(|(_, a), (_, b)| a.surprise.total_cmp(&b.surprise));
        strongest.filter(|(_, shift)| 0.0 < shift.surprise)
    }

    /// The largest surprise of calls and of dealings with one counterparty; where a tail is too small
    /// to be told, larger counts still come first.
    pub(crate) fn volume(&self) -> f64 {
        let Unusual { surprise, seen, .. } = self.counts[0];
        let calls = surprise + seen.max(1.0).log10();
        let Deviation { surprise, seen, .. } = self.burst;
        calls.max(surprise + seen.max(1.0).log10())
    }

    /// The raw surprises, in the order of [`Feature::ALL`].
    pub(crate) fn surprises(&self) -> [f64; Feature::ALL.len()] {
        let [network, device] = [self.network.surprise, self.device.surprise];
        let origin = if network <= 0.0 || device <= 0.0 {
            ONE_OF_TWO_WEIGHT * network.max(device)
        } else {
            network + device
        };
        [
            self.counts[0].surprise,
            self.counts[1].surprise,
            self.counts[2].surprise,
            self.money.surprise,
            self.drift.surprise,
            self.hour.surprise,
            self.amount.surprise,
            self.near_limit.surprise,
            self.counterparty.strangeness.surprise,
            self.burst.surprise,
            self.action.surprise,
            origin,
            self.parts.surprise,
            self.fan.surprise,
            self.silence.surprise,
            self.credential.surprise,
            self.switch.surprise,
            self.exposure.surprise,
            self.fleet.map_or(0.0, |(_, shift)| shift.surprise),
        ]
    }
}
