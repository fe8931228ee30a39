//! [`Company::attack`]: five attacks, each event with its ground truth.
//!
//! Invariant: an attack is a function of (seed, kind, start) alone and adds events beside normal
//! work, which it never changes. Every event of an attack is malicious.

mod intrusion;
mod poisoning;
mod procurement;

use std::time::Duration;

use schemas::{Outcome, Timestamp};
use serde::Serialize;

pub use procurement::{FRAUD_AGENT, FRAUD_ORDERS, FRAUD_TOTAL_CENTS};

use crate::class::{Class, Flow, Keys, Resource, Step};
use crate::company::{Agent, Company, Standing};
use crate::draw::{self, Draw, Purpose, mix};
use crate::event::SimulatedEvent;
use crate::party::Party;
use crate::session::Draft;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioKind {
    /// [`FRAUD_AGENT`] approves [`FRAUD_ORDERS`] orders of six shell companies, each just below the
    /// limit of 50,000, one every 20 to 90 seconds, beside its normal work and with its own
    /// credential, machine and session habits. Each order is an `order.create` and an
    /// `order.approve`; the approvals are the fraudulent orders and sum to [`FRAUD_TOTAL_CENTS`].
    ProcurementFraud,
    /// An agent's static key is used from a foreign network with a foreign client: reads and lists,
    /// for some 40 minutes, while the agent itself goes on.
    StolenKey,
    /// A third-party skill of a support or research agent reads customers and documents in a burst
    /// and posts them to a host nobody ever contacted.
    SkillExfiltration,
    /// For six weeks an agent that pays makes a payee known in small sessions, then pays it more
    /// often and higher, by 2 % each day.
    SlowPoisoning,
    /// An agent of the office writes a hundred times at 03:00, the first after the start.
    NightBurst,
}

impl ScenarioKind {
    pub const ALL: [Self; 5] = [
        Self::ProcurementFraud,
        Self::StolenKey,
        Self::SkillExfiltration,
        Self::SlowPoisoning,
        Self::NightBurst,
    ];

    /// An upper bound on the time from the start to the last event.
    pub const fn duration_max(self) -> Duration {
        match self {
            Self::ProcurementFraud => Duration::from_secs(FRAUD_ORDERS as u64 * 100),
            Self::StolenKey | Self::SkillExfiltration => Duration::from_hours(1),
            Self::SlowPoisoning => Duration::from_hours(24 * 42),
            Self::NightBurst => Duration::from_hours(25),
        }
    }
}

/// An attack and when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub kind: ScenarioKind,
    pub start: Timestamp,
}

impl Company {
    /// The events of an attack, in the order of time. Normal work is not among them.
    ///
    /// Which agent is attacked is drawn by the seed, but for [`ScenarioKind::ProcurementFraud`].
    pub fn attack(&self, kind: ScenarioKind, start: Timestamp) -> Vec<SimulatedEvent> {
        let moment = u64::try_from(start.as_micros()).expect("no time before 1970");
        let draw = Draw::new(self.settings.seed, Purpose::Attack, kind as u64, moment);
        let mut events = match kind {
            ScenarioKind::ProcurementFraud => procurement::fraud(self, start, draw),
            ScenarioKind::StolenKey => intrusion::stolen_key(self, start, draw),
            ScenarioKind::SkillExfiltration => intrusion::exfiltration(self, start, draw),
            ScenarioKind::SlowPoisoning => poisoning::poisoning(self, start, draw),
            ScenarioKind::NightBurst => intrusion::night_burst(self, start, draw),
        };
        events.sort_by_key(|one| one.event.time);
        for one in &mut events {
            one.truth.scenario = Some(kind);
            one.truth.is_malicious = true;
        }
        events
    }

    /// An agent to attack: registered, at work at `start`, and one of those that `fits` accepts.
    fn victim(&self, start: Timestamp, draw: &mut Draw, fits: impl Fn(&Agent) -> bool) -> &Agent {
        let is_fit = |agent: &&Agent| {
            agent.standing == Standing::Registered && agent.joins <= start && fits(agent)
        };
        let victims: Vec<&Agent> = self.agents.iter().filter(is_fit).collect();
        victims[draw.below(u32::try_from(victims.len()).expect("agents fit u32")) as usize]
    }
}

/// Writes the events of an attack, in an agent's name and by default from its own machine.
struct Intruder<'a> {
    company: &'a Company,
    agent: &'a Agent,
    session: u64,
    order: u32,
    events: Vec<SimulatedEvent>,
}

impl<'a> Intruder<'a> {
    fn new(company: &'a Company, agent: &'a Agent, draw: &mut Draw) -> Self {
        Self { company, agent, session: draw.bits(), order: 0, events: Vec::new() }
    }

    /// Begins another session.
    fn next_session(&mut self) {
        self.session = mix(self.session, 1);
        self.order = 0;
    }

    fn act(&mut self, time: Timestamp, step: &'static Step, with: Doing) -> &mut SimulatedEvent {
        let draft = Draft {
            time,
            agent: self.agent.index,
            session: self.session,
            order: self.order,
            worker: None,
            flow: with.flow,
            step,
            subject: with.subject,
            rank: match step.resource {
                Resource::Few(_, few) => with.rank % few,
                Resource::Subject(_) | Resource::Party => 0,
            },
            party: with.party,
            cents: with.cents,
            outcome: Outcome::Success,
            reason: None,
            surprise: None,
        };
        self.order += 1;
        self.events.push(self.company.event(&draft));
        self.events.last_mut().expect("just pushed")
    }
}

/// What an attacker's step is about.
#[derive(Clone, Copy)]
struct Doing {
    flow: &'static Flow,
    subject: u32,
    rank: u32,
    party: Option<Party>,
    cents: Option<i64>,
}

impl Doing {
    /// Something without counterparty and money, under the name of an ordinary task.
    fn new(agent: &Agent, draw: &mut Draw) -> Self {
        let subject = 100_000 + draw.below(900_000);
        Self {
            flow: &agent.class().flows[0],
            subject,
            rank: draw.below(400),
            party: None,
            cents: None,
        }
    }
}

/// A pause of `from` to `to` seconds, in whole milliseconds.
fn pause(from: u32, to: u32, draw: &mut Draw) -> Duration {
    Duration::from_millis(u64::from(from * 1_000 + draw.below((to - from) * 1_000 + 1)))
}

/// Whether an agent's key is its own and long-lived.
fn has_static_key(agent: &Agent) -> bool {
    agent.keys == Keys::Static
}

/// The flow of `class` that pays, if there is one.
fn paying_flow(class: &'static Class) -> Option<&'static Flow> {
    class.flows.iter().find(|flow| flow.money.is_some())
}

/// `days` at 2 % growth each, as a factor.
fn grown(days: u32) -> f64 {
    draw::power(1.02, f64::from(days))
}
