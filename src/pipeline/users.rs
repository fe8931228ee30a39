//! Who else may use a credential that a finding calls shared.
//!
//! Invariant: named are those that the registry lists as of the finding's time, and nobody is picked.
//! The detector knows agents by their keys only, and nobody who answers for one.

use schemas::{AgentId, DetectorKind, Finding, Registry, SponsorId};

/// Most agents that are named; the rest is counted.
const NAMED_MAX: usize = 8;

/// Adds to what is said of shared credentials whose they are by the registry.
pub(super) fn name_users(findings: &mut [Finding], registry: &Registry) {
    let shared = findings.iter_mut().filter(|one| one.detector == DetectorKind::SharedCredential);
    for finding in shared {
        let users = registry.users_of(&finding.credential_id, finding.time);
        finding.summary.push_str(&sentence(&users));
    }
}

fn sentence(users: &[(AgentId, Option<SponsorId>)]) -> String {
    if users.is_empty() {
        return " The registry lists nobody for it.".to_owned();
    }
    let named = users.iter().take(NAMED_MAX).map(|(agent, sponsor)| match sponsor {
        Some(sponsor) => format!("{agent} ({sponsor} answers)"),
        None => format!("{agent} (nobody answers)"),
    });
    let named: Vec<String> = named.collect();
    let more = users.len().saturating_sub(NAMED_MAX);
    let rest = if 0 < more { format!(" and {more} more") } else { String::new() };
    format!(" The registry lists it for {}{rest}.", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_agent_is_named_with_who_answers_for_it() {
        let user = |name: &str, sponsor: Option<&str>| {
            let sponsor = sponsor.map(|id| SponsorId::try_from(id).unwrap());
            (AgentId::try_from(name).unwrap(), sponsor)
        };
        let many: Vec<_> = (0..10).map(|n| user(&format!("a{n}"), None)).collect();

        assert_eq!(sentence(&[]), " The registry lists nobody for it.");
        assert_eq!(
            sentence(&[user("buyer", Some("anna")), user("stock", None)]),
            " The registry lists it for buyer (anna answers), stock (nobody answers)."
        );
        assert!(sentence(&many).ends_with("a7 (nobody answers) and 2 more."));
    }
}
