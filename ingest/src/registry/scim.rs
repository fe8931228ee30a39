//! A directory's users and agents, as SCIM tells them, to registry changes.
//!
//! Invariant: a directory says how things are, not since when: each resource holds from its last
//! modification on, and nothing is said of the time before. Whoever answers for an agent is named by the
//! directory, never picked here from several. What an attribute outside of this file holds is not kept.
//!
//! Source: RFC 7643, sections 2.1, 3.1, 4.1 and 4.3, and RFC 7644, section 3.4.2, for users and lists;
//! for agents the Internet-Drafts `draft-abbey-scim-agent-extension-00`,
//! `draft-wahl-scim-agent-schema-01` and `draft-wzdk-scim-agent-resource-00`.

use std::collections::{BTreeMap, HashMap};

use schemas::{
    AgentClass, AgentId, CredentialId, CredentialKind, Fact, RegistryChange, RegistrySchema,
    SponsorId, Timestamp,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Lines, Parsed, Place};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:listresponse";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:user";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user";
const AGENTS: [&str; 2] = [
    "urn:ietf:params:scim:schemas:core:2.0:agent",
    "urn:ietf:params:scim:schemas:core:2.0:agenticidentity",
];

/// Whether a JSON value is a resource of SCIM or a list of them.
pub(super) fn is_scim(value: &Value) -> bool {
    let Value::Object(fields) = value else { return false };
    schemas_of(fields).iter().any(|schema| schema.starts_with("urn:ietf:params:scim:"))
}

fn is_list_response(fields: &BTreeMap<String, &RawValue>) -> bool {
    let schemas = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas"));
    let schemas =
        schemas.and_then(|(_, json)| serde_json::from_str::<Vec<String>>(json.get()).ok());
    schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema.eq_ignore_ascii_case(LIST)))
}

/// The resources that were read, in their order.
#[derive(Default)]
pub(super) struct Directory {
    users: Vec<(Place, User)>,
    agents: Vec<(Place, Agent)>,
    passed_over: usize,
}

struct User {
    id: Option<String>,
    sponsor_id: SponsorId,
    name: Option<String>,
    unit: Option<String>,
    active: bool,
    manager: Option<String>,
    since: Option<Timestamp>,
}

struct Agent {
    id: Option<String>,
    name: AgentId,
    class: Option<AgentClass>,
    active: bool,
    owner: Option<String>,
    parent: Option<String>,
    clients: Vec<CredentialId>,
    since: Option<Timestamp>,
}

impl Directory {
    /// Takes in a resource, or every resource of a list; `lines` counts those of the text around.
    pub(super) fn read(&mut self, lines: &mut Lines<'_>, json: &RawValue, parsed: &mut Parsed) {
        let line = lines.of_part(json.get());
        // A list is opened without reading its resources, so that each is named by its own place.
        let opened: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(json.get());
        let (resources, is_named) = match opened {
            Ok(list) if is_list_response(&list) => {
                let named = list.iter().find(|(name, _)| name.eq_ignore_ascii_case("Resources"));
                // A list of nothing has no `Resources`.
                let Some((_, resources)) = named else { return };
                (serde_json::from_str(resources.get()), true)
            }
            Ok(_) => (Ok(vec![json]), false),
            Err(_) => (serde_json::from_str::<Vec<&RawValue>>(json.get()), false),
        };
        let Ok(resources) = resources else {
            let wanted = "wanted a resource of SCIM or a list of them, found another value";
            return parsed.reject(&Place::line(line), wanted);
        };
        for (at, resource) in resources.into_iter().enumerate() {
            let line = lines.of_part(resource.get());
            let place = Place { line, resource: is_named.then_some(at) };
            match serde_json::from_str(resource.get()) {
                Ok(fields) => self.resource(&place, &fields, parsed),
                Err(error) => parsed.reject(&place, super::detail_of(&error)),
            }
        }
    }

