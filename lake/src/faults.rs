//! For tests, behind the feature `faults`: a storage in memory of which a test decides what becomes of
//! each operation, and the points at which a process can be made to end ([`crash_point!`]).
//!
//! Invariant: nothing here is part of a build without the feature, and what a test decides is all that
//! goes wrong: an operation that is [`Fate::Done`] does what the storage in memory does.
//!
//! A [`Memory`] holds files, as an object store does, or is a model of a lake (`model.rs`): one that a
//! thousand simulations can afford.
//!
//! [`crash_point!`]: crate::crash_point

mod model;
mod seals;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::ThreadId;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::logical_expr::lit;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use schemas::Table;

use self::model::Tables;
pub(crate) use self::model::{Model, bytes_of, filtered, sorted};
pub use self::seals::flaws;
use crate::{Lake, LakeError, Location};

/// What an operation of a storage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks whether a file is there.
    Look,
    Read,
    List,
    /// Writes a file, whether it is there or not.
    Write,
    /// Writes a file that must not be there: an entry of a log.
    Create,
}

/// One operation, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    pub kind: Kind,
    pub path: &'a str,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// It is not done, and the answer is an error.
    Failed,
    /// It is done, and the answer is an error.
    AnswerLost,
    /// It is done, tried again by the storage's client, and found done: the answer is that the file is
    /// there already.
    TriedTwice,
    /// The process ends before it is done: there is no answer.
    EndedBefore,
    /// The process ends when it is done: there is no answer.
    EndedAfter,
}

/// Decides what becomes of an operation, and how long it takes before it is done.
pub type Decide = Arc<dyn Fn(Operation<'_>) -> (Duration, Fate) + Send + Sync>;

/// A storage in memory. A clone is the same storage.
#[derive(Clone, Debug)]
pub struct Memory(Content);

#[derive(Clone, Debug)]
enum Content {
    Files(Arc<InMemory>),
    Model(Tables),
}

impl Default for Memory {
    fn default() -> Self {
        Self(Content::Files(Arc::default()))
    }
}

impl Memory {
    /// No files, but what a lake's files mean: see `model.rs`.
    pub fn modelled() -> Self {
        Self(Content::Model(Tables::default()))
    }

    pub fn is_modelled(&self) -> bool {
        matches!(self.0, Content::Model(_))
    }

    /// The lake in this storage, as a process sees it whose operations `decide` decides.
    ///
    /// Operations of the calling thread wait by tokio's clock; those of other threads, which have
    /// another one, do not wait.
    pub fn lake(&self, decide: Decide) -> Lake {
        let location = Location::parse("memory:///lake").expect("it is a location");
        let fates = Fates { decide, home: std::thread::current().id() };
        match &self.0 {
            Content::Files(files) => {
                Lake::over(&location, Arc::new(Fated { memory: Arc::clone(files), fates }))
            }
            Content::Model(tables) => Lake::modelled(&location, Model::new(tables.clone(), fates)),
        }
    }
}

/// Where the process ends, as `SURETY_CRASH_AT` says it: `events.landed`, or `events.landed:3` for the third
/// time that it comes there.
static CRASH_AT: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "no production build reads it")]
    let told = std::env::var("SURETY_CRASH_AT").ok()?;
    match told.split_once(':') {
        Some((name, nth)) => Some((name.to_owned(), nth.parse().ok()?)),
        None => Some((told, 1)),
    }
});

/// Ends the process if this is where it is told to: no destructor runs, nothing is flushed.
pub fn pass(name: &str, of: &str) {
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((wanted, nth)) = &*CRASH_AT else { return };
    let is_here = wanted.split_once('.') == Some((of, name));
    if is_here && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth {
        std::process::abort();
    }
}

/// All rows of a table, with its columns.
///
/// # Errors
///
/// [`LakeError`].
pub async fn rows(lake: &Lake, table: Table) -> std::result::Result<Vec<RecordBatch>, LakeError> {
    lake.read(table, lit(true)).await
}

