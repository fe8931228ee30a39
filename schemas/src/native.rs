//! [`NativeEvent`]: the JSON object that producers write, schema `surety.credential_event.v1`.
//!
//! Invariant: a native event holds everything an event has, under the same names; going to JSON and
//! back changes nothing. The JSON Schema in `schemas/json/` is generated from this struct; it allows
//! further fields, which a reader keeps as attributes. This struct refuses them, so that a reader
//! notices.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    AgentClass, AgentId, Amount, Attributes, CounterpartyId, CredentialEvent, CredentialId,
    CredentialKind, Currency, EventId, Format, GrantId, Outcome, Position, SessionId, Timestamp,
};

/// The only value of [`NativeEvent::schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub enum NativeSchema {
    #[serde(rename = "surety.credential_event.v1")]
    V1,
}

/// Why a native event cannot be an event although its JSON is well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNative {
    #[error("wanted a currency beside the amount")]
    AmountWithoutCurrency,
    #[error("wanted an action of 1 to 256 bytes, found {bytes}")]
    Action { bytes: usize },
    #[error("wanted at most {max} entries in {field}, found {found}")]
    TooMany { field: &'static str, max: usize, found: usize },
}

/// One use of one credential by one agent, as producers write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "surety.credential_event.v1", extend("additionalProperties" = true))]
pub struct NativeEvent {
    pub schema: NativeSchema,
    /// The producer's id of this event. Where absent, one is made of topic, partition and offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// When it happened.
    pub time: Timestamp,
    /// The agent that acted, e.g. `procurement-agent-3`.
    pub agent_id: AgentId,
    /// What the agent is for; agents of one class are compared with each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_class: Option<AgentClass>,
    /// The running copy of the agent: a pod, a process, a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_instance: Option<String>,
    /// The model behind the agent, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// An identifier or fingerprint of the credential. Never the credential itself.
    pub credential_id: CredentialId,
    pub credential_kind: CredentialKind,
    /// What was done, `noun.verb`, e.g. `order.approve`: 1 to 256 bytes.
    #[schemars(length(min = 1, max = 256))]
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<String>,
    /// The other side: a vendor, an account, a recipient, a host, a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_id: Option<CounterpartyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// Required beside an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// On whose behalf, nearest first: the parent agent, then its parent. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub delegation: Vec<AgentId>,
    /// At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub labels: Vec<String>,
    /// Anything else worth keeping: at most 64 texts. A field that this schema does not know is kept
    /// here under its name, while there is room.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>", extend("maxProperties" = 64))]
    pub attributes: Attributes,
}

const LIST_ENTRIES_MAX: usize = 32;
const ACTION_BYTES_MAX: usize = 256;

impl NativeEvent {
    /// The event that stands at `position`.
    ///
    /// # Errors
    ///
    /// [`InvalidNative`]; the record then belongs in the rejects.
    pub fn into_event(self, position: &Position) -> Result<CredentialEvent, InvalidNative> {
        if self.action.is_empty() || ACTION_BYTES_MAX < self.action.len() {
            return Err(InvalidNative::Action { bytes: self.action.len() });
        }
        if self.amount.is_some() && self.currency.is_none() {
            return Err(InvalidNative::AmountWithoutCurrency);
        }
        for (field, found) in [("delegation", self.delegation.len()), ("labels", self.labels.len())]
        {
            if LIST_ENTRIES_MAX < found {
                return Err(InvalidNative::TooMany { field, max: LIST_ENTRIES_MAX, found });
            }
        }
        Ok(CredentialEvent {
            event_id: self.event_id.unwrap_or_else(|| position.event_id()),
            time: self.time,
            agent_id: self.agent_id,
            agent_class: self.agent_class,
            agent_instance: self.agent_instance,
            model: self.model,
            session_id: self.session_id,
            task_id: self.task_id,
            grant_id: self.grant_id,
            credential_id: self.credential_id,
            credential_kind: self.credential_kind,
            action: self.action,
            resource: self.resource,
            resource_kind: self.resource_kind,
            counterparty_id: self.counterparty_id,
            counterparty_kind: self.counterparty_kind,
            amount: self.amount,
            currency: self.currency,
            outcome: self.outcome,
            outcome_reason: self.outcome_reason,
            source_ip: self.source_ip,
            user_agent: self.user_agent,
            delegation: self.delegation,
            labels: self.labels,
            attributes: self.attributes,
            format: Format::Native,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KafkaPartition, Offset, Part, Topic};

    fn position() -> Position {
        Position {
            topic: Topic::new("uses"),
            partition: KafkaPartition(2),
            offset: Offset(40),
            part: Part::FIRST,
        }
    }

    const SHORTEST: &str = r#"{"schema":"surety.credential_event.v1","time":"2026-03-01T09:30:00Z","agent_id":"a",
        "credential_id":"c","credential_kind":"static_key","action":"vendor.read","outcome":"success"}"#;

    #[test]
    fn a_native_event_survives_json() {
        let native: NativeEvent =
            serde_json::from_str(include_str!("../json/credential_event.v1.example.json")).unwrap();

        let again: NativeEvent =
            serde_json::from_str(&serde_json::to_string(&native).unwrap()).unwrap();

        assert_eq!(again, native);
        assert_eq!(again.into_event(&position()).unwrap().amount.unwrap().to_string(), "49800.00");
    }

    #[test]
    fn an_event_without_an_id_gets_one_from_its_place() {
        let native: NativeEvent = serde_json::from_str(SHORTEST).unwrap();

        assert_eq!(native.into_event(&position()).unwrap().event_id.as_str(), "uses-2-40");
    }

    #[test]
    fn an_amount_needs_a_currency() {
        let json = SHORTEST.replace("\"outcome\"", "\"amount\":3,\"outcome\"");
        let native: NativeEvent = serde_json::from_str(&json).unwrap();

        assert_eq!(native.into_event(&position()), Err(InvalidNative::AmountWithoutCurrency));
    }

    #[test]
    fn another_schema_and_a_repeated_field_are_refused() {
        assert!(serde_json::from_str::<NativeEvent>(&SHORTEST.replace("v1", "v9")).is_err());
        let twice = SHORTEST.replace("\"agent_id\":\"a\"", "\"agent_id\":\"a\",\"agent_id\":\"b\"");
        assert!(serde_json::from_str::<NativeEvent>(&twice).is_err());
    }
}