    fn resource(&mut self, place: &Place, fields: &Map<String, Value>, parsed: &mut Parsed) {
        let schemas = schemas_of(fields);
        let has = |wanted: &str| schemas.iter().any(|schema| schema == wanted);
        let read = if schemas.is_empty() {
            Err("wanted a resource with `schemas`, found none".to_owned())
        } else if has(USER) {
            User::of(fields).map(|user| self.users.push((place.clone(), user)))
        } else if AGENTS.into_iter().any(has) {
            Agent::of(fields).map(|agent| self.agents.push((place.clone(), agent)))
        } else {
            self.passed_over += 1;
            Ok(())
        };
        if let Err(detail) = read {
            parsed.reject(place, detail);
        }
    }

    /// Two of one name would answer for each other's agents and uses. The same resource told again is
    /// none of two.
    fn name_namesakes(&self, parsed: &mut Parsed) {
        let mut users = HashMap::new();
        for (place, user) in &self.users {
            if *users.entry(&user.sponsor_id).or_insert(&user.id) != &user.id {
                parsed.reject(place, "wanted a `userName` of its own, found that of another User");
            }
        }
        let mut agents = HashMap::new();
        for (place, agent) in &self.agents {
            if *agents.entry(&agent.name).or_insert(&agent.id) != &agent.id {
                parsed.reject(place, "wanted a name of its own, found that of another Agent");
            }
        }
    }

    /// The changes: people first, then agents, then what they present.
    pub(super) fn finish(self, parsed: &mut Parsed, now: Timestamp) {
        self.name_namesakes(parsed);
        let names = Names::of(&self);
        for (place, user) in &self.users {
            let manager_id = user.manager.as_deref().map(|manager| names.sponsor(manager));
            let fact = manager_id.transpose().map(|manager_id| Fact::Sponsor {
                sponsor_id: user.sponsor_id.clone(),
                name: user.name.clone(),
                unit: user.unit.clone(),
                active: user.active,
                successor_id: None,
                manager_id,
            });
            parsed.tell(place, fact.map(|fact| change(fact, user.since.unwrap_or(now), None)));
        }
        let mut clients: BTreeMap<&CredentialId, Client<'_>> = BTreeMap::new();
        for (place, agent) in &self.agents {
            let since = agent.since.unwrap_or(now);
            // An agent that is not active any more is one whose entry has ended.
            let end = (!agent.active).then_some(since);
            let sponsor_id = agent.owner.as_deref().map(|owner| names.sponsor(owner)).transpose();
            let fact = sponsor_id.map(|sponsor_id| Fact::Agent {
                agent_id: agent.name.clone(),
                agent_class: agent.class.clone(),
                sponsor_id,
                model: None,
                environment: None,
                purpose: None,
                allowed_actions: Vec::new(),
                allowed_resources: Vec::new(),
                allowed_counterparties: Vec::new(),
                amount_limit: None,
                currency: None,
            });
            parsed.tell(place, fact.map(|fact| change(fact, since, end)));
            if let Some(parent) = agent.parent.as_deref().filter(|_| agent.active) {
                let fact = names.agent(parent).map(|parent_agent_id| Fact::Delegation {
                    agent_id: agent.name.clone(),
                    parent_agent_id,
                });
                parsed.tell(place, fact.map(|fact| change(fact, since, None)));
            }
            for id in &agent.clients {
                clients.entry(id).or_default().add(place, agent, since);
            }
        }
        for (credential_id, client) in clients {
            let (users, end) = match client.active.as_slice() {
                [] => (client.ended, Some(client.since)),
                _ => (client.active, None),
            };
            let fact = Fact::Credential {
                credential_id: credential_id.clone(),
                // The client presents tokens under its id; how it authenticates, SCIM does not say.
                credential_kind: CredentialKind::AccessToken,
                agent_ids: users,
                expires_at: None,
                rotated_at: None,
                owner_id: None,
            };
            parsed.tell(&client.place, Ok(change(fact, client.since, end)));
        }
        parsed.passed_over = self.passed_over;
    }
}

/// An OAuth client, and the agents that are it: more than one share it.
struct Client<'a> {
    place: Place,
    active: Vec<AgentId>,
    ended: Vec<AgentId>,
    since: Timestamp,
    last: Option<&'a AgentId>,
}

impl Default for Client<'_> {
    fn default() -> Self {
        Self {
            place: Place::line(1),
            active: Vec::new(),
            ended: Vec::new(),
            since: Timestamp::EPOCH,
            last: None,
        }
    }
}

