//! [`Told`]: findings of what the registry has against a use, as it was stamped on the event.
//!
//! Invariant: a function of the events in their order (D1), since the lapses stand among the labels of
//! the event in the lake; each is told once of an agent and what it concerns, for as long as fewer
//! than [`REMEMBERED`] others were told since. Memory is twice that at most.

use schemas::{
    CredentialEvent, DetectorKind, FeatureShare, Finding, GrantId, Lapse, Severity, StampedEvent,
    Timestamp,
};

use crate::config::Detectors;
use crate::explain;
use crate::hash::{KeyMap, join, key_of};
use crate::pack::pack_struct;

/// Subjects told of before the older half is forgotten. Chosen: 2 MB, and more than a company has
/// credentials that are wrong.
const REMEMBERED: usize = 65_536;

/// What [`Lapse::OutsidePurpose`] is about, if it is the counterparty.
const COUNTERPARTY: &str = "counterparty";

/// What was told already, in two generations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    younger: KeyMap<u8>,
    older: KeyMap<u8>,
    pub findings: u64,
}

pack_struct!(Told { younger, older, findings });

impl Told {
    /// The findings of an event that is the first of its kind. `watched` says since when its agent is
    /// watched: who has not been for long cannot be told what it never did.
    pub(crate) fn findings(
        &mut self,
        stamped: &StampedEvent,
        detectors: &Detectors,
        watched: impl Fn() -> Timestamp,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for found in lapses(stamped, detectors) {
            let key = found.key(&stamped.event);
            if self.younger.contains_key(&key) {
                continue;
            }
            let is_young = || stamped.event.time < watched().plus(Lapse::UNUSED_AFTER);
            if found.lapse == Lapse::UnusedGrant && is_young() {
                continue;
            }
            if self.note(key) {
                self.findings += 1;
                findings.push(found.finding(stamped));
            }
        }
        findings
    }

    /// Notes that it is told. Returns whether it is news.
    fn note(&mut self, key: u64) -> bool {
        let is_news = !self.older.contains_key(&key);
        if REMEMBERED <= self.younger.len() {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key, 1);
        is_news
    }
}

/// The gravest of what the registry has against an event that is no matter of tidiness, told before or
/// not: what a gateway has to know.
pub(crate) fn gravest(stamped: &StampedEvent, detectors: &Detectors) -> Option<Finding> {
    let grave = lapses(stamped, detectors).filter(|found| Severity::Review < found.severity());
    grave.max_by_key(Found::severity).map(|found| found.finding(stamped))
}

fn lapses<'a>(
    stamped: &'a StampedEvent,
    detectors: &'a Detectors,
) -> impl Iterator<Item = Found<'a>> {
    let labels = stamped.event.labels.iter();
    let told = labels.filter_map(|label| Lapse::of_label(label));
    let found = told.map(|(lapse, about)| Found { lapse, about, detector: kind_of(lapse) });
    found.filter(|found| 0.0 < detectors.weight(found.detector))
}

/// A lapse of an event.
struct Found<'a> {
    lapse: Lapse,
    /// What of the registry it is about, where the event does not say that.
    about: &'a str,
    detector: DetectorKind,
}

fn kind_of(lapse: Lapse) -> DetectorKind {
    match lapse {
        Lapse::ExpiredCredential => DetectorKind::ExpiredCredential,
        Lapse::RevokedCredential => DetectorKind::RevokedCredential,
        Lapse::EndedPurpose => DetectorKind::EndedPurpose,
        Lapse::UnregisteredAgent => DetectorKind::UnregisteredAgent,
        Lapse::OrphanedAgent => DetectorKind::OrphanedAgent,
        Lapse::NeverRotated => DetectorKind::NeverRotated,
        Lapse::MintedCredential => DetectorKind::MintedCredential,
        Lapse::UnapprovedModel => DetectorKind::UnapprovedModel,
        Lapse::OutsidePurpose => DetectorKind::OutsidePurpose,
        Lapse::OverLimit => DetectorKind::OverLimit,
        Lapse::EndedGrant => DetectorKind::EndedGrant,
        Lapse::StandingGrant => DetectorKind::StandingGrant,
        Lapse::UnusedGrant => DetectorKind::UnusedGrant,
        Lapse::WiderThanParent => DetectorKind::WiderThanParent,
    }
}

