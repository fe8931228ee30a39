//! [`TableHandle`]: the one place that writes rows.
//!
//! Invariant (E2): rows and the marks of how far they go are one entry of the Delta log, and the
//! entry is written only if absent, as the version right after the one whose marks were checked.
//! So it does not matter what happened before: a lost partition, a zombie, a crash, an answer that
//! never came. Whatever the storage says, the table's marks decide what is true.

mod entry;
mod shortening;

use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::Error as StoreError;
use schemas::{Offsets, Table, Timestamp};

pub(crate) use self::entry::{ENGINE, Told, add_of, entry_of, folder_of};
pub use self::shortening::LongLog;
use crate::advance::{Advance, Verdict};
use crate::encode::{EncodedFile, Form};
use crate::error::is_unsynced;
use crate::log::{Backing, Entry, State, TableLog, Version, up_to_newest};
use crate::rows::edges_of;
use crate::{CommitError, EncodeError, LakeError, rows_from, schema};

/// How often a commit is tried after storage failed. With the pauses below: about a second.
const RETRIES: u32 = 3;

/// The pause before the first retry; each further one is four times as long.
const PAUSE: Duration = Duration::from_millis(50);

/// Where a commit landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    pub version: Version,
    /// Whether the storage said that it wrote the entry of this version for us. Otherwise the commit was found
    /// in the log, and may have landed with an earlier entry.
    pub is_told: bool,
}

/// A table, at the newest version this handle has seen.
#[derive(Debug)]
pub struct TableHandle {
    log: TableLog,
    /// `None` until the table is made, at the first commit.
    state: Option<State>,
    /// The table's own id, in its metadata; `None` until it is made.
    id: Option<String>,
    /// Whether it lacks columns of ours.
    is_narrow: bool,
    /// Entries that it was behind when it last looked: where others commit too, it will be so again.
    passed: usize,
    /// The files of the newest entry with rows among those that were passed, or written.
    newest_files: Vec<String>,
    nothing: Offsets,
}

/// A commit under way.
struct Pending<'a> {
    files: &'a [EncodedFile],
    advance: &'a Advance,
    now: Timestamp,
    /// Whether the files are in the storage.
    is_stored: bool,
    /// Whether the table may stand at the end of the advance already: another worker's entry may move
    /// it over the very same range while ours is under way, and then that worker has won.
    may_be_landed: bool,
    /// Whether an entry with these files was seen in the log.
    is_seen: bool,
}

impl TableHandle {
    pub(crate) async fn open(log: TableLog) -> Result<Self, LakeError> {
        let state = log.newest().await?;
        let found = match &state {
            Some(state) => Some(schema::check(&log, state.version).await?),
            None => None,
        };
        let is_narrow = found.as_ref().is_some_and(|found| found.is_narrow);
        let id = found.map(|found| found.id);
        let (passed, newest_files, nothing) = (0, Vec::new(), Offsets::default());
        Ok(Self { log, state, id, is_narrow, passed, newest_files, nothing })
    }

    pub fn table(&self) -> Table {
        self.log.table
    }

    /// What the table's files are.
    pub fn form(&self) -> Form {
        match self.log.backing() {
            Backing::Stored(_) => Form::Parquet,
            #[cfg(any(test, feature = "faults"))]
            Backing::Modelled(_) => Form::Rows,
        }
    }

    /// Whether it is a simulation's model of a table, which is never of an earlier release.
    pub(crate) fn is_modelled(&self) -> bool {
        self.form() != Form::Parquet
    }

    /// The next offset of each partition, of the version this handle stands on.
    pub fn offsets(&self) -> &Offsets {
        self.state.as_ref().map_or(&self.nothing, |state| &state.recorded.offsets)
    }

    /// The next number of a table that numbers its own rows.
    pub fn sequence(&self) -> i64 {
        self.state.as_ref().and_then(|state| state.recorded.sequence).unwrap_or(0)
    }

    /// The id that the table was given when it was made: no other table has it.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The files of the newest entry with rows that this handle has passed or written; none if it has not
    /// seen such a one.
    pub(crate) fn newest_files(&self) -> &[String] {
        &self.newest_files
    }

    /// The version it stands on; `None` until the table is made.
    pub fn version(&self) -> Option<Version> {
        self.state.as_ref().map(|state| state.version)
    }

