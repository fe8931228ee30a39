//! [`LongLog`]: a log that is to have a checkpoint.
//!
//! Invariant: a checkpoint only saves readers time. No commit waits for one to be there, and none fails with it.

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::checkpoints::create_checkpoint;
use schemas::Table;

use super::TableHandle;
use crate::LakeError;
#[cfg(any(test, feature = "faults"))]
use crate::log::Backing;
use crate::log::{TableLog, Version};

/// Entries of the log after its last checkpoint from which on there is a new one, for a table at
/// `version`. Whoever opens the table reads them one by one; a checkpoint repeats every file that is or was
/// part of the table in the last days, so a long log has them less often. Measured: at version 27,000 one
/// takes 13 MB, and with one every 50 entries a commit took twice as long as at the beginning.
fn entries_per_checkpoint(version: Version) -> u64 {
    (version / 200).clamp(50, 250)
}

/// A log that has become long.
#[derive(Debug)]
pub struct LongLog(TableLog);

impl LongLog {
    pub fn table(&self) -> Table {
        self.0.table
    }

    /// Writes a checkpoint of the log at its newest version. This may take long: the library reads the entries
    /// since the last one, one after the other.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn shorten(&self) -> Result<(), LakeError> {
        #[cfg(any(test, feature = "faults"))]
        if let Backing::Modelled(_) = self.0.backing() {
            return Ok(());
        }
        let unavailable = |cause| LakeError::unavailable(self.table(), cause);
        let mut delta = DeltaTable::new(Arc::clone(&self.0.stored().delta));
        delta.load().await.map_err(unavailable)?;
        create_checkpoint(&delta, None).await.map_err(unavailable)
    }
}

impl TableHandle {
    /// The log if it has become long and it is on this process to write a checkpoint of it, so that opening the
    /// table stays fast. Of several workers it is the one whose commit made a round version; if that one fails
    /// to, the others, once the log is twice as long. Nothing depends on it: a failure is for the log only, and
    /// the next try is as many commits away.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn long_log(&mut self) -> Result<Option<LongLog>, LakeError> {
        let Some(state) = &mut self.state else { return Ok(None) };
        let every = entries_per_checkpoint(state.version);
        let is_round = 0 < state.version && state.version.is_multiple_of(every);
        let is_its_turn = is_round && 0 < state.entries;
        if !is_its_turn {
            if state.entries < 2 * every {
                return Ok(None);
            }
            let newest = self.log.newest_checkpoint().await;
            let newest = newest.map_err(|cause| LakeError::unavailable(self.log.table, cause))?;
            state.entries = state.version.saturating_sub(newest);
            if state.entries < 2 * every {
                return Ok(None);
            }
        }
        state.entries = 0;
        Ok(Some(LongLog(self.log.clone())))
    }

    /// Writes a checkpoint of the log if it has become [long](Self::long_log).
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn keep_log_short(&mut self) -> Result<(), LakeError> {
        match self.long_log().await? {
            Some(log) => log.shorten().await,
            None => Ok(()),
        }
    }

    /// Writes a checkpoint of the log at its newest version.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn checkpoint(&self) -> Result<(), LakeError> {
        LongLog(self.log.clone()).shorten().await
    }
}
