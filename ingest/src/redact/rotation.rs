//! Fingerprints across a change of keys: which of the new key's is which of the old one's.
//!
//! Invariant: two fingerprints are linked only where the texts around them are the same under both keys,
//! so that they stand for the same secret.

use schemas::CredentialEvent;

use super::scan;

/// Bytes of a fingerprint.
const LENGTH: usize = 3 + 8 + 1 + 32;

/// Most links of one event.
const LINKS_MAX: usize = 8;

/// Keeps in `event`, for each fingerprint in it, that of the same secret in `twin`, which is the same
/// event under the old key: an attribute by the name of the new one.
pub(super) fn link(event: &mut CredentialEvent, twin: &CredentialEvent) {
    let mut links: Vec<(String, String)> = Vec::new();
    let attributes = event.attributes.iter().filter_map(|(name, value)| {
        let before = twin.attributes.get(name)?;
        Some((value, before))
    });
    for (text, before) in texts(event).zip(texts(twin)).chain(attributes) {
        let (new, old) = (fingerprints(text), fingerprints(before));
        if new.len() == old.len() && without(text, &new) == without(before, &old) {
            links.extend(new.iter().zip(&old).map(|(new, old)| (new.to_string(), old.to_string())));
        }
    }
    // What was replaced before either of them was made is the same in both.
    links.retain(|(new, old)| new != old);
    links.sort_unstable();
    links.dedup();
    for (new, old) in links.into_iter().take(LINKS_MAX) {
        event.attributes.insert(&new, &old);
    }
}

fn texts(event: &CredentialEvent) -> impl Iterator<Item = &str> {
    let optional = [
        event.session_id.as_ref().map(AsRef::as_ref),
        event.grant_id.as_ref().map(AsRef::as_ref),
        event.counterparty_id.as_ref().map(AsRef::as_ref),
        event.resource.as_deref(),
        event.outcome_reason.as_deref(),
        event.user_agent.as_deref(),
        event.task_id.as_deref(),
        event.agent_instance.as_deref(),
    ];
    let ids = [event.credential_id.as_ref(), event.agent_id.as_ref(), event.action.as_str()];
    ids.into_iter().chain(optional.map(Option::unwrap_or_default))
}

/// The fingerprints in a text, in order.
fn fingerprints(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("fp:").map(|at| from + at) {
        match text.get(at..at + LENGTH) {
            Some(one) if scan::is_fingerprint(one.as_bytes()) => {
                found.push(one);
                from = at + LENGTH;
            }
            Some(_) | None => from = at + 3,
        }
    }
    found
}

fn without(text: &str, fingerprints: &[&str]) -> String {
    fingerprints.iter().fold(text.to_owned(), |text, one| text.replacen(one, "", 1))
}