impl Found<'_> {
    /// What it is told once of, with the agent and the kind.
    fn key(&self, event: &CredentialEvent) -> u64 {
        let subject = join(key_of(self.subject(event)), key_of(event.agent_id.as_str()));
        join(self.detector as u64, subject)
    }

    /// What it is told once of, beside the agent. Many resources are one matter of the action that is
    /// tried on them.
    fn subject<'a>(&'a self, event: &'a CredentialEvent) -> &'a str {
        let counterparty = event.counterparty_id.as_ref().map_or("", |id| id.as_str());
        match self.lapse {
            Lapse::ExpiredCredential
            | Lapse::RevokedCredential
            | Lapse::NeverRotated
            | Lapse::MintedCredential => event.credential_id.as_str(),
            Lapse::EndedPurpose | Lapse::UnregisteredAgent | Lapse::OrphanedAgent => "",
            Lapse::UnapprovedModel => event.model.as_deref().unwrap_or(""),
            Lapse::OutsidePurpose if self.about == COUNTERPARTY => counterparty,
            Lapse::OutsidePurpose => &event.action,
            Lapse::OverLimit => counterparty,
            Lapse::EndedGrant | Lapse::StandingGrant | Lapse::WiderThanParent => {
                event.grant_id.as_ref().map_or("", |id| id.as_str())
            }
            Lapse::UnusedGrant => self.about,
        }
    }

    /// Whoever revokes a credential wants it used no more, and whoever sets a limit wants it kept; an
    /// expiry or a purpose may have been forgotten; the rest is untidy, and no act of today.
    fn severity(&self) -> Severity {
        match self.lapse {
            Lapse::RevokedCredential | Lapse::OverLimit => Severity::Block,
            Lapse::ExpiredCredential
            | Lapse::EndedPurpose
            | Lapse::EndedGrant
            | Lapse::MintedCredential
            | Lapse::OutsidePurpose => Severity::Page,
            Lapse::UnregisteredAgent
            | Lapse::OrphanedAgent
            | Lapse::NeverRotated
            | Lapse::UnapprovedModel
            | Lapse::StandingGrant
            | Lapse::UnusedGrant
            | Lapse::WiderThanParent => Severity::Review,
        }
    }

    fn words(&self, event: &CredentialEvent) -> String {
        let (agent, credential, about) = (&event.agent_id, &event.credential_id, self.about);
        let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
        let grant = or_none(event.grant_id.as_ref().map(GrantId::as_str));
        match self.lapse {
            Lapse::ExpiredCredential => format!("{agent} used {credential} after its expiry"),
            Lapse::RevokedCredential => format!("{agent} used {credential} after it was revoked"),
            Lapse::EndedPurpose => format!("{agent} acts after the end of its purpose"),
            Lapse::UnregisteredAgent => format!("{agent} acts and is not in the registry"),
            Lapse::OrphanedAgent => format!("{agent} acts and nobody answers for it"),
            Lapse::NeverRotated => {
                format!("{agent} used {credential}, a static key that was not rotated in 90 days")
            }
            Lapse::MintedCredential => {
                format!("{agent} used {credential}, a lasting credential that {about} had issued")
            }
            Lapse::UnapprovedModel => {
                let model = or_none(event.model.as_deref());
                format!("{agent} runs on {model}, which is not the model that was approved for it")
            }
            Lapse::OutsidePurpose => {
                let what = match (about, &event.counterparty_id, &event.resource) {
                    (COUNTERPARTY, Some(id), _) => format!("dealt with {id}"),
                    ("resource", _, Some(id)) => format!("reached for {id}"),
                    _ => format!("did {}", event.action),
                };
                format!("{agent} {what}, which is not what it was registered for")
            }
            Lapse::OverLimit => {
                let amount = event.amount.unwrap_or_default();
                let currency = event.currency.as_ref().map_or("", |currency| currency.as_str());
                format!("{agent} paid {amount} {currency} where its limit is {about}")
            }
            Lapse::EndedGrant => format!("{agent} acts under {grant}, which has ended"),
            Lapse::StandingGrant => {
                format!("{agent} acts under {grant}, which has no end")
            }
            Lapse::UnusedGrant => {
                format!("{agent} was given {about} 90 days ago or before and never used it")
            }
            Lapse::WiderThanParent => {
                format!(
                    "{agent} acts under {grant}, which permits more than its parent was granted"
                )
            }
        }
    }

    /// A finding of a fact: no baseline is compared, so nothing is expected to be false.
    fn finding(&self, stamped: &StampedEvent) -> Finding {
        let what = self.words(&stamped.event);
        Finding {
            summary: format!("{what}, by the registry as of the event's time. This is told once."),
            features: vec![FeatureShare {
                feature: self.lapse.as_str().to_owned(),
                expected: 0.0,
                seen: 1.0,
                probability: 0.0,
                share: 1.0,
            }],
            ..explain::told_of(stamped, self.detector, self.severity())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{START, event, numbered};
    use crate::{Config, Detector};

    /// Uses of two agents, by turns, with the lapse from the tenth on, which is 100 days after.
    fn uses(lapse: Lapse) -> Vec<StampedEvent> {
        let mut events: Vec<StampedEvent> = (0..40)
            .map(|n| {
                let days = if n < 10 { 0 } else { 100 };
                (if n % 2 == 0 { "a" } else { "b" }, START + days * 86_400 + n * 60)
            })
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
    fn what_is_scored_before_it_happens_is_told_each_time_unless_it_is_untidy_only() {
        let mut detector = Detector::new(Config::default());
        for (lapse, severity) in [
            (Lapse::OverLimit, Some(Severity::Block)),
            (Lapse::RevokedCredential, Some(Severity::Block)),
            (Lapse::OutsidePurpose, Some(Severity::Page)),
            (Lapse::StandingGrant, None),
        ] {
            let events = uses(lapse);
            assert_eq!(detector.fold(&events).len(), 2, "{lapse}");
            let scored = detector.score(&events[39]).finding;
            assert_eq!(scored.map(|finding| finding.severity), severity, "{lapse}");
        }
    }

    #[test]
    fn what_an_agent_never_did_is_told_of_one_that_is_watched_for_long() {
        let events = uses(Lapse::UnusedGrant);
        let mut detector = Detector::new(Config::default());

        assert_eq!(detector.fold(&events[10..]), [], "both were seen today for the first time");
        assert_eq!(Detector::new(Config::default()).fold(&events).len(), 2);
    }

    #[test]
    fn what_was_told_is_forgotten_only_after_many_others() {
        let (mut told, on) = (Told::default(), Detectors::default());
        let long_ago = || Timestamp::EPOCH;
        let mut one = uses(Lapse::EndedPurpose).remove(20);
        assert_eq!(told.findings(&one, &on, long_ago).len(), 1);
        for other in 0..REMEMBERED {
            one.event.agent_id = schemas::AgentId::try_from(format!("other-{other}")).unwrap();
            assert_eq!(told.findings(&one, &on, long_ago).len(), 1);
        }
        one.event.agent_id = schemas::AgentId::try_from("a").unwrap();

        assert_eq!(told.findings(&one, &on, long_ago), []);
        assert!(told.younger.len() <= REMEMBERED && told.older.len() <= REMEMBERED);
    }
}
