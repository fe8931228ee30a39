//! [`Routes`]: which finding goes to which endpoint, and the attempts on their way to the lake.
//!
//! Invariant (W1): a finding is in the outbox, durably, before the rows of its micro-batch can be
//! committed; so after a crash it is either still there or found again under the same id. Attempts are
//! copied to the lake by their gap-free sequence and forgotten only when they are committed there.

use std::sync::Arc;

use detect::webhook::{Attempt, Counts, Message, Outbox, OutboxError};
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
    /// Attempts below this sequence are in the lake.
    copied_below: u64,
}

impl Routes {
    pub(crate) fn new(outbox: Arc<Outbox>, endpoints: Vec<Route>) -> Self {
        Self { outbox: Some(outbox), endpoints, copied_below: 0 }
    }

    /// Puts the findings in the outbox of every endpoint that wants them; durable on return.
    pub(crate) fn hand_over(&self, findings: &[Finding], now: Timestamp) -> Result<(), Failure> {
        let Some(outbox) = &self.outbox else { return Ok(()) };
        let mut messages = Vec::new();
        for finding in findings {
            for route in self.endpoints.iter().filter(|one| one.severity_min <= finding.severity) {
                messages.push(message(finding, &route.endpoint, now));
            }
        }
        outbox.enqueue(&messages, now).map_err(of_outbox)?;
        Ok(())
    }

    /// How many messages there are, by what became of them.
    pub(crate) fn counts(&self) -> Result<Counts, Failure> {
        match &self.outbox {
            Some(outbox) => outbox.counts().map_err(of_outbox),
            None => Ok(Counts { enqueued: 0, pending: 0, delivered: 0, dead: 0 }),
        }
    }

    /// The lake has the attempts below `sequence`.
    pub(crate) fn resume_from(&mut self, sequence: u64) {
        self.copied_below = sequence;
    }

    /// Attempts that are not in the lake yet, oldest first.
    pub(crate) fn attempts(&self) -> Result<Vec<Attempt>, Failure> {
        match &self.outbox {
            Some(outbox) => {
                outbox.attempts_from(self.copied_below, ATTEMPTS_MAX).map_err(of_outbox)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Forgets the attempts that the lake has.
    pub(crate) fn forget_attempts(&mut self, below: u64) -> Result<(), Failure> {
        let Some(outbox) = self.outbox.as_ref().filter(|_| self.copied_below < below) else {
            return Ok(());
        };
        outbox.forget_attempts_below(below).map_err(of_outbox)?;
        self.copied_below = below;
        Ok(())
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
