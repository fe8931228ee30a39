//! [`Lapse`]: what the registry has against a use of a credential, as of the time of the use.
//!
//! Invariant: a label that starts with [`Lapse::PREFIX`] is ours: what a source writes there is taken
//! away when the event is stamped. So the lake says of each event what was known when it was read, and
//! a replay finds the same.

use std::time::Duration;

use crate::event::spelled;
use crate::registry::{AboutAgent, AboutCredential, AsOf};
use crate::{CredentialEvent, CredentialKind, Registry, StampedEvent, Timestamp, TraceStatus};

/// A static key is to be rotated within this time.
/// Source: CIS Amazon Web Services Foundations Benchmark, "access keys are rotated every 90 days or
/// less".
const ROTATED_WITHIN: Duration = Duration::from_hours(90 * 24);

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
        /// Nobody answers for the agent.
        OrphanedAgent = "orphaned_agent",
        /// A static key that the registry has known for 90 days, and no rotation of it.
        NeverRotated = "never_rotated",
        /// A static key or password that an agent had issued.
        MintedCredential = "minted_credential",
        /// The model behind the agent is not the one of its entry.
        UnapprovedModel = "unapproved_model",
        /// The agent's entry lists what it may do, and not this.
        OutsidePurpose = "outside_purpose",
        /// The amount is above the limit of the agent's entry.
        OverLimit = "over_limit",
        /// The grant had ended or was revoked.
        EndedGrant = "ended_grant",
        /// The grant has no end, so it was not given for a task.
        StandingGrant = "standing_grant",
        /// The agent has had another grant for 90 days, as was known for as long, and never used it.
        UnusedGrant = "unused_grant",
        /// The grant's scope is wider than what the agent's parent was granted.
        WiderThanParent = "wider_than_parent",
    }
}

impl Lapse {
    /// What all labels of lapses start with.
    pub const PREFIX: &'static str = "lapse:";

    /// A grant that was not used in this time is not needed.
    /// Source: the default period of AWS IAM Access Analyzer for unused access.
    pub const UNUSED_AFTER: Duration = Duration::from_hours(90 * 24);

    /// The label of an event that has it.
    pub fn label(self) -> String {
        format!("{}{self}", Self::PREFIX)
    }

    /// The same, with what of the registry it is about: a grant, a limit, an agent, a field.
    fn label_about(self, about: impl std::fmt::Display) -> String {
        format!("{}{self}:{about}", Self::PREFIX)
    }

    /// The lapse that a label tells of, and what it is about where that is not told by the event.
    pub fn of_label(label: &str) -> Option<(Self, &str)> {
        let told = label.strip_prefix(Self::PREFIX)?;
        let (kind, about) = told.split_once(':').unwrap_or((told, ""));
        Some((Self::parse(kind)?, about))
    }

    /// Whether `stamped` has it.
    pub fn is_of(self, stamped: &StampedEvent) -> bool {
        let mut lapses = stamped.event.labels.iter().filter_map(|label| Self::of_label(label));
        lapses.any(|(lapse, _)| lapse == self)
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
        let mut labels = std::mem::take(&mut event.labels);
        if let Some(about) = registry.about_credential(&event.credential_id) {
            Self::of_credential(event, about, as_of, &mut labels);
        }
        let about = registry.about_agent(&event.agent_id);
        Self::of_agent(event, status, (registry, about), as_of, &mut labels);
        Self::of_grants(event, (registry, about), as_of, &mut labels);
        event.labels = labels;
    }

    fn of_credential(
        event: &CredentialEvent,
        about: &AboutCredential,
        as_of: AsOf,
        labels: &mut Vec<String>,
    ) {
        let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= event.time);
        let is_static = event.credential_kind == CredentialKind::StaticKey;
        if let Some(entry) = about.facts.last(as_of) {
            if is_over(entry.valid_to) {
                labels.push(Self::RevokedCredential.label());
            } else if is_over(entry.value.expires_at) {
                labels.push(Self::ExpiredCredential.label());
            }
            let entries = || about.facts.newest_first(as_of);
            let is_old = || {
                entries()
                    .last()
                    .is_some_and(|one| one.valid_from.plus(ROTATED_WITHIN) <= event.time)
            };
            if is_static && !entries().any(|one| one.value.is_rotated) && is_old() {
                labels.push(Self::NeverRotated.label());
            }
        }
        if event.credential_kind.lasts()
            && let Some(issue) = about.issues.get(as_of)
        {
            labels.push(Self::MintedCredential.label_about(&issue.value.agent_id));
        }
    }

    fn of_agent(
        event: &CredentialEvent,
        status: TraceStatus,
        (registry, about): (&Registry, Option<&AboutAgent>),
        as_of: AsOf,
        labels: &mut Vec<String>,
    ) {
        let entry = about.and_then(|about| about.facts.last(as_of));
        if entry.and_then(|entry| entry.valid_to).is_some_and(|end| end <= event.time) {
            labels.push(Self::EndedPurpose.label());
        } else if let Some(entry) = entry {
            let is_other = |(known, model): (&str, &str)| known != model;
            if entry.value.model.as_deref().zip(event.model.as_deref()).is_some_and(is_other) {
                labels.push(Self::UnapprovedModel.label());
            }
            if let Some(allowance) = &entry.value.allowance {
                let outside = allowance.breaches(event);
                labels.extend(outside.map(|field| Self::OutsidePurpose.label_about(field)));
                if let Some(limit) = allowance.exceeded(event) {
                    labels.push(Self::OverLimit.label_about(limit.amount));
                }
            }
        } else if status == TraceStatus::Unregistered && registry.knows_agents() {
            labels.push(Self::UnregisteredAgent.label());
        }
        if status == TraceStatus::Orphaned {
            labels.push(Self::OrphanedAgent.label());
        }
    }

    fn of_grants(
        event: &CredentialEvent,
        (registry, about): (&Registry, Option<&AboutAgent>),
        as_of: AsOf,
        labels: &mut Vec<String>,
    ) {
        let grant = event.grant_id.as_ref().and_then(|id| registry.grant_last(id, as_of));
        if let Some(grant) = grant {
            match grant.valid_to {
                None => labels.push(Self::StandingGrant.label()),
                Some(end) if end <= event.time => labels.push(Self::EndedGrant.label()),
                Some(_) => {}
            }
            if registry.is_wider_than_parent(&grant.value, as_of) {
                labels.push(Self::WiderThanParent.label());
            }
        }
        let unused =
            about.and_then(|about| registry.long_unused_grant((&event.agent_id, about), as_of));
        if let Some(unused) = unused {
            labels.push(Self::UnusedGrant.label_about(unused));
        }
    }
}

#[cfg(test)]
mod tests;
