//! [`CredentialEvent`]: one use of one credential by one agent.
//!
//! Invariant: an event is made from a record's bytes, place and time in Kafka alone (no clock, no
//! registry), so the same record gives the same event with the same id. What depends on when and with which registry the
//! record was read stands beside it, in [`StampedEvent`], but for the labels that start with
//! [`Lapse::PREFIX`], which stamping puts there.
//!
//! Source of the fields: OCSF 1.9, API Activity (6003) and Authentication (3002), with the profile
//! `ai_operation`; amount, currency and counterparty are our extension.

use std::borrow::BorrowMut;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::trace::Stamp;
use crate::{
    AgentClass, AgentId, Amount, CounterpartyId, CredentialId, Currency, EventId, Format, GrantId,
    Lapse, Offset, Part, Position, Registry, SessionId, SponsorId, Timestamp, TraceStatus,
};

/// Makes an enum of unit variants with one fixed spelling each, for JSON, SQL and text alike.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[schemars(inline)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one spelling used in JSON, SQL and text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The variant spelled `text`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use spelled;

spelled! {
    /// What sort of credential was presented.
    CredentialKind {
        /// A long-lived key without an expiry, e.g. an AWS key that starts with AKIA.
        StaticKey = "static_key",
        /// A short-lived key, e.g. an AWS key that starts with ASIA.
        TemporaryKey = "temporary_key",
        /// An OAuth, OIDC or other bearer token.
        AccessToken = "access_token",
        /// The token of a service account.
        ServiceAccountToken = "service_account_token",
        Certificate = "certificate",
        Password = "password",
        /// An interactive or role session whose key is not told.
        Session = "session",
        /// The platform's own identity, e.g. an AWS service acting for the account.
        Platform = "platform",
        /// No credential was presented.
        Anonymous = "anonymous",
        Unknown = "unknown",
    }
}

impl CredentialKind {
    /// Whether such a credential stays valid until somebody changes it.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Self::StaticKey | Self::Password)
    }
}

spelled! {
    /// How the action ended.
    Outcome {
        Success = "success",
        /// Refused for want of permission.
        Denied = "denied",
        /// Failed for another reason.
        Error = "error",
    }
}

/// Further fields of the source that are worth keeping, by name.
///
/// Invariant: at most [`Attributes::ENTRIES_MAX`] entries, names up to 128 bytes, values up to
/// [`Attributes::VALUE_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    pub const ENTRIES_MAX: usize = 64;
    pub const NAME_BYTES_MAX: usize = 128;
    pub const VALUE_BYTES_MAX: usize = 4_096;

    /// Adds an attribute; a value that is too long is cut at a character's border.
    ///
    /// Returns whether it was kept: not when the map is full or the name is too long.
    pub fn insert(&mut self, name: &str, value: &str) -> bool {
        let is_full = Self::ENTRIES_MAX <= self.0.len() && !self.0.contains_key(name);
        if is_full || Self::NAME_BYTES_MAX < name.len() {
            return false;
        }
        let end = value.floor_char_boundary(Self::VALUE_BYTES_MAX);
        self.0.insert(name.to_owned(), value[..end].to_owned());
        true
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, String>> for Attributes {
    type Error = String;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, String> {
        if Self::ENTRIES_MAX < map.len() {
            return Err(format!(
                "wanted at most {} attributes, found {}",
                Self::ENTRIES_MAX,
                map.len()
            ));
        }
        for (name, value) in &map {
            if Self::NAME_BYTES_MAX < name.len() || Self::VALUE_BYTES_MAX < value.len() {
                return Err(format!(
                    "wanted attribute names up to {} and values up to {} bytes, found {} and {}",
                    Self::NAME_BYTES_MAX,
                    Self::VALUE_BYTES_MAX,
                    name.len(),
                    value.len()
                ));
            }
        }
        Ok(Self(map))
    }
}

/// One use of one credential by one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialEvent {
    pub event_id: EventId,
    /// When it happened, by the source's clock.
    pub time: Timestamp,
    pub agent_id: AgentId,
    pub agent_class: Option<AgentClass>,
    /// The running copy of the agent: a pod, a process, a run.
    pub agent_instance: Option<String>,
    /// The model behind the agent, with its version.
    pub model: Option<String>,
    pub session_id: Option<SessionId>,
    pub task_id: Option<String>,
    pub grant_id: Option<GrantId>,
    pub credential_id: CredentialId,
    pub credential_kind: CredentialKind,
    /// What was done, `noun.verb` or `service:Operation`.
    pub action: String,
    pub resource: Option<String>,
    pub resource_kind: Option<String>,
    pub counterparty_id: Option<CounterpartyId>,
    pub counterparty_kind: Option<String>,
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
    pub outcome: Outcome,
    pub outcome_reason: Option<String>,
    pub source_ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// On whose behalf, as the source claims, nearest first: the parent agent, then its parent.
    pub delegation: Vec<AgentId>,
    pub labels: Vec<String>,
    pub attributes: Attributes,
    pub format: Format,
}

