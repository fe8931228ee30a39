//! What other processes add to the registry while this one runs: an import is seen within
//! [`LOOK_EVERY`].
//!
//! Invariant: looking never stops the loop, and takes nothing away. A change that came through the
//! registry's topic and is not committed yet stays; one that is known already changes nothing.

use std::time::Duration;

use ingest::Source;
use lake::{Lake, LakeError, Version};
use schemas::{ChangeId, RegistryChange};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Pipeline, micro_batch};

/// How often the table is looked at. Nothing new costs two look-ups in the log.
const LOOK_EVERY: Duration = Duration::from_secs(5);

type Found = Result<(Option<Version>, Vec<(ChangeId, RegistryChange)>), LakeError>;

/// Looks at the table `registry_changes` now and then.
#[derive(Debug)]
pub(super) struct RegistryWatch {
    /// The version that is taken in.
    known: Option<Version>,
    due: Instant,
    looking: Option<JoinHandle<Found>>,
}

impl RegistryWatch {
    pub(super) fn from(known: Option<Version>) -> Self {
        Self { known, due: Instant::now() + LOOK_EVERY, looking: None }
    }

    #[cfg(test)]
    pub(super) fn look_now(&mut self) {
        self.due = Instant::now();
    }

    /// What was found; never, before a look is due. Cancel safe: the look goes on by itself.
    pub(super) async fn next(&mut self, lake: &Lake) -> Found {
        if self.looking.is_none() {
            tokio::time::sleep_until(self.due).await;
            let (lake, known) = (lake.clone(), self.known);
            let look = async move { lake.read_registry_after(known).await };
            #[expect(clippy::disallowed_methods, reason = "the one handle is kept and waited for")]
            let looking = tokio::spawn(look);
            self.looking = Some(looking);
        }
        let looking = self.looking.as_mut().expect("begun above");
        let joined = looking.await;
        self.looking = None;
        self.due = Instant::now() + LOOK_EVERY;
        // A panic in the lake is a bug of ours: the process stops with it.
        joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Drop for RegistryWatch {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

impl<S: Source> Pipeline<S> {
    /// Takes in what was found. A table that cannot be read now is looked at again later: commits tell
    /// when the lake cannot be used.
    pub(super) fn learn(&mut self, found: Found) {
        match found {
            Ok((version, changes)) => {
                for (change_id, change) in changes {
                    self.registry.apply_as(change_id, &change).expect(micro_batch::SAYS_WHEN);
                    self.detector.hear(&change);
                }
                self.watched.known = version;
            }
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the registry in the lake was not looked at, trying again later"
            ),
        }
    }
}
