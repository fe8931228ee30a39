//! [`SimulatedEvent`]: a draft written out as a producer would write it, with the ground truth.
//!
//! Invariant: what is written is what the source could know; who in truth answers and whether it
//! was an attack stands in [`Truth`] alone. Nothing in an event is a secret or looks like one.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use schemas::{
    AgentClass, AgentId, Amount, Attributes, CounterpartyId, CredentialId, CredentialKind,
    Currency, EventId, GrantId, NativeEvent, NativeSchema, SessionId, SponsorId, Timestamp,
};
use serde::Serialize;

use crate::attack::ScenarioKind;
use crate::class::{Keys, Naming, Resource, Workers};
use crate::company::{Agent, Company};
use crate::draw::{choice, mix};
use crate::session::{BenignSurprise, Draft};

/// An event and the truth about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedEvent {
    pub event: NativeEvent,
    pub truth: Truth,
}

/// What nobody but the simulation knows of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The attack it belongs to.
    pub scenario: Option<ScenarioKind>,
    pub is_malicious: bool,
    /// Whether it counts among the fraudulent orders: an approval does, its `order.create` does not.
    pub is_fraudulent_order: bool,
    pub benign_surprise: Option<BenignSurprise>,
    /// Who answers for it in truth. `None`: nobody, for the sponsor has left or never was.
    pub sponsor: Option<SponsorId>,
}

/// How long a running copy lives until the next release replaces it.
const RELEASE: Duration = Duration::from_hours(72);

impl Company {
    /// Writes `draft` out.
    pub(crate) fn event(&self, draft: &Draft) -> SimulatedEvent {
        let agent = &self.agents[draft.agent as usize];
        let class = agent.class();
        let worker = draft.worker.and_then(|number| Some((class.workers.as_ref()?, number)));
        let counterparty = draft.party.map(|party| text(40, |out| party.write(out)));
        let replica = Replica::of(agent, draft);
        let event = NativeEvent {
            schema: NativeSchema::V1,
            event_id: Some(id(
                text(20, |out| hex(out, "evt-", event_bits(draft))),
                EventId::try_from,
            )),
            time: draft.time,
            agent_id: match worker {
                Some((workers, number)) => worker_id(agent, workers, number),
                None => agent.id.clone(),
            },
            agent_class: Some(id(
                worker.map_or(class.name, |(one, _)| one.class),
                AgentClass::try_from,
            )),
            agent_instance: Some(replica.instance),
            model: class
                .models
                .map(|models| models[usize::from(agent.model_update <= draft.time)].to_owned()),
            session_id: Some(id(
                text(20, |out| hex(out, "ses-", draft.session)),
                SessionId::try_from,
            )),
            task_id: Some(text(24, |out| numbered(out, draft.flow.name, draft.subject))),
            grant_id: grant_of(agent, draft),
            credential_id: credential(agent, worker, draft),
            credential_kind: kind(agent.keys, worker.map(|(workers, _)| workers)),
            action: draft.step.action.to_owned(),
            resource: resource(draft, counterparty.as_deref()),
            resource_kind: Some(draft.step.kind.to_owned()),
            counterparty_kind: draft.party.map(|party| party.pool.kind().to_owned()),
            counterparty_id: counterparty.map(|text| id(text, CounterpartyId::try_from)),
            amount: draft.cents.map(|cents| Amount::from_cents(cents).expect("below 10^18 cents")),
            currency: match (draft.cents, draft.party) {
                (Some(_), Some(party)) => Some(currency(party.currency())),
                (Some(_), None) => Some(currency("EUR")),
                (None, _) => None,
            },
            outcome: draft.outcome,
            outcome_reason: draft.reason.map(str::to_owned),
            source_ip: Some(replica.source_ip),
            user_agent: Some(replica.user_agent.to_owned()),
            delegation: match worker {
                Some((workers, _)) if workers.claims_parent => vec![agent.id.clone()],
                _ => Vec::new(),
            },
            labels: vec![environment(agent).to_owned()],
            attributes: attributes(agent),
        };
        SimulatedEvent { event, truth: self.truth(agent, worker.map(|(one, _)| one), draft) }
    }

    fn truth(&self, agent: &Agent, workers: Option<&Workers>, draft: &Draft) -> Truth {
        let sponsor = match workers {
            // Nothing ties these to the agent that started them: their class's owner answers.
            Some(workers) if workers.naming == Naming::Fresh && !workers.claims_parent => {
                Some(self.class_owner(agent.class))
            }
            _ => self.sponsor_of(agent, draft.time),
        };
        Truth { benign_surprise: draft.surprise, sponsor: sponsor.cloned(), ..Truth::default() }
    }
}

/// Which running copy of an agent is at work in a session, and where.
struct Replica {
    instance: String,
    source_ip: IpAddr,
    user_agent: &'static str,
}

impl Replica {
    fn of(agent: &Agent, draft: &Draft) -> Self {
        let replicas = 1 + choice(mix(agent.key, 11), 3);
        let replica = choice(mix(draft.session, 3), replicas);
        let release = draft.time.since(Timestamp::EPOCH).as_secs() / RELEASE.as_secs();
        let bits = mix(agent.key, mix(release, u64::from(replica)));
        let user_agents = agent.class().user_agents;
        let nth = choice(mix(agent.key, 12), u32::try_from(user_agents.len()).expect("few"));
        Self {
            instance: text(48, |out| {
                out.push_str(agent.id.as_str());
                hex_digits(out, "-", bits, 5);
            }),
            source_ip: address(agent, replica),
            user_agent: user_agents[nth as usize],
        }
    }
}

