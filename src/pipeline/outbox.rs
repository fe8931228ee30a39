//! [`Routes`]: which finding goes to which endpoint, and the attempts on their way to the lake.
//!
//! Attempts are forgotten only when they are committed in the lake, which numbers them by itself: one
//! lake may see many outboxes and one outbox may see a lake restored from a backup. After a crash
//! between commit and forgetting, the lake's rows tell which of them it has ([`Routes::forget_known`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use detect::webhook::{Attempt, Counts, Message, Outbox, OutboxError};
use lake::Delivery;
use schemas::{Finding, Severity, Timestamp};

use crate::exit::{Exit, Failure};

/// Attempts copied to the lake with one commit, at most.
const ATTEMPTS_MAX: usize = 100_000;

/// One endpoint's name and the least severity it wants.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) endpoint: String,
    pub(crate) severity_min: Severity,
}

/// The outbox with the endpoints that want findings; neither where no webhook is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    outbox: Option<Arc<Outbox>>,
    endpoints: Vec<Route>,
}

impl Routes {
    pub(crate) fn new(outbox: Arc<Outbox>, endpoints: Vec<Route>) -> Self {
        Self { outbox: Some(outbox), endpoints }
    }

    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.outbox.as_ref()
    }

    /// The messages about the findings to every endpoint that wants them.
    pub(crate) fn messages(&self, findings: &[Finding], now: Timestamp) -> Vec<Message> {
        let mut messages = Vec::new();
        for finding in findings {
            for route in self.endpoints.iter().filter(|one| one.severity_min <= finding.severity) {
                messages.push(message(finding, &route.endpoint, now));
            }
        }
        messages
    }

    /// How many messages there are, by what became of them.
    pub(crate) fn counts(&self) -> Result<Counts, Failure> {
        match &self.outbox {
            Some(outbox) => outbox.counts().map_err(of_outbox),
            None => Ok(Counts { enqueued: 0, pending: 0, delivered: 0, dead: 0 }),
        }
    }

    /// Whether there are attempts that are not in the lake yet.
    pub(crate) fn has_attempts(&self) -> Result<bool, Failure> {
        match &self.outbox {
            Some(outbox) => outbox.has_attempts_from(0).map_err(of_outbox),
            None => Ok(false),
        }
    }

    /// Attempts that are not in the lake yet, oldest first.
    pub(crate) fn attempts(&self) -> Result<Vec<Attempt>, Failure> {
        match &self.outbox {
            Some(outbox) => outbox.attempts_from(0, ATTEMPTS_MAX).map_err(of_outbox),
            None => Ok(Vec::new()),
        }
    }

    /// Forgets the attempts that the lake has.
    pub(crate) fn forget_attempts(&self, below: u64) -> Result<(), Failure> {
        match &self.outbox {
            Some(outbox) if 0 < below => outbox.forget_attempts_below(below).map_err(of_outbox),
            Some(_) | None => Ok(()),
        }
    }

    /// When the earliest of the attempts began that are not known to be in the lake.
    pub(crate) fn attempts_since(&self) -> Result<Option<Timestamp>, Failure> {
        Ok(self.attempts()?.iter().map(|attempt| attempt.at).min())
    }

    /// Forgets those attempts that are among the `known` ones of the lake: they were committed right
    /// before a crash. They are the oldest ones, since attempts are committed in their order.
    pub(crate) fn forget_known(&self, known: Vec<Delivery>) -> Result<(), Failure> {
        let known: BTreeSet<_> = known
            .into_iter()
            .map(|one| (one.finding_id.as_str().to_owned(), one.endpoint, one.attempt, one.time))
            .collect();
        let is_known = |one: &&Attempt| {
            let number = i32::from(one.attempt_number);
            known.contains(&(one.webhook_id.clone(), one.endpoint.clone(), number, one.at))
        };
        match self.attempts()?.iter().rfind(is_known) {
            Some(last) => self.forget_attempts(last.sequence + 1),
            None => Ok(()),
        }
    }
}

/// `{"type", "timestamp", "data"}` of Standard Webhooks. A finding whose texts are too long for one
/// message is sent without its evidence and with a shorter summary, which says so.
fn message(finding: &Finding, endpoint: &str, now: Timestamp) -> Message {
    let body = |finding: &Finding| {
        let body =
            serde_json::json!({"type": "finding.created", "timestamp": now, "data": finding});
        serde_json::to_vec(&body).expect("a finding holds nothing that JSON cannot")
    };
    let mut bytes = body(finding);
    if Message::BODY_BYTES_MAX < bytes.len() {
        let mut short = finding.clone();
        short.evidence.clear();
        short.features.truncate(8);
        short.summary.truncate(short.summary.floor_char_boundary(1_000));
        short.summary.push_str(" (shortened: ask the lake for the whole finding)");
        bytes = body(&short);
    }
    Message::new(finding.finding_id.as_str(), endpoint, now, bytes)
        .expect("ids are 36 visible characters and each text of a short finding is bounded")
}

pub(crate) fn of_outbox(error: OutboxError) -> Failure {
    Failure::new(Exit::Unavailable, error).while_doing("use the webhook outbox".to_owned())
}
