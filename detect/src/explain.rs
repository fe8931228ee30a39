//! [`Case`]: a verdict in words and numbers that a person can check.
//!
//! Invariant: every number in a finding comes from the state that the verdict was made of; nothing
//! is estimated for the text. What this costs is paid for findings only.

use std::fmt::{self, Write};

use schemas::{
    Amount, DetectorKind, FeatureShare, Finding, Maturity, MaturityLevel, Severity, StampedEvent,
};

use crate::agent::Agent;
use crate::class::Peers;
use crate::facts::Facts;
use crate::figures::{grouped, once_in, significant};
use crate::fleet::{Change, Shift};
use crate::score::{Part, Verdict};
use crate::signs::{Feature, Signs};
use crate::tails::probability_of;
use crate::volume::Unusual;

/// Most summaries are shorter.
const SUMMARY_BYTES: usize = 384;
const WINDOW_NAMES: [&str; 3] = ["5min", "1h", "24h"];
const WINDOW_WORDS: [&str; 3] = ["5 minutes", "an hour", "a day"];

/// What a finding is made of: the event, and the state before it was learned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub stamped: &'a StampedEvent,
    pub agent: &'a Agent,
    pub peers: Peers<'a>,
    pub facts: &'a Facts<'a>,
    pub signs: &'a Signs,
}

/// Money at risk in hundredths of the event's currency: what went to the counterparty (`there`), or
/// in this hour.
pub(crate) fn cents_at_risk(
    verdict: &Verdict,
    agent: &Agent,
    facts: &Facts<'_>,
    there: i64,
) -> i64 {
    match verdict.detector() {
        DetectorKind::UnusualVolume => {
            facts.money.map_or(0, |money| agent.spent.paid(&money).max(there))
        }
        DetectorKind::NewExposure => facts.money.map_or(0, |money| {
            // What the agent paid in this hour is known to the cent, the sum over days is not.
            agent.spent.paid(&money).max(there)
        }),
        DetectorKind::UnusualAmount
        | DetectorKind::NewCounterparty
        | DetectorKind::CounterpartyBurst
        | DetectorKind::NewAction
        | DetectorKind::StolenCredential
        | DetectorKind::Structuring
        | DetectorKind::FanOut
        | DetectorKind::FailureBurst
        | DetectorKind::UnusualTime
        | DetectorKind::SharedCredential
        | DetectorKind::FleetShift
        | DetectorKind::ExpiredCredential
        | DetectorKind::RevokedCredential
        | DetectorKind::EndedPurpose
        | DetectorKind::UnregisteredAgent
        | DetectorKind::OrphanedAgent
        | DetectorKind::NeverRotated
        | DetectorKind::MintedCredential
        | DetectorKind::UnapprovedModel
        | DetectorKind::OutsidePurpose
        | DetectorKind::OverLimit
        | DetectorKind::EndedGrant
        | DetectorKind::StandingGrant
        | DetectorKind::UnusedGrant
        | DetectorKind::WiderThanParent => there,
    }
}

