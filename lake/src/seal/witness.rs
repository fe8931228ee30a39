//! [`Witness`]: a place outside the lake that keeps its heads.
//!
//! Invariant: a head that is there is never written over: each has a name of its own and is put only if
//! absent. So whoever rewrites a lake's history cannot make its witness forget, as long as that one is
//! out of their reach: another disk, another account's bucket.
//!
//! A folder is never made: a disk that is not mounted must not look like an empty witness.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode};

use super::{Seal, note};
use crate::{Cause, LakeError, Location, StoreOptions};

/// Heads read ahead.
const AHEAD: usize = 8;

/// A place outside the lake that keeps its heads.
#[derive(Clone)]
pub struct Witness {
    name: String,
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// Why a head is not with the witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A person must look: the lake's history, or the witness, is another.
    #[error("the witness {witness} keeps another seal {sequence} of this lake")]
    Differs { witness: String, sequence: i64 },

    /// The witness cannot be reached. Trying again may help.
    #[error("the witness {witness} cannot be reached")]
    Unavailable {
        witness: String,
        #[source]
        cause: Cause,
    },
}

impl Witness {
    /// A folder or a prefix of a bucket as a witness; nothing is read or made yet.
    ///
    /// # Errors
    ///
    /// [`LakeError::Options`] if the storage cannot be used with these options.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self, LakeError> {
        Ok(Self::over(location, location.store(options)?))
    }

    /// As [`Lake::over`](crate::Lake::over).
    pub fn over(location: &Location, root: Arc<dyn ObjectStore>) -> Self {
        let folder = Path::from_url_path(location.url().path()).expect("a location's path");
        Self { name: location.to_string(), store: root, folder }
    }

    /// Keeps the head of a lake. Doing it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`WitnessError`].
    pub async fn keep(&self, head: &str) -> Result<(), WitnessError> {
        let seal = note::text_of(head).and_then(Seal::parse);
        let seal = seal.map_err(|error| self.unavailable(error))?;
        let path = self.folder.clone().join(format!("{}-{:020}.note", seal.lake, seal.sequence));
        let put = self.store.put_opts(&path, head.to_owned().into(), PutMode::Create.into());
        match put.await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                let kept = self.read(&path).await?;
                if kept == head.as_bytes() {
                    return Ok(());
                }
                let witness = self.name.clone();
                Err(WitnessError::Differs { witness, sequence: seal.sequence })
            }
            Err(error) => Err(self.unavailable(error)),
        }
    }

    /// What the witness keeps, of whatever lake: the notes as they are.
    ///
    /// # Errors
    ///
    /// [`WitnessError::Unavailable`].
    pub async fn heads(&self) -> Result<Vec<String>, WitnessError> {
        let files = self.store.list_with_delimiter(Some(&self.folder)).await;
        let files = files.map_err(|error| self.unavailable(error))?.objects;
        let paths = files.into_iter().map(|file| file.location);
        let notes = paths.filter(|path| path.extension() == Some("note"));
        let notes = futures::stream::iter(notes.collect::<Vec<_>>())
            .map(|path| async move { self.read(&path).await })
            .buffered(AHEAD);
        let read = notes.map_ok(|note| String::from_utf8_lossy(&note).into_owned());
        read.try_collect().await
    }

    async fn read(&self, path: &Path) -> Result<bytes::Bytes, WitnessError> {
        let found = async { self.store.get(path).await?.bytes().await };
        found.await.map_err(|error| self.unavailable(error))
    }

    fn unavailable(&self, cause: impl Into<Cause>) -> WitnessError {
        WitnessError::Unavailable { witness: self.name.clone(), cause: cause.into() }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("name", &self.name).finish_non_exhaustive()
    }
}
