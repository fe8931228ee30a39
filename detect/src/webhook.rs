//! Webhooks: findings leave by HTTP, signed, at least once, always under the same `webhook-id`.
//!
//! Invariant (W1): a message that [`Outbox::enqueue`] took is pending, delivered or dead, and never
//! two of these; it leaves "pending" only by an answer 2xx (delivered), or by its last failure or a
//! disabled endpoint (dead). What is in flight when the process stops is still pending.
//! Invariant (S1): no error, log line or `Debug` text here holds a secret, a URL or a body.
//!
//! Source: Standard Webhooks 1.0.0.
//!
//! - [`Outbox`] (`webhook/outbox.rs`): the durable queue, and the record of every attempt;
//! - [`Deliverer`] (`webhook/deliver.rs`): the loop that empties it;
//! - `webhook/schedule.rs`: when to try again;
//! - [`Secret`], [`Signing`] (`webhook/signature.rs`): who can tell that it was us;
//! - [`Target`], [`Reach`] (`webhook/target.rs`): where we may connect to at all;
//! - [`Teller`] (`webhook/teller.rs`): one message without the queue, for a caller that keeps it;
//! - `webhook/post.rs`: one attempt over HTTP.

use std::time::Duration;

use schemas::Timestamp;
use serde::{Deserialize, Serialize};

mod deliver;
mod outbox;
mod post;
mod schedule;
mod signature;
mod target;
mod teller;

pub use deliver::{Clock, Concurrency, DeliverError, Deliverer, Endpoint, Report};
pub use outbox::{Counts, DeadLetter, Outbox, OutboxError, Standing};
pub use signature::{InvalidSecret, Secret, Signing};
pub use target::{InvalidTarget, Reach, Target};
pub use teller::{NotTold, Teller};

/// One body for one endpoint.
///
/// Invariant: the id can stand in an HTTP header, and the body is within
/// [`Message::BODY_BYTES_MAX`]. Holding a `Message` is the proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    webhook_id: String,
    endpoint: String,
    time: Timestamp,
    body: Vec<u8>,
}

/// Why something is not a [`Message`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    #[error("wanted a webhook id of 1 to {} visible ASCII characters", Message::ID_BYTES_MAX)]
    Id,
    /// The caller shortens the body, which it alone understands.
    #[error("wanted a body of at most {} bytes, found {bytes}", Message::BODY_BYTES_MAX)]
    BodyTooLarge { bytes: usize },
}

impl Message {
    pub const ID_BYTES_MAX: usize = 256;
    /// Source: Standard Webhooks, "Payload size": under 20 kB.
    pub const BODY_BYTES_MAX: usize = 20_000;

    /// A message for the endpoint configured as `endpoint`. `time` is when that happened which the
    /// message tells of; each [`Attempt`] carries it, so that latency can be told from it.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage`] if the id or the body's size is out of bounds.
    pub fn new(
        webhook_id: &str,
        endpoint: &str,
        time: Timestamp,
        body: Vec<u8>,
    ) -> Result<Self, InvalidMessage> {
        let is_printable = webhook_id.bytes().all(|byte| byte.is_ascii_graphic());
        if webhook_id.is_empty() || Self::ID_BYTES_MAX < webhook_id.len() || !is_printable {
            return Err(InvalidMessage::Id);
        }
        if Self::BODY_BYTES_MAX < body.len() {
            return Err(InvalidMessage::BodyTooLarge { bytes: body.len() });
        }
        Ok(Self { webhook_id: webhook_id.to_owned(), endpoint: endpoint.to_owned(), time, body })
    }

    pub fn webhook_id(&self) -> &str {
        &self.webhook_id
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn time(&self) -> Timestamp {
        self.time
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn into_body(self) -> Vec<u8> {
        self.body
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("webhook_id", &self.webhook_id)
            .field("endpoint", &self.endpoint)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One try at one message, as it is kept in the lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 0, 1, 2, ... over all endpoints, without a gap, in the order of recording.
    pub sequence: u64,
    pub webhook_id: String,
    pub endpoint: String,
    /// As given to [`Message::new`].
    pub message_time: Timestamp,
    /// 1 for the first try. Starts again at 1 after [`Outbox::replay`].
    pub attempt_number: u8,
    /// When it started: the time in the header `webhook-timestamp`.
    pub at: Timestamp,
    pub duration: Duration,
    pub outcome: Outcome,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub failure: Option<Failure>,
}

/// What an attempt did to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Delivered,
    /// It will be tried again.
    Failed,
    /// It was the last try, or the endpoint is disabled or gone: the message is a dead letter.
    Dead,
    /// 410: the endpoint is disabled, and the message is a dead letter.
    Disabled,
}

impl Outcome {
    /// The spelling used in the lake and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Disabled => "disabled",
        }
    }
}

/// Why an attempt got no answer. The class only: a library's own text may name the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The host has an address that we must not connect to.
    AddressRefused,
    Dns,
    Connect,
    Tls,
    Timeout,
    /// The connection was lost, or what came over it was not HTTP.
    Http,
    /// Not sent, since the endpoint was disabled by an earlier 410.
    EndpointDisabled,
    /// Not sent, since the endpoint is no longer configured.
    EndpointUnknown,
}

impl Failure {
    /// The spelling used in the lake and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressRefused => "address_refused",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Http => "http",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::EndpointUnknown => "endpoint_unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
        let at_limit = vec![b'x'; Message::BODY_BYTES_MAX];
        assert!(Message::new("f-1", "siem", Timestamp::EPOCH, at_limit).is_ok());

        let over = vec![b'x'; Message::BODY_BYTES_MAX + 1];
        let refused = Message::new("f-1", "siem", Timestamp::EPOCH, over).unwrap_err();

        assert_eq!(refused, InvalidMessage::BodyTooLarge { bytes: 20_001 });
        assert_eq!(refused.to_string(), "wanted a body of at most 20000 bytes, found 20001");
    }

    #[test]
    fn an_id_that_cannot_stand_in_a_header_is_refused() {
        let too_long = "x".repeat(257);
        for id in ["", "a b", "a\r\nx-evil: 1", "ü", "a\0", &too_long] {
            let refused = Message::new(id, "siem", Timestamp::EPOCH, Vec::new());
            assert_eq!(refused, Err(InvalidMessage::Id), "{id:?}");
        }
    }

    #[test]
    fn a_message_prints_without_its_body() {
        let message = Message::new("f-1", "siem", Timestamp::EPOCH, b"canary".to_vec()).unwrap();

        assert!(!format!("{message:?}").contains("canary"));
    }

    #[test]
    fn outcomes_and_failures_have_one_spelling() {
        for outcome in [Outcome::Delivered, Outcome::Failed, Outcome::Dead, Outcome::Disabled] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        let failures = [
            Failure::AddressRefused,
            Failure::Dns,
            Failure::Connect,
            Failure::Tls,
            Failure::Timeout,
            Failure::Http,
            Failure::EndpointDisabled,
            Failure::EndpointUnknown,
        ];
        for failure in failures {
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.as_str());
        }
    }
}
