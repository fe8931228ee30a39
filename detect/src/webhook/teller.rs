//! [`Teller`]: one message, tried once, for a caller that keeps it and tries again by itself.
//!
//! Invariant: as for every webhook: signed, to a vetted address only, no redirect followed.

use std::time::Duration;

use schemas::Timestamp;

use super::post::Post;
use super::schedule::Answer;
use super::target::system_lookup;
use super::{DeliverError, Message, Signing, Target};

/// Sends messages to one receiver, without an outbox.
pub struct Teller {
    post: Post,
}

/// Why a receiver does not have a message. Trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    #[error("wanted an answer 2xx, found {code}")]
    Status { code: u16 },
    #[error("the receiver did not answer: {class}")]
    NoAnswer { class: &'static str },
}

impl Teller {
    /// # Errors
    ///
    /// [`DeliverError`] if the system has no usable TLS roots.
    pub fn new(
        name: &str,
        target: Target,
        signing: Signing,
        timeout: Duration,
    ) -> Result<Self, DeliverError> {
        let post = Post::new(target, signing, timeout, system_lookup());
        let post = post.map_err(|_| DeliverError { endpoint: name.to_owned() })?;
        Ok(Self { post })
    }

    /// Sends `message` at `now`.
    ///
    /// # Errors
    ///
    /// [`NotTold`].
    pub async fn tell(&self, message: Message, now: Timestamp) -> Result<(), NotTold> {
        match self.post.send(message, now).await {
            Answer::Status { code: 200..=299, .. } => Ok(()),
            Answer::Status { code, .. } => Err(NotTold::Status { code }),
            Answer::None(failure) => Err(NotTold::NoAnswer { class: failure.as_str() }),
        }
    }
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}
