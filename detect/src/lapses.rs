//! [`Told`]: findings of what the registry has against a use, as it was stamped on the event.
//!
//! Invariant: a function of the events in their order (D1), since the lapses stand among the labels of
//! the event in the lake; each is told once of an agent and what it concerns, for as long as fewer
//! than [`REMEMBERED`] others were told since. Memory is twice that at most.

use schemas::{
    DetectorKind, FeatureShare, Finding, Lapse, Maturity, MaturityLevel, Severity, StampedEvent,
};

use crate::config::Detectors;
use crate::explain::tags;
use crate::hash::{KeyMap, join, key_of};
use crate::pack::pack_struct;

/// Subjects told of before the older half is forgotten. Chosen: 2 MB, and more than a company has
/// credentials that are wrong.
const REMEMBERED: usize = 65_536;

/// What was told already, in two generations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    younger: KeyMap<u8>,
    older: KeyMap<u8>,
    pub findings: u64,
}

pack_struct!(Told { younger, older, findings });

impl Told {
    /// The findings of an event that is the first of its kind.
    pub(crate) fn findings(
        &mut self,
        stamped: &StampedEvent,
        detectors: &Detectors,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for lapse in stamped.event.labels.iter().filter_map(|label| Lapse::of_label(label)) {
            let kind = kind_of(lapse);
            if detectors.weight(kind) <= 0.0 || !self.is_news(lapse, stamped) {
                continue;
            }
            self.findings += 1;
            findings.push(finding(lapse, kind, stamped));
        }
        findings
    }

    fn is_news(&mut self, lapse: Lapse, stamped: &StampedEvent) -> bool {
        let agent = key_of(stamped.event.agent_id.as_str());
        let about = match lapse {
            Lapse::ExpiredCredential | Lapse::RevokedCredential => {
                join(key_of(stamped.event.credential_id.as_str()), agent)
            }
            Lapse::EndedPurpose | Lapse::UnregisteredAgent => agent,
        };
        let key = join(kind_of(lapse) as u64, about);
        if self.younger.contains_key(&key) {
            return false;
        }
        let is_news = !self.older.contains_key(&key);
        if REMEMBERED <= self.younger.len() {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key, 1);
        is_news
    }
}

fn kind_of(lapse: Lapse) -> DetectorKind {
    match lapse {
        Lapse::ExpiredCredential => DetectorKind::ExpiredCredential,
        Lapse::RevokedCredential => DetectorKind::RevokedCredential,
        Lapse::EndedPurpose => DetectorKind::EndedPurpose,
        Lapse::UnregisteredAgent => DetectorKind::UnregisteredAgent,
    }
}

/// Whoever revokes a credential wants it used no more; an expiry or a purpose may have been forgotten;
/// an agent that nobody registered may be new.
fn severity_of(lapse: Lapse) -> Severity {
    match lapse {
        Lapse::RevokedCredential => Severity::Block,
        Lapse::ExpiredCredential | Lapse::EndedPurpose => Severity::Page,
        Lapse::UnregisteredAgent => Severity::Review,
    }
}

