//! Fetching what a few events will ask, for all of them at once.
//!
//! Invariant: nothing is answered and nothing is kept, so an event is stamped alike without it.

use std::hint::black_box;

use super::grants::AboutGrant;
use super::{AboutAgent, AboutCredential, Registry};
use crate::CredentialEvent;

/// What the registry has of those that an event names.
type Named<'a> = (Option<&'a AboutAgent>, Option<&'a AboutCredential>, Option<&'a AboutGrant>);

impl Registry {
    /// Touches what [`StampedEvent::ask`](crate::StampedEvent::ask) will ask of these events, which are few.
    ///
    /// An answer lies behind five pointers, each into memory that no cache has, and what one event asks next
    /// depends on the answer before. Taken step by step for many events, a processor has the memory of
    /// several on its way at a time.
    pub(crate) fn read_ahead<'a>(&self, events: impl Iterator<Item = &'a CredentialEvent>) {
        let named: Vec<Named<'_>> = events.map(|event| self.named_by(event)).collect();
        for (agent, credential, grant) in &named {
            black_box(agent.map(|about| (about.facts.starts(), about.parents.starts())));
            black_box(agent.map(|about| about.first_unused().map(|id| id.as_str().len())));
            black_box(credential.map(|about| (about.facts.starts(), about.issues.starts())));
            black_box(grant.map(|about| about.facts.starts()));
        }
        for (agent, _, _) in &named {
            let sponsor = agent.and_then(|about| about.first_sponsor());
            black_box(sponsor.map(|id| id.as_str().as_bytes().first().copied()));
            let unused = agent.and_then(|about| about.first_unused());
            black_box(unused.map(|id| id.as_str().as_bytes().first().copied()));
        }
        for (agent, _, _) in &named {
            let unused = agent.and_then(|about| self.grants.get(about.first_unused()?));
            black_box(unused.map(|about| about.facts.starts()));
        }
    }

    fn named_by(&self, event: &CredentialEvent) -> Named<'_> {
        let agent = self.about_agent(&event.agent_id);
        let credential = self.about_credential(&event.credential_id);
        (agent, credential, event.grant_id.as_ref().and_then(|id| self.grants.get(id)))
    }
}