impl Case<'_> {
    pub(crate) fn explain(&self, verdict: &Verdict, severity: Severity, cents: i64) -> Finding {
        let StampedEvent { event, position, .. } = self.stamped;
        let detector = verdict.detector();
        let total: f64 = verdict.parts().iter().map(|part| part.added).sum();
        let features = verdict
            .parts()
            .iter()
            .filter(|part| 0.0 < part.added)
            .map(|part| self.feature(part, total))
            .collect();
        let money = event.amount.and_then(|_| Amount::from_cents(cents).ok());
        Finding {
            finding_id: Finding::id_of(detector, &event.agent_id, position),
            detector,
            severity,
            time: event.time,
            agent_id: event.agent_id.clone(),
            agent_class: event.agent_class.clone(),
            credential_id: event.credential_id.clone(),
            sponsor_id: self.stamped.sponsor_id.clone(),
            trace_status: self.stamped.trace_status,
            event_id: event.event_id.clone(),
            position: position.clone(),
            action: event.action.clone(),
            counterparty_id: event.counterparty_id.clone(),
            score: verdict.surprise,
            false_findings_per_agent_day: verdict.false_per_agent_day,
            summary: self.summary(verdict),
            features,
            maturity: self.maturity(),
            evidence: vec![event.event_id.clone()],
            money_at_risk: money,
            currency: event.currency.filter(|_| money.is_some()),
            tags: tags(detector, event.amount.is_some()),
        }
    }

    fn maturity(&self) -> Maturity {
        // This event is counted already.
        let events = u64::from(self.agent.events).saturating_sub(1);
        let days = self.days_known();
        let level = match events {
            0..16 => MaturityLevel::Cold,
            16..128 => MaturityLevel::Young,
            _ if days < 7.0 => MaturityLevel::Young,
            _ => MaturityLevel::Mature,
        };
        Maturity { level, events, days }
    }

    #[expect(clippy::cast_precision_loss, reason = "days with a fraction")]
    fn days_known(&self) -> f32 {
        (self.facts.second - self.agent.first_second) as f32 / 86_400.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "a share needs three digits")]
    fn feature(&self, part: &Part, total: f64) -> FeatureShare {
        let signs = self.signs;
        let windowed = |what: &str, unusual: &Unusual| {
            let name = format!("{what}_per_{}", WINDOW_NAMES[unusual.window]);
            (name, unusual.expected, unusual.seen)
        };
        let currency = self.stamped.event.currency.map_or(String::new(), |currency| {
            format!("_{}", currency.as_str().to_ascii_lowercase())
        });
        let (feature, expected, seen) = match part.feature {
            Feature::Calls => windowed("calls", &signs.counts[0]),
            Feature::Writes => windowed("writes", &signs.counts[1]),
            Feature::Failures => windowed("failures", &signs.counts[2]),
            Feature::Money => windowed(&format!("money{currency}"), &signs.money),
            Feature::Drift => windowed("drift_of_volume", &signs.drift),
            Feature::Hour => ("active_hours".into(), signs.hour.expected, 1.0),
            Feature::Amount => {
                (format!("amount{currency}"), signs.amount.median, signs.amount.seen)
            }
            Feature::NearLimit => (
                "amounts_just_below_a_round_limit".into(),
                signs.near_limit.expected,
                signs.near_limit.seen,
            ),
            Feature::Counterparty => {
                ("new_counterparty".into(), signs.counterparty.strangeness.rate, 1.0)
            }
            Feature::Burst => {
                ("dealings_with_counterparty_per_1h".into(), signs.burst.expected, signs.burst.seen)
            }
            Feature::Action => ("new_action".into(), signs.action.rate, 1.0),
            Feature::Origin => ("new_network_or_device".into(), self.origin_rate(), 1.0),
            Feature::Parts => {
                (format!("paid_in_parts_per_24h{currency}"), signs.parts.median, signs.parts.seen)
            }
            Feature::Fan => ("counterparties_per_1h".into(), signs.fan.expected, signs.fan.seen),
            Feature::Silence => {
                ("hours_of_silence".into(), signs.silence.expected, signs.silence.seen)
            }
            Feature::Sharing => ("credential_of_another_agent".into(), signs.credential.rate, 1.0),
            Feature::Switch => ("two_networks_within_1min".into(), signs.switch.rate, 1.0),
            Feature::Exposure => (
                format!("paid_to_new_counterparties{currency}"),
                signs.exposure.expected,
                signs.exposure.seen,
            ),
            Feature::Fleet => {
                let (change, shift) = signs.fleet.unwrap_or((Change::Action, Shift::default()));
                let name = format!("agents_of_model_with_{}_per_1h", fleet_words(change).0);
                (name, shift.expected, shift.changed)
            }
        };
        let probability = probability_of(part.calibrated);
        FeatureShare { feature, expected, seen, probability, share: (part.added / total) as f32 }
    }

    fn summary(&self, verdict: &Verdict) -> String {
        let event = &self.stamped.event;
        let mut text = String::with_capacity(SUMMARY_BYTES);
        push(&mut text, format_args!("{} did {}", event.agent_id.as_str(), event.action));
        if let Some(other) = &event.counterparty_id {
            push(&mut text, format_args!(" with {}", other.as_str()));
        }
        let mut separator = ": ";
        let mut next = |text: &mut String| {
            text.push_str(separator);
            separator = "; ";
        };
        let is_worth_telling = |part: &&Part| 0.0 < part.added && 0.05 * verdict.score < part.added;
        for part in verdict.parts().iter().filter(is_worth_telling) {
            next(&mut text);
            self.add_clause(&mut text, part.feature);
        }
        if let Some(money) = event.amount.filter(|_| self.signs.amount.surprise <= 0.0) {
            next(&mut text);
            push(&mut text, format_args!("the amount is {}", grouped(money)));
            if let Some(currency) = event.currency {
                push(&mut text, format_args!(" {}", currency.as_str()));
            }
        }
        if self.signs.is_denied {
            next(&mut text);
            text.push_str("an operator confirmed an attack with it before");
        }
        if separator == ": " {
            text.push_str(separator);
        }
        push(
            &mut text,
            format_args!(
                ". Expected false findings at this level: {} per agent-day.",
                significant(verdict.false_per_agent_day)
            ),
        );
        text
    }

    /// Adds what one feature has to say.
    fn add_clause(&self, text: &mut String, feature: Feature) {
        let signs = self.signs;
        let mut say = |words: fmt::Arguments<'_>| push(text, words);
        match feature {
            Feature::Calls => counted(text, "calls", &signs.counts[0]),
            Feature::Writes => counted(text, "writes", &signs.counts[1]),
            Feature::Failures => counted(text, "failures", &signs.counts[2]),
            Feature::Money => counted(text, "units of money", &signs.money),
            Feature::Drift => say(format_args!(
                "what it does in {} has crept up from {} to {}",
                WINDOW_WORDS[signs.drift.window],
                significant(signs.drift.expected),
                significant(signs.drift.seen)
            )),
            Feature::Hour => say(format_args!(
                "it and agents of its class are active in one of {} such hours",
                once_in(signs.hour.expected)
            )),
            Feature::Amount => self.add_amount(text),
            Feature::NearLimit => say(format_args!(
                "{} recent amounts lie just below a round limit, where {} % of amounts do",
                signs.near_limit.seen.round(),
                significant(100.0 * signs.near_limit.rate)
            )),
            Feature::Counterparty => self.add_counterparty(text),
            Feature::Burst => say(format_args!(
                "{} dealings with it within an hour, where {} are usual",
                signs.burst.seen,
                significant(signs.burst.expected)
            )),
            Feature::Action => say(format_args!(
                "it {} did {} before (a new action was expected once in {} events)",
                if signs.action.is_new { "never" } else { "hardly" },
                self.stamped.event.action,
                once_in(signs.action.rate)
            )),
            Feature::Origin => self.add_origin(text),
            Feature::Parts => say(format_args!(
                "what it paid there in a day adds up to {}, {} times the median of one payment",
                significant(signs.parts.seen),
                significant(signs.parts.seen / signs.parts.median.max(0.01))
            )),
            Feature::Fan => say(format_args!(
                "about {} different counterparties in an hour, where {} are usual",
                signs.fan.seen,
                significant(signs.fan.expected)
            )),
            Feature::Silence => say(format_args!(
                "it was silent for {} days before, where its pauses last {} hours",
                significant(signs.silence.seen / 24.0),
                significant(signs.silence.expected)
            )),
            Feature::Sharing => say(format_args!(
                "it used a credential that another agent holds (a new one was expected once in {} events)",
                once_in(signs.credential.rate)
            )),
            Feature::Switch => say(format_args!(
                "the credential was used from two networks within a minute (expected once in {} events)",
                once_in(signs.switch.rate)
            )),
            Feature::Exposure => say(format_args!(
                "{} went to counterparties not trusted yet in these days, where {} are usual",
                significant(signs.exposure.seen),
                significant(signs.exposure.expected)
            )),
            Feature::Fleet => self.add_fleet(text),
        }
    }

    fn add_fleet(&self, text: &mut String) {
        let Some((change, shift)) = &self.signs.fleet else { return };
        let model = self.stamped.event.model.as_deref().unwrap_or("its model");
        push(
            text,
            format_args!(
                "{} of {} agents of {model} {} in one hour, where {} are usual",
                shift.changed,
                shift.active,
                fleet_words(*change).1,
                significant(shift.expected)
            ),
        );
    }

    fn add_counterparty(&self, text: &mut String) {
        let strangeness = &self.signs.counterparty.strangeness;
        let dealings = self.agent.dealings.saturating_sub(1);
        let days = self.days_known().round();
        let was_read = self.signs.counterparty.was_met;
        let known = match (strangeness.is_new, was_read) {
            (true, false) => "never",
            (true, true) => "never in this way",
            (false, true | false) => "hardly ever",
        };
        push(
            text,
            format_args!(
                "{known} in {dealings} dealings over {days} days (a new counterparty was expected once in {})",
                once_in(strangeness.rate)
            ),
        );
        let Some(other) = &self.facts.counterparty else { return };
        let agents = self.peers.class.heads.seen.max(1.0);
        let class = self.stamped.event.agent_class.as_ref().map_or("", |class| class.as_str());
        let holders = self.peers.class.holders(other.key).min(agents);
        let sign = &self.signs.counterparty;
        // Nobody else in the company knows it.
        let is_unheard_of = !self.peers.population.all().knows(other.key);
        if sign.is_unseen && is_unheard_of {
            text.push_str(", and not once looked at");
        }
        if is_unheard_of && holders <= 0.0 {
            push(
                text,
                format_args!("; none of {agents} {class} agents deals with it, nor anyone else"),
            );
        } else if holders <= 0.0 {
            push(text, format_args!("; none of {agents} {class} agents deals with it"));
        } else {
            push(text, format_args!("; {holders} of {agents} {class} agents dealt with it"));
        }
    }

    fn add_amount(&self, text: &mut String) {
        let amount = &self.signs.amount;
        let event = &self.stamped.event;
        let (Some(money), Some(currency)) = (event.amount, event.currency) else {
            return;
        };
        push(
            text,
            format_args!(
                "{} {} is {} times the median for this action",
                grouped(money),
                currency.as_str(),
                significant(amount.seen / amount.median)
            ),
        );
    }

    fn add_origin(&self, text: &mut String) {
        let [network, device] = [&self.signs.network, &self.signs.device];
        let what = match (0.0 < network.surprise, 0.0 < device.surprise) {
            (true, true) => "the credential came from a network and a program",
            (true, false) => "the credential came from a network",
            (false, true | false) => "the credential came from a program",
        };
        push(
            text,
            format_args!(
                "{what} that this agent is not used to (a new one was expected once in {} events)",
                once_in(self.origin_rate())
            ),
        );
    }

    /// How often something as new was expected: the network, or the device if only that is new.
    fn origin_rate(&self) -> f64 {
        let [network, device] = [&self.signs.network, &self.signs.device];
        if 0.0 < network.surprise { network.rate } else { device.rate }
    }
}

