//! What can go wrong with a table, by what the caller does about it.

use std::fmt;

use schemas::{Offsets, Table};

use crate::EncodeError;

/// What a library said when it failed.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a table cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A person must look: the folder holds another table, or one of another release.
    #[error("table {}: column {column}: wanted {wanted}, found {found}", table.name())]
    Schema { table: Table, column: String, wanted: String, found: String },

    /// A person must look: with an expiry of transactions the offsets would be forgotten.
    #[error("table {}: wanted no delta.setTransactionRetentionDuration, found one", table.name())]
    OffsetsExpire { table: Table },

    /// The table was there and is not any more. It is never made anew while the program runs.
    #[error("table {} has disappeared", table.name())]
    Gone { table: Table },

    /// Storage failed or the log cannot be read. Trying again may help.
    #[error("table {} cannot be read", table.name())]
    Unavailable {
        table: Table,
        #[source]
        cause: Cause,
    },

    /// Stop, and start again: a sync failed, so what the disk holds is not known, and asking this process's
    /// storage once more would not tell.
    #[error("table {} cannot be written: wanted what was written to be on the disk, found that it may not be", table.name())]
    Unsynced {
        table: Table,
        #[source]
        cause: Cause,
    },

    /// The storage's options are wrong or incomplete. Trying again does not help.
    #[error("storage at {location} cannot be used with these options")]
    Options {
        location: String,
        #[source]
        cause: Cause,
    },
}

impl LakeError {
    pub(crate) fn unavailable(table: Table, cause: impl Into<Cause>) -> Self {
        Self::Unavailable { table, cause: cause.into() }
    }
}

/// Why rows did not reach a table.
///
/// One variant for each thing the caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another worker has moved the table on: drop the rows and read again from `offsets`.
    #[error("another worker has moved the table on")]
    Superseded { offsets: Offsets },

    /// Storage failed, is full or cannot be reached: the table is as it was. Keep the rows and try
    /// again later, or stop.
    #[error("table {} cannot be written", table.name())]
    Unavailable {
        table: Table,
        #[source]
        cause: Cause,
    },

    /// Stop: a person must look.
    #[error(transparent)]
    Table(LakeError),

    /// The rows do not fit the table: a bug of ours.
    #[error(transparent)]
    Rows(#[from] EncodeError),
}

impl CommitError {
    pub(crate) fn unavailable(table: Table, cause: impl Into<Cause>) -> Self {
        Self::Unavailable { table, cause: cause.into() }
    }
}

impl From<LakeError> for CommitError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Unavailable { table, cause } => Self::Unavailable { table, cause },
            other @ (LakeError::Schema { .. }
            | LakeError::OffsetsExpire { .. }
            | LakeError::Gone { .. }
            | LakeError::Unsynced { .. }
            | LakeError::Options { .. }) => Self::Table(other),
        }
    }
}

/// A sync that failed, now or before.
#[derive(Debug, thiserror::Error)]
#[error("the disk failed to sync; start again")]
pub(crate) struct SyncFailed(#[source] pub(crate) std::io::Error);

/// Whether a sync failed somewhere below `cause`.
pub(crate) fn is_unsynced(cause: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(cause), |error| error.source())
        .any(<dyn std::error::Error>::is::<SyncFailed>)
}

/// A cause that is only a text.
#[derive(Debug)]
pub(crate) struct Reason(pub(crate) String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}