    /// Sorts and writes `rows` and moves the table over `advance`, in one commit. No rows is fine:
    /// then only the marks move.
    ///
    /// Cancel safety: dropping this future may leave a file that no version names, or a commit that
    /// lands; the next call finds out.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. Nothing of `rows` is in the table then.
    pub async fn append(
        &mut self,
        rows: Vec<RecordBatch>,
        advance: &Advance,
        now: Timestamp,
    ) -> Result<Version, CommitError> {
        let files = self.encoded(rows, advance).await?;
        self.commit(&files, advance, now).await.map(|landed| landed.version)
    }

    /// As [`append`](Self::append), for a table that may be ahead of the offsets the worker started
    /// from (E4): what the table has already is left out. `Ok(None)` if it has everything.
    ///
    /// Rows must lie within `advance`; they are looked at only if a part of it is cut off, and then
    /// they must say their place ([`rows_from`]).
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    pub async fn append_rest(
        &mut self,
        rows: Vec<RecordBatch>,
        advance: &Advance,
        now: Timestamp,
    ) -> Result<Option<Version>, CommitError> {
        let (rows, rest) = self.rest_of(rows, advance)?;
        if rest.is_empty() {
            return Ok(None);
        }
        self.append(rows, &rest, now).await.map(Some)
    }

    /// Appends `edges`, which are those of `events` (see [`Form::encode_events`]). If the
    /// table has counted some of the events already (E4), only those of the others. `Ok(None)` if there
    /// is nothing to add.
    ///
    /// # Errors
    ///
    /// [`CommitError`].
    pub async fn append_edges(
        &mut self,
        edges: &RecordBatch,
        events: &[RecordBatch],
        advance: &Advance,
        now: Timestamp,
    ) -> Result<Option<Version>, CommitError> {
        assert_eq!(self.table(), Table::CounterpartyEdges, "edges go to their own table");
        let (events, rest) = self.rest_of(events.to_vec(), advance)?;
        let edges = if rest == *advance { edges.clone() } else { edges_of(&events) };
        if edges.num_rows() == 0 {
            return Ok(None);
        }
        self.append(vec![edges], &rest, now).await.map(Some)
    }

    /// What of `rows` and `advance` the table does not have.
    fn rest_of(
        &self,
        rows: Vec<RecordBatch>,
        advance: &Advance,
    ) -> Result<(Vec<RecordBatch>, Advance), EncodeError> {
        let rest = advance.after(self.offsets());
        let rows = if rest == *advance {
            rows
        } else {
            let cut = rows.iter().map(|rows| rows_from(rows, self.offsets()));
            cut.collect::<Result<_, _>>()?
        };
        let is_covered = !rest.is_empty() || rows.iter().all(|rows| rows.num_rows() == 0);
        assert!(is_covered, "rows lie within the offsets that they are committed with");
        Ok((rows, rest))
    }

    async fn encoded(
        &self,
        rows: Vec<RecordBatch>,
        advance: &Advance,
    ) -> Result<Vec<EncodedFile>, CommitError> {
        let (form, table, advance) = (self.form(), self.table(), advance.clone());
        #[cfg(any(test, feature = "faults"))]
        if form == Form::Rows {
            return Ok(form.encode(table, &rows, &advance)?);
        }
        let task = tokio::task::spawn_blocking(move || form.encode(table, &rows, &advance));
        match task.await {
            Ok(files) => Ok(files?),
            Err(stopped) => Err(CommitError::unavailable(table, stopped)),
        }
    }

    /// Stores `files` and moves the table over `advance`, in one commit. If this handle stands at
    /// the end of `advance` already, nothing happens.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. Nothing of `files` is in the table then, but for one case: if storage took
    /// the commit, did not say so and cannot be read either, it is `Unavailable`; the next call with
    /// the same `advance` finds it.
    pub async fn commit(
        &mut self,
        files: &[EncodedFile],
        advance: &Advance,
        now: Timestamp,
    ) -> Result<Landed, CommitError> {
        self.commit_after(std::future::ready(Ok(())), files, advance, now).await
    }

