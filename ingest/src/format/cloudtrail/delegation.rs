//! [`of`]: on whose behalf somebody acts, as the record claims.
//!
//! Invariant: who acts is not among them, and nobody is named twice.
//!
//! Sources: AWS, *CloudTrail userIdentity element*; the pages on logging of IAM Identity Center, Lake Formation
//! and Bedrock `AgentCore`; *Condition context keys for trusted identity propagation*.

use schemas::AgentId;

use super::identity::Identity;
use super::parts::Parts;

/// The role, the person who took it, the person signed in, and for whom a service or an agent asked.
///
/// The service in `invokedBy` is not among them: it acts for the agent, not the other way round.
pub(super) fn of(identity: &Identity<'_>, parts: &Parts<'_>, agent: &AgentId) -> Vec<AgentId> {
    let Parts { asked, additional, .. } = parts;
    let mut chain: Vec<AgentId> = Vec::new();
    let role = identity.role_of_session();
    for name in [
        role.as_deref(),
        identity.source_identity(),
        identity.on_behalf_of(),
        asked.source_identity.get(),
        asked.user_id.get(),
        additional.switch_from.get(),
        additional.lake_formation_principal.get(),
        additional.user_id.get(),
    ]
    .into_iter()
    .flatten()
    {
        if let Ok(name) = AgentId::try_from(name)
            && name != *agent
            && !chain.contains(&name)
        {
            chain.push(name);
        }
    }
    chain
}