/// Events of which the registry's answers are fetched before the first is asked for: no cache forgets so few.
const EVENTS_AHEAD: usize = 64;

/// An event with its place, and what was known when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StampedEvent {
    pub event: CredentialEvent,
    pub position: Position,
    /// When Surety read the record.
    pub ingested_at: Timestamp,
    /// Who answered for it, as of the event's time, by what the registry knew when it was read.
    pub sponsor_id: Option<SponsorId>,
    pub trace_status: TraceStatus,
    /// Product of the hops' confidences, 0 to 1; 0 without a sponsor.
    pub trace_confidence: f32,
    /// If it is a copy: where in its own partition the one stands that came first. A copy is kept and
    /// counted by nobody.
    pub dup_of: Option<(Offset, Part)>,
}

impl StampedEvent {
    /// The event of the record at `position`, with whom the registry knows to answer for it now, when
    /// it is read.
    pub fn stamp(
        event: CredentialEvent,
        position: Position,
        now: Timestamp,
        registry: &Registry,
    ) -> Self {
        let mut stamped = Self::unstamped(event, position, now);
        stamped.ask(registry);
        stamped
    }

    /// The same before the registry was [asked](Self::ask).
    pub fn unstamped(event: CredentialEvent, position: Position, now: Timestamp) -> Self {
        Self {
            event,
            position,
            ingested_at: now,
            sponsor_id: None,
            trace_status: TraceStatus::Unregistered,
            trace_confidence: 0.0,
            dup_of: None,
        }
    }

    /// The place of the one that it is a copy of.
    pub fn original(&self) -> Option<Position> {
        self.dup_of.map(|(offset, part)| Position { offset, part, ..self.position.clone() })
    }

    /// Asks the registry, by what was told until the event was read; also again, where it has learned
    /// since what was told by then.
    pub fn ask(&mut self, registry: &Registry) {
        let Stamp { sponsor_id, status, confidence } =
            Stamp::of(&self.event, registry, self.ingested_at);
        Lapse::stamp(&mut self.event, status, registry, self.ingested_at);
        (self.sponsor_id, self.trace_status, self.trace_confidence) =
            (sponsor_id, status, confidence);
    }

    /// The same of many: what the registry will be asked is fetched for some of them at once.
    pub fn ask_all<E: BorrowMut<Self>>(events: &mut [E], registry: &Registry) {
        for some in events.chunks_mut(EVENTS_AHEAD) {
            registry.read_ahead(some.iter().map(|one| &one.borrow().event));
            for event in some {
                event.borrow_mut().ask(registry);
            }
        }
    }

    /// Whether another answer may come of it that a credential was issued. Where the registry itself names who
    /// answers for the agent, no issue is asked for, but that of a credential that lasts.
    pub fn may_rest_on_issues(&self) -> bool {
        self.trace_status != TraceStatus::Traced || self.event.credential_kind.lasts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stay_within_their_bounds() {
        let mut attributes = Attributes::default();
        for n in 0..100 {
            attributes.insert(&format!("key{n}"), &"ü".repeat(5_000));
        }

        assert_eq!(attributes.iter().len(), Attributes::ENTRIES_MAX);
        assert!(attributes.iter().all(|(_, value)| value.len() == Attributes::VALUE_BYTES_MAX));
        let map: BTreeMap<_, _> = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert!(Attributes::try_from(map).is_err());
    }

    #[test]
    fn every_spelling_is_read_back() {
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::parse(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        assert_eq!(CredentialKind::parse("Static_Key"), None);
    }
}