    /// As [`commit`](Self::commit), of an entry that must not be in the log before `others` are done: it is
    /// written when they are, and not at all if they fail. What nobody can see, a look at the log and the files
    /// without an entry, comes beside them.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit); or the error of `others`.
    pub async fn commit_after(
        &mut self,
        others: impl Future<Output = Result<(), CommitError>>,
        files: &[EncodedFile],
        advance: &Advance,
        now: Timestamp,
    ) -> Result<Landed, CommitError> {
        let verdict = self.state.as_ref().map(|state| advance.verdict(&state.recorded));
        let may_be_landed = files.is_empty() || verdict == Some(Verdict::Duplicate);
        let mut pending =
            Pending { files, advance, now, is_stored: false, may_be_landed, is_seen: false };
        let (mut prepared, others) = tokio::join!(self.prepare(&mut pending), others);
        others?;
        let mut failures = 0;
        loop {
            let outcome = match prepared {
                Ok(()) => self.attempt(&mut pending).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(CommitError::Unavailable { table, cause }) if is_unsynced(&*cause) => {
                    return Err(LakeError::Unsynced { table, cause }.into());
                }
                Err(CommitError::Unavailable { .. }) if failures < RETRIES => {
                    tokio::time::sleep(PAUSE * 4_u32.pow(failures)).await;
                    failures += 1;
                }
                outcome => return outcome,
            }
            prepared = self.prepare(&mut pending).await;
        }
    }

    /// Moves to the newest version, of a table that is made if nobody has made it yet. If the commit seems to be
    /// the next thing, its files are stored at the same time: whether it is, is decided by what was read, and
    /// files without an entry are seen by nobody.
    async fn prepare(&mut self, pending: &mut Pending<'_>) -> Result<(), CommitError> {
        let verdict = self.state.as_ref().map(|state| pending.advance.verdict(&state.recorded));
        let is_next = verdict == Some(Verdict::Next) && !self.is_narrow && !pending.is_stored;
        if !is_next {
            self.follow_for(pending).await?;
            if self.state.is_none() {
                self.state = Some(self.make().await?);
            }
            return Ok(());
        }
        let (log, files) = (self.log.clone(), pending.files);
        let (followed, stored) = tokio::join!(self.follow_for(pending), store(&log, files));
        followed?;
        stored?;
        pending.is_stored = true;
        Ok(())
    }

    /// One try to commit, after a look at the log. Every failure to write the entry ends in the same question:
    /// where does the table stand now? (The decision table is at [`Advance`].)
    async fn attempt(&mut self, pending: &mut Pending<'_>) -> Result<Landed, CommitError> {
        let table = self.table();
        let found = |version| Landed { version, is_told: false };
        loop {
            let state = self.state.as_mut().expect("a table that is not there is made before");
            if let Some(version) = pending.decide(state)? {
                return Ok(found(version));
            }
            if self.is_narrow {
                self.widen(pending).await?;
                continue;
            }
            if !pending.is_stored {
                store(&self.log, pending.files).await?;
                pending.is_stored = true;
            }
            let next = state.version + 1;
            let Err(cause) = self.log.put_entry(next, pending.entry(table)).await else {
                crate::crash_point!("landed", table.name());
                state.note(next, pending.advance.transactions());
                self.newest_files = pending.files.iter().map(|file| file.path.clone()).collect();
                return Ok(Landed { version: next, is_told: true });
            };
            let is_taken =
                matches!(cause, StoreError::AlreadyExists { .. } | StoreError::Precondition { .. });
            self.follow_for(pending).await?;
            let state = self.state.as_ref().expect("a handle that follows does not forget");
            if let Some(version) = pending.decide(state)? {
                return Ok(found(version));
            }
            if !is_taken || state.version < next {
                return Err(CommitError::unavailable(table, cause));
            }
        }
    }