/// A finding of a fact: no baseline is compared, so nothing is expected to be false.
fn finding(lapse: Lapse, detector: DetectorKind, stamped: &StampedEvent) -> Finding {
    let StampedEvent { event, position, .. } = stamped;
    let (agent, credential) = (&event.agent_id, &event.credential_id);
    let what = match lapse {
        Lapse::ExpiredCredential => format!("{agent} used {credential} after its expiry"),
        Lapse::RevokedCredential => format!("{agent} used {credential} after it was revoked"),
        Lapse::EndedPurpose => format!("{agent} acts after the end of its purpose"),
        Lapse::UnregisteredAgent => format!("{agent} acts and is not in the registry"),
    };
    Finding {
        finding_id: Finding::id_of(detector, agent, position),
        detector,
        severity: severity_of(lapse),
        time: event.time,
        agent_id: agent.clone(),
        agent_class: event.agent_class.clone(),
        credential_id: credential.clone(),
        sponsor_id: stamped.sponsor_id.clone(),
        trace_status: stamped.trace_status,
        event_id: event.event_id.clone(),
        position: position.clone(),
        action: event.action.clone(),
        counterparty_id: event.counterparty_id.clone(),
        score: 0.0,
        false_findings_per_agent_day: 0.0,
        summary: format!("{what}, by the registry as of the event's time. This is told once."),
        features: vec![FeatureShare {
            feature: lapse.as_str().to_owned(),
            expected: 0.0,
            seen: 1.0,
            probability: 0.0,
            share: 1.0,
        }],
        maturity: Maturity { level: MaturityLevel::Cold, events: 0, days: 0.0 },
        evidence: vec![event.event_id.clone()],
        money_at_risk: event.amount,
        currency: event.currency.filter(|_| event.amount.is_some()),
        tags: tags(detector, event.amount.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{START, event, numbered};
    use crate::{Config, Detector};

    /// Uses of two agents, by turns, every other one with the lapse.
    fn uses(lapse: Lapse) -> Vec<StampedEvent> {
        let mut events: Vec<StampedEvent> = (0..40)
            .map(|n| (if n % 2 == 0 { "a" } else { "b" }, START + n * 60))
            .map(|(agent, second)| event(agent, "class", second, "order.read"))
            .collect();
        for stamped in events.iter_mut().skip(10) {
            stamped.event.labels = vec!["env:test".to_owned(), lapse.label()];
        }
        numbered(events)
    }

    #[test]
    fn each_lapse_is_told_once_of_each_subject_however_batches_are_cut() {
        for lapse in Lapse::ALL {
            let events = uses(*lapse);
            let whole = Detector::new(Config::default()).fold(&events);
            let mut detector = Detector::new(Config::default());
            let mut cut = Vec::new();
            for batch in events.chunks(7) {
                cut.extend(detector.fold(batch));
                let (mut bytes, offsets) = (Vec::new(), schemas::Offsets::default());
                detector.snapshot().write(&offsets, &mut bytes).unwrap();
                detector = Detector::read_checkpoint(Config::default(), &bytes[..]).unwrap().0;
            }

            assert_eq!(whole.len(), 2, "{lapse}: one of each agent");
            assert_eq!(cut, whole, "{lapse}");
            assert_eq!(whole[0].event_id, events[10].event.event_id);
            assert_eq!(whole[0].detector.as_str(), lapse.as_str());
            assert_eq!(detector.stats().findings, 2);
        }
    }

    #[test]
    fn a_kind_that_is_switched_off_is_silent_and_so_is_an_event_without_a_lapse() {
        let off = r#"{"detectors": {"expired-credential": 0}}"#;
        let mut silent = Detector::new(serde_json::from_str(off).unwrap());
        let mut events = uses(Lapse::ExpiredCredential);

        assert_eq!(silent.fold(&events), []);
        for stamped in &mut events {
            stamped.event.labels = vec!["env:test".to_owned(), "lapse:unheard_of".to_owned()];
        }
        assert_eq!(Detector::new(Config::default()).fold(&events), []);
    }

    #[test]
    fn what_was_told_is_forgotten_only_after_many_others() {
        let mut told = Told::default();
        let mut one = uses(Lapse::EndedPurpose).remove(20);
        assert!(told.is_news(Lapse::EndedPurpose, &one));
        for other in 0..REMEMBERED {
            one.event.agent_id = schemas::AgentId::try_from(format!("other-{other}")).unwrap();
            assert!(told.is_news(Lapse::EndedPurpose, &one));
        }
        one.event.agent_id = schemas::AgentId::try_from("a").unwrap();

        assert!(!told.is_news(Lapse::EndedPurpose, &one));
        assert!(told.younger.len() <= REMEMBERED && told.older.len() <= REMEMBERED);
    }
}