/// Makes every table.
///
/// # Errors
///
/// [`LakeError`].
pub async fn make_tables(lake: &Lake) -> std::result::Result<(), LakeError> {
    for table in Table::ALL {
        lake.table(*table).await?.make_if_absent().await?;
    }
    Ok(())
}

/// What becomes of the operations of one process.
#[derive(Clone)]
struct Fates {
    decide: Decide,
    home: ThreadId,
}

struct Fated {
    memory: Arc<InMemory>,
    fates: Fates,
}

fn lost() -> Error {
    Error::Generic { store: "fated", source: "connection reset".into() }
}

impl Fates {
    /// Waits for the operation's turn. The fate of one that is to be done, the error of one that is not.
    async fn turn(&self, kind: Kind, path: &str) -> Result<Fate> {
        let (wait, fate) = (self.decide)(Operation { kind, path });
        let is_home = self.is_home();
        if is_home && !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        match fate {
            Fate::Failed => Err(lost()),
            Fate::EndedBefore => ended(is_home).await,
            Fate::Done | Fate::AnswerLost | Fate::TriedTwice | Fate::EndedAfter => Ok(fate),
        }
    }

    /// As [`turn`](Self::turn), for an operation that changes nothing.
    async fn turn_to_read(&self, kind: Kind, path: &str) -> Result<()> {
        match self.turn(kind, path).await? {
            Fate::AnswerLost | Fate::TriedTwice => Err(lost()),
            Fate::EndedAfter => ended(self.is_home()).await,
            Fate::Done | Fate::Failed | Fate::EndedBefore => Ok(()),
        }
    }

    /// What is answered to one who wrote, and was told `put`.
    async fn answer<T>(&self, fate: Fate, kind: Kind, path: &str, put: T) -> Result<T> {
        match fate {
            Fate::AnswerLost => Err(lost()),
            Fate::TriedTwice if kind == Kind::Create => {
                Err(Error::AlreadyExists { path: path.to_owned(), source: "tried twice".into() })
            }
            Fate::EndedAfter => ended(self.is_home()).await,
            Fate::Done | Fate::TriedTwice | Fate::Failed | Fate::EndedBefore => Ok(put),
        }
    }

    fn is_home(&self) -> bool {
        std::thread::current().id() == self.home
    }
}

impl fmt::Debug for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fates")
    }
}

/// No answer comes. A thread of a library is told an error instead, or it would never end.
async fn ended<T>(is_home: bool) -> Result<T> {
    if is_home { std::future::pending().await } else { Err(lost()) }
}

#[async_trait]
impl ObjectStore for Fated {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_create = matches!(options.mode, PutMode::Create);
        let kind = if is_create { Kind::Create } else { Kind::Write };
        let fate = self.fates.turn(kind, location.as_ref()).await?;
        let put = self.memory.put_opts(location, payload, options).await?;
        self.fates.answer(fate, kind, location.as_ref(), put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.fates.turn(Kind::Write, location.as_ref()).await?;
        self.memory.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let kind = if options.head { Kind::Look } else { Kind::Read };
        self.fates.turn_to_read(kind, location.as_ref()).await?;
        self.memory.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.memory.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (memory, prefix) = (Arc::clone(&self.memory), prefix.cloned());
        let fates = self.fates.clone();
        let listed = async move {
            let path = prefix.as_ref().map_or("", AsRef::as_ref);
            fates.turn_to_read(Kind::List, path).await?;
            Ok::<_, Error>(memory.list(prefix.as_ref()))
        };
        listed.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.fates.turn_to_read(Kind::List, prefix.map_or("", AsRef::as_ref)).await?;
        self.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.fates.turn(Kind::Write, to.as_ref()).await?;
        self.memory.copy_opts(from, to, options).await
    }
}

impl fmt::Debug for Fated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fated")
    }
}

impl fmt::Display for Fated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fated")
    }
}