    /// Gives the table the columns that an earlier release did not know, if nobody was quicker.
    async fn widen(&mut self, pending: &mut Pending<'_>) -> Result<(), CommitError> {
        let state = self.state.as_ref().expect("a table that lacks columns is there");
        let entry = schema::widening(&self.log, state.version, pending.now).await?;
        let put = self.log.put_entry(state.version + 1, entry).await;
        self.follow_for(pending).await?;
        match put {
            Err(cause) if self.is_narrow => Err(CommitError::unavailable(self.table(), cause)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn follow_for(&mut self, pending: &mut Pending<'_>) -> Result<(), LakeError> {
        let ours = pending.files.first().map(|file| file.path.as_str());
        let mut is_seen = pending.is_seen;
        let sees = |entry: &Entry| {
            is_seen |= ours.is_some_and(|ours| entry.added.iter().any(|path| path == ours));
        };
        let followed = self.follow_each(sees).await;
        pending.is_seen = is_seen;
        followed
    }

    /// Moves this handle to the newest version.
    ///
    /// # Errors
    ///
    /// [`LakeError::Gone`] if the table was there and is not any more.
    pub async fn follow(&mut self) -> Result<(), LakeError> {
        self.follow_each(|_| {}).await
    }

    /// As [`follow`](Self::follow); `sees` is shown each entry that is passed.
    async fn follow_each(&mut self, mut sees: impl FnMut(&Entry)) -> Result<(), LakeError> {
        let table = self.table();
        let Some(state) = &mut self.state else {
            *self = Self::open(self.log.clone()).await?;
            return Ok(());
        };
        let log = &self.log;
        let next = up_to_newest(state.version + 1, self.passed, |version| log.entry(version));
        let (is_there, found) = tokio::join!(log.has_entry(state.version), next);
        if !is_there.map_err(|cause| LakeError::unavailable(table, cause))? {
            // Either old entries were cleaned up behind a checkpoint, or all is lost.
            return match self.log.newest().await? {
                Some(newest) if state.version <= newest.version => {
                    self.is_narrow = schema::check(&self.log, newest.version).await?.is_narrow;
                    *state = newest;
                    self.newest_files.clear();
                    Ok(())
                }
                Some(_) | None => Err(LakeError::Gone { table }),
            };
        }
        let found = found.map_err(|cause| LakeError::unavailable(table, cause))?;
        self.passed = found.len();
        for entry in found {
            let next = state.version + 1;
            if entry.changes_table {
                self.is_narrow = schema::check(&self.log, next).await?.is_narrow;
            }
            sees(&entry);
            if entry.advance.is_some() {
                self.newest_files = entry.added;
            }
            state.note(next, entry.transactions);
        }
        Ok(())
    }

    /// Makes the table if it is not made yet.
    pub(crate) async fn make_if_absent(&mut self) -> Result<(), LakeError> {
        if self.state.is_none() {
            self.follow().await?;
        }
        if self.state.is_none() {
            self.state = Some(self.make().await?);
        }
        Ok(())
    }

    /// Makes the table, or takes the one that another worker made in the meantime.
    async fn make(&mut self) -> Result<State, LakeError> {
        let error = match schema::make(&self.log).await {
            Ok(id) => {
                (self.id, self.is_narrow) = (Some(id), false);
                return Ok(State::of_new());
            }
            Err(error) => error,
        };
        let Some(state) = self.log.newest().await? else { return Err(error) };
        let found = schema::check(&self.log, state.version).await?;
        (self.id, self.is_narrow) = (Some(found.id), found.is_narrow);
        Ok(state)
    }
}

/// Stores the files of a commit, which no entry names yet.
async fn store(log: &TableLog, files: &[EncodedFile]) -> Result<(), CommitError> {
    crate::crash_point!("encoded", log.table.name());
    let stored = log.put_files(files).await;
    stored.map_err(|cause| CommitError::unavailable(log.table, cause))?;
    crate::crash_point!("stored", log.table.name());
    Ok(())
}

impl Pending<'_> {
    /// The version if it is in the table already, `None` if it is the next thing to commit.
    fn decide(&self, state: &State) -> Result<Option<Version>, CommitError> {
        if self.is_seen {
            return Ok(Some(state.version));
        }
        match self.advance.verdict(&state.recorded) {
            Verdict::Next => Ok(None),
            Verdict::Duplicate if self.may_be_landed => Ok(Some(state.version)),
            Verdict::Duplicate | Verdict::Superseded => {
                Err(CommitError::Superseded { offsets: state.recorded.offsets.clone() })
            }
        }
    }

    fn entry(&self, table: Table) -> Bytes {
        let Self { files, advance, now, .. } = *self;
        entry_of(table, &Told { files, advance, now, engine: ENGINE })
    }
}

#[cfg(test)]
mod tests;
