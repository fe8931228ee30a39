//! [`TraceStatus`] and [`HopMethod`]: how well an event leads to a sponsor, and what a hop rests on.
//!
//! Invariant: the order of [`TraceStatus`] is that of strength, the strongest first.

use crate::event::spelled;

spelled! {
    /// How well an event leads to a sponsor.
    TraceStatus {
        /// The agent is registered, and its sponsor was active, or somebody answers in his or her place.
        Traced = "traced",
        /// Through a registered parent agent, the agent in whose span it worked, the agent that had the
        /// credential issued, or the one agent that may use it.
        Delegated = "delegated",
        /// Through a parent or a class that only the event claims.
        Claimed = "claimed",
        /// Through a credential that several agents may use, all of one sponsor.
        Shared = "shared",
        /// The agent is registered, but nobody answers for it, or who did has left.
        Orphaned = "orphaned",
        /// Nothing is known of the agent.
        Unregistered = "unregistered",
        /// The chain broke: a cycle, too deep, or several candidates.
        Broken = "gap",
    }
}

spelled! {
    /// What a hop rests on.
    HopMethod {
        /// The credential was issued by an action of that agent, which an event shows. AWS calls the
        /// service that does so STS.
        StsKeyJoin = "sts_key_join",
        Registry = "registry",
        /// The registry knows who answers for the class, not for the agent.
        RegistryClass = "registry_class",
        /// The registry knows who may use the credential, not the agent that named itself.
        RegistryCredential = "registry_credential",
        /// The registry names who succeeded a sponsor that was not active any more.
        RegistrySuccessor = "registry_successor",
        /// It names no successor: the manager of a sponsor that was not active any more.
        RegistryManager = "registry_manager",
        /// The span that the agent worked in is another agent's, as that agent's own event shows.
        ParentSpan = "parent_span",
        /// The event says so; nothing confirms it.
        Claimed = "claimed",
    }
}

impl HopMethod {
    /// Probability that such a hop is true, from 0 to 1.
    ///
    /// Chosen, not measured: the order is the design's order of strength; a claim is worth less than
    /// any registry entry, and a class, a manager or a credential less than the agent's own entry. Two
    /// events that agree on a span are worth more than a claim, and less than the registry.
    pub const fn confidence(self) -> f32 {
        match self {
            Self::StsKeyJoin | Self::Registry | Self::RegistrySuccessor => 1.0,
            Self::RegistryClass | Self::RegistryManager => 0.9,
            Self::RegistryCredential => 0.8,
            Self::ParentSpan => 0.7,
            Self::Claimed => 0.6,
        }
    }
}