impl<'a> Client<'a> {
    fn add(&mut self, place: &Place, agent: &'a Agent, since: Timestamp) {
        if self.last.replace(&agent.name) == Some(&agent.name) {
            return;
        }
        self.place = place.clone();
        // What holds of all of them holds since the last was modified.
        self.since = self.since.max(since);
        let users = if agent.active { &mut self.active } else { &mut self.ended };
        users.push(agent.name.clone());
    }
}

fn change(fact: Fact, since: Timestamp, end: Option<Timestamp>) -> RegistryChange {
    RegistryChange {
        schema: RegistrySchema::V1,
        fact,
        valid_from: since,
        valid_to: end,
        recorded_at: None,
        evidence: None,
    }
}

/// What the directory's own ids stand for. An id of nobody in the file stands for itself.
struct Names<'a> {
    sponsors: HashMap<&'a str, &'a SponsorId>,
    agents: HashMap<&'a str, &'a AgentId>,
}

impl<'a> Names<'a> {
    fn of(directory: &'a Directory) -> Self {
        let users = directory.users.iter();
        let agents = directory.agents.iter();
        Self {
            sponsors: users
                .filter_map(|(_, user)| Some((user.id.as_deref()?, &user.sponsor_id)))
                .collect(),
            agents: agents
                .filter_map(|(_, agent)| Some((agent.id.as_deref()?, &agent.name)))
                .collect(),
        }
    }

    fn sponsor(&self, id: &str) -> Result<SponsorId, String> {
        if self.agents.contains_key(id) && !self.sponsors.contains_key(id) {
            return Err("wanted a User who answers, found an Agent".to_owned());
        }
        match self.sponsors.get(id) {
            Some(sponsor) => Ok((*sponsor).clone()),
            None => SponsorId::try_from(id).map_err(|error| error.to_string()),
        }
    }

    fn agent(&self, id: &str) -> Result<AgentId, String> {
        match self.agents.get(id) {
            Some(agent) => Ok((*agent).clone()),
            None => AgentId::try_from(id).map_err(|error| error.to_string()),
        }
    }
}

impl User {
    fn of(fields: &Map<String, Value>) -> Result<Self, String> {
        let user_name = text(fields, "userName")?.ok_or("wanted `userName`, found none")?;
        let sponsor_id = named(user_name, "userName")?;
        let name = match (text(fields, "displayName")?, attribute(fields, "name")) {
            (Some(name), _) => Some(name),
            (None, Some(Value::Object(name))) => text(name, "formatted")?,
            (None, _) => None,
        };
        let enterprise = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(ENTERPRISE));
        let (unit, manager) = match enterprise {
            Some((_, Value::Object(more))) => {
                let unit = match text(more, "department")? {
                    Some(unit) => Some(unit),
                    None => text(more, "organization")?,
                };
                (unit, reference(attribute(more, "manager"), "manager")?)
            }
            Some(_) => return Err("wanted the enterprise extension as an object".to_owned()),
            None => (None, None),
        };
        Ok(Self {
            id: text(fields, "id")?.map(str::to_owned),
            sponsor_id,
            name: name.map(str::to_owned),
            unit: unit.map(str::to_owned),
            active: is_active(fields)?,
            manager: manager.map(str::to_owned),
            since: since(fields)?,
        })
    }
}

impl Agent {
    fn of(fields: &Map<String, Value>) -> Result<Self, String> {
        let mut found = None;
        // What tokens and logs call it, from the one meant for them to the directory's own.
        for name in ["subject", "agentUserName", "name", "id"] {
            if let Some(value) = text(fields, name)? {
                found = Some(named(value, name)?);
                break;
            }
        }
        let wanted = "wanted one of `subject`, `agentUserName`, `name`, `id`, found none";
        let class = match text(fields, "type")? {
            Some(class) => Some(named(class, "type")?),
            None => None,
        };
        let clients = several(attribute(fields, "oAuthClientIdentifiers")).map(|client| {
            let wanted = "wanted `clientId` in `oAuthClientIdentifiers`, found none";
            let id = match client {
                Value::String(id) => id.as_str(),
                Value::Object(client) => text(client, "clientId")?.ok_or(wanted)?,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                    return Err(wanted.to_owned());
                }
            };
            named(id, "clientId")
        });
        Ok(Self {
            id: text(fields, "id")?.map(str::to_owned),
            name: found.ok_or(wanted)?,
            class,
            active: is_active(fields)?,
            owner: owner(fields)?.map(str::to_owned),
            parent: reference(attribute(fields, "parent"), "parent")?.map(str::to_owned),
            clients: clients.collect::<Result<_, String>>()?,
            since: since(fields)?,
        })
    }
}

