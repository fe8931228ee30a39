//! [`Lapse`]: what the registry has against a use of a credential, as of the time of the use.
//!
//! Invariant: a label that starts with [`Lapse::PREFIX`] is ours: what a source writes there is taken
//! away when the event is stamped. So the lake says of each event what was known when it was read, and
//! a replay finds the same.

use crate::event::spelled;
use crate::registry::AsOf;
use crate::{CredentialEvent, Registry, Timestamp, TraceStatus};

spelled! {
    /// What the registry has against a use.
    Lapse {
        /// The credential was past its expiry.
        ExpiredCredential = "expired_credential",
        /// The credential's entry had ended: it was revoked.
        RevokedCredential = "revoked_credential",
        /// The agent's entry had ended: its purpose was over.
        EndedPurpose = "ended_purpose",
        /// Nothing is known of the agent, and something of others.
        UnregisteredAgent = "unregistered_agent",
    }
}

impl Lapse {
    /// What all labels of lapses start with.
    pub const PREFIX: &'static str = "lapse:";

    /// The label of an event that has it.
    pub fn label(self) -> String {
        format!("{}{self}", Self::PREFIX)
    }

    /// The lapse that a label tells of.
    pub fn of_label(label: &str) -> Option<Self> {
        label.strip_prefix(Self::PREFIX).and_then(Self::parse)
    }

    /// Puts the lapses of `event` among its labels, by what was known at `known_at`.
    pub(crate) fn stamp(
        event: &mut CredentialEvent,
        status: TraceStatus,
        registry: &Registry,
        known_at: Timestamp,
    ) {
        event.labels.retain(|label| !label.starts_with(Self::PREFIX));
        let as_of = AsOf { time: event.time, known_at };
        if let Some(entry) = registry.credential_last(&event.credential_id, as_of) {
            let has_ended = |end: Option<Timestamp>| end.is_some_and(|end| end <= event.time);
            if has_ended(entry.valid_to) {
                event.labels.push(Self::RevokedCredential.label());
            } else if has_ended(entry.value.expires_at) {
                event.labels.push(Self::ExpiredCredential.label());
            }
        }
        let is_over = registry
            .agent_last(&event.agent_id, as_of)
            .and_then(|entry| entry.valid_to)
            .is_some_and(|end| end <= event.time);
        if is_over {
            event.labels.push(Self::EndedPurpose.label());
        } else if status == TraceStatus::Unregistered && registry.knows_agents() {
            event.labels.push(Self::UnregisteredAgent.label());
        }
    }
}

#[cfg(test)]
mod tests;