/// What a change of a fleet is called in a feature, and in a sentence.
fn fleet_words(change: Change) -> (&'static str, &'static str) {
    match change {
        Change::Action => ("new_action", "did something they hardly ever did"),
        Change::Counterparty => ("new_counterparty", "dealt with somebody unknown to them"),
        Change::Failure => ("failure", "failed or were refused"),
    }
}

fn counted(text: &mut String, what: &str, unusual: &Unusual) {
    push(
        text,
        format_args!(
            "{} {what} in {}, where {} are usual",
            significant(unusual.seen),
            WINDOW_WORDS[unusual.window],
            significant(unusual.expected)
        ),
    );
}

fn push(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string does not fail");
}

/// Source: MITRE ATT&CK 17 techniques; OWASP Non-Human Identities Top 10 (2025); OWASP Top 10 for
/// Agentic Applications (2026).
pub(crate) fn tags(detector: DetectorKind, has_money: bool) -> Vec<String> {
    let tags: &[&str] = match detector {
        DetectorKind::UnusualVolume => &["attack.t1078", "owasp-asi:ASI02"],
        DetectorKind::UnusualAmount => &["attack.t1657", "owasp-asi:ASI02"],
        DetectorKind::NewCounterparty if has_money => {
            &["attack.t1657", "owasp-asi:ASI01", "owasp-asi:ASI02"]
        }
        DetectorKind::NewCounterparty => &["attack.t1567", "owasp-asi:ASI01", "owasp-asi:ASI02"],
        DetectorKind::CounterpartyBurst | DetectorKind::FanOut => {
            &["attack.t1020", "owasp-asi:ASI02"]
        }
        DetectorKind::NewAction => &["attack.t1078", "owasp-nhi:NHI5", "owasp-asi:ASI03"],
        DetectorKind::StolenCredential => &["attack.t1078", "attack.t1550", "owasp-nhi:NHI2"],
        DetectorKind::Structuring | DetectorKind::NewExposure => {
            &["attack.t1657", "owasp-asi:ASI02"]
        }
        DetectorKind::FailureBurst => &["attack.t1110", "owasp-nhi:NHI5"],
        DetectorKind::UnusualTime => &["attack.t1078"],
        DetectorKind::SharedCredential => &["attack.t1078", "owasp-nhi:NHI9"],
        DetectorKind::FleetShift | DetectorKind::UnapprovedModel => {
            &["attack.t1195", "owasp-asi:ASI04"]
        }
        DetectorKind::ExpiredCredential => &["attack.t1078", "owasp-nhi:NHI7"],
        DetectorKind::RevokedCredential
        | DetectorKind::EndedPurpose
        | DetectorKind::EndedGrant
        | DetectorKind::OrphanedAgent => &["attack.t1078", "owasp-nhi:NHI1"],
        DetectorKind::UnregisteredAgent => &["attack.t1136", "owasp-asi:ASI10"],
        DetectorKind::NeverRotated => &["owasp-nhi:NHI7"],
        DetectorKind::MintedCredential => &["attack.t1098", "owasp-nhi:NHI7"],
        DetectorKind::OutsidePurpose | DetectorKind::OverLimit => {
            &["attack.t1078", "owasp-asi:ASI02", "owasp-asi:ASI03"]
        }
        DetectorKind::StandingGrant | DetectorKind::UnusedGrant | DetectorKind::WiderThanParent => {
            &["owasp-nhi:NHI5", "owasp-asi:ASI03"]
        }
    };
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}