/// The one who answers: the only owner, or the one that the directory calls primary.
fn owner(fields: &Map<String, Value>) -> Result<Option<&str>, String> {
    let owners: Vec<&Value> = several(attribute(fields, "owners")).collect();
    let is_primary = |owner: &&&Value| {
        let Value::Object(owner) = owner else { return false };
        attribute(owner, "primary") == Some(&Value::Bool(true))
    };
    let primary: Vec<&&Value> = owners.iter().filter(is_primary).collect();
    let owner = match (owners.as_slice(), primary.as_slice()) {
        ([], _) => return Ok(None),
        ([owner], _) => owner,
        (_, [owner]) => **owner,
        _ => {
            let count = owners.len();
            return Err(format!("wanted one owner, or one who is `primary`, found {count} owners"));
        }
    };
    if let Value::Object(owner) = owner {
        let is_group = text(owner, "type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("group"))
            || text(owner, "$ref")?.is_some_and(|link| link.contains("/Groups/"));
        if is_group {
            return Err("wanted a User as owner, found a Group".to_owned());
        }
    }
    reference(Some(owner), "owners")
}

/// The id that a reference to another resource holds.
fn reference<'a>(value: Option<&'a Value>, name: &str) -> Result<Option<&'a str>, String> {
    let found = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(id)) => Some(id.as_str()),
        Some(Value::Object(fields)) => match (text(fields, "value")?, text(fields, "$ref")?) {
            (Some(id), _) => Some(id),
            (None, Some(link)) => link.rsplit('/').next().filter(|id| !id.is_empty()),
            (None, None) => None,
        },
        Some(_) => None,
    };
    // An object without anything in it is how some directories say that there is none.
    if found.is_none() && matches!(value, Some(Value::Object(fields)) if fields.is_empty()) {
        return Ok(None);
    }
    found.map(Some).ok_or_else(|| format!("wanted `value` or `$ref` in `{name}`, found neither"))
}

fn named<'a, T: TryFrom<&'a str>>(text: &'a str, name: &str) -> Result<T, String>
where
    T::Error: std::fmt::Display,
{
    T::try_from(text).map_err(|error| format!("`{name}`: {error}"))
}

fn since(fields: &Map<String, Value>) -> Result<Option<Timestamp>, String> {
    let Some(Value::Object(meta)) = attribute(fields, "meta") else { return Ok(None) };
    for name in ["lastModified", "created"] {
        if let Some(time) = text(meta, name)? {
            let wanted = || format!("wanted an RFC 3339 time as `meta.{name}`");
            return Timestamp::parse(time).map(Some).map_err(|_| wanted());
        }
    }
    Ok(None)
}

/// Some directories write `"True"`. One that says nothing means that it is.
fn is_active(fields: &Map<String, Value>) -> Result<bool, String> {
    match attribute(fields, "active") {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(active)) => Ok(*active),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err("wanted true or false as `active`".to_owned()),
    }
}

/// Names of attributes are the same in capitals and small letters.
fn attribute<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields
        .get(name)
        .or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|one| one.1))
}

/// A text attribute; an empty one is absent.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match attribute(fields, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("wanted a text as `{name}`")),
    }
}

/// The values of an attribute that may have several.
fn several(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let values = match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(values)) => values.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    values.iter()
}

/// The schemas of a resource, in small letters.
fn schemas_of(fields: &Map<String, Value>) -> Vec<String> {
    let schemas = several(attribute(fields, "schemas"));
    schemas.filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
}

impl Parsed {
    fn tell(&mut self, place: &Place, change: Result<RegistryChange, String>) {
        match change {
            Ok(change) => self.changes.push((place.clone(), change)),
            Err(detail) => self.reject(place, detail),
        }
    }
}

#[cfg(test)]
mod tests;