/// Inside the company's network, but for one agent in twelve that a vendor runs elsewhere.
fn address(agent: &Agent, replica: u32) -> IpAddr {
    let [a, b, ..] = mix(agent.key, 13).to_le_bytes();
    let replica = u8::try_from(replica).expect("at most three");
    let class = u8::try_from(agent.class).expect("few classes");
    IpAddr::V4(if a < 21 {
        Ipv4Addr::new(203, 0, 113, 8 + (b % 60) * 4 + replica)
    } else {
        Ipv4Addr::new(10, 16 + class, b, 10 + a % 200 + replica)
    })
}

fn event_bits(draft: &Draft) -> u64 {
    mix(draft.session, u64::from(draft.order))
}

fn worker_id(agent: &Agent, workers: &Workers, number: u32) -> AgentId {
    let text = match workers.naming {
        Naming::Fresh => text(32, |out| {
            out.push_str(workers.class);
            hex_digits(out, "-", u64::from(number), 8);
        }),
        Naming::OfParent(_) => child_id(agent, workers, number),
    };
    id(text, AgentId::try_from)
}

/// The name of a short-lived agent that the registry knows.
pub(crate) fn child_id(agent: &Agent, workers: &Workers, number: u32) -> String {
    format!("{}-{}-{number}", workers.class, agent.ordinal)
}

/// The agent's standing grant.
pub(crate) fn grant_id(agent: &Agent) -> GrantId {
    id(format!("grant-{}", agent.id), GrantId::try_from)
}

fn grant_of(agent: &Agent, draft: &Draft) -> Option<GrantId> {
    (agent.class().has_grant && draft.step.is_write && draft.worker.is_none())
        .then(|| grant_id(agent))
}

fn credential(agent: &Agent, worker: Option<(&Workers, u32)>, draft: &Draft) -> CredentialId {
    let stem = agent.credential.as_str();
    let days = draft.time.since(Timestamp::EPOCH).as_secs() / 86_400;
    let made = match (worker, agent.keys) {
        (Some((workers, number)), _) => text(32, |out| {
            out.push_str("tmp-");
            out.push_str(workers.class);
            hex_digits(out, "-", mix(u64::from(number), draft.session), 8);
        }),
        (None, Keys::Static | Keys::Shared { .. }) => return agent.credential.clone(),
        (None, Keys::Temporary) => text(40, |out| {
            out.push_str(stem);
            hex_digits(out, "-", draft.session, 8);
        }),
        (None, Keys::Token) => text(40, |out| {
            out.push_str(stem);
            hex_digits(out, "-", mix(agent.key, days), 6);
        }),
        (None, Keys::Certificate) => text(40, |out| {
            out.push_str(stem);
            hex_digits(out, "-", mix(agent.key, days / 90), 6);
        }),
    };
    id(made, CredentialId::try_from)
}

/// What sort of credential an agent presents, or one of its short-lived agents.
pub(crate) fn kind(keys: Keys, workers: Option<&Workers>) -> CredentialKind {
    match (workers, keys) {
        (Some(_), _) | (None, Keys::Temporary) => CredentialKind::TemporaryKey,
        (None, Keys::Static) => CredentialKind::StaticKey,
        (None, Keys::Shared { .. }) => CredentialKind::ServiceAccountToken,
        (None, Keys::Token) => CredentialKind::AccessToken,
        (None, Keys::Certificate) => CredentialKind::Certificate,
    }
}

fn resource(draft: &Draft, counterparty: Option<&str>) -> Option<String> {
    match draft.step.resource {
        Resource::Subject(prefix) => Some(text(20, |out| numbered(out, prefix, draft.subject))),
        Resource::Few(prefix, _) => Some(text(20, |out| numbered(out, prefix, draft.rank + 1))),
        Resource::Party => counterparty.map(str::to_owned),
    }
}

/// Where the agent runs; one in twenty is being tried out.
pub(crate) fn environment(agent: &Agent) -> &'static str {
    if choice(mix(agent.key, 14), 20) == 0 { "env:staging" } else { "env:production" }
}

fn attributes(agent: &Agent) -> Attributes {
    let mut attributes = Attributes::default();
    if let Some((name, values)) = agent.class().attribute {
        let nth = choice(mix(agent.key, 15), u32::try_from(values.len()).expect("few values"));
        attributes.insert(name, values[nth as usize]);
    }
    attributes
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::try_from(code).expect("a code of our own tables")
}

/// An id made of a text that is made here.
pub(crate) fn id<T, I, E: std::fmt::Debug>(text: T, make: impl Fn(T) -> Result<I, E>) -> I {
    make(text).expect("our own names are printable and short")
}

fn text(capacity: usize, write: impl FnOnce(&mut String)) -> String {
    let mut text = String::with_capacity(capacity);
    write(&mut text);
    text
}

fn hex(out: &mut String, prefix: &str, bits: u64) {
    hex_digits(out, prefix, bits, 16);
}

/// Appends the lowest `digits` of `bits` in base 16.
fn hex_digits(out: &mut String, prefix: &str, bits: u64, digits: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str(prefix);
    for place in (0..digits).rev() {
        out.push(char::from(DIGITS[((bits >> (4 * place)) & 15) as usize]));
    }
}

fn numbered(out: &mut String, prefix: &str, number: u32) {
    write!(out, "{prefix}-{number}").expect("a String takes any text");
}
