//! [`Outbox`]: the durable queue of webhooks, in one redb file.
//!
//! Invariant: `enqueued = pending + delivered + dead`; `outbox/tables.rs` says how. Every change is
//! one transaction that is on disk when the call returns. A message that was ever enqueued is not
//! enqueued again (until a week after it was delivered).
//! Invariant: attempts are numbered without a gap, and a number once given is never given again.
//!
//! One transaction costs one flush of the disk, so both enqueueing and recording take slices.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use schemas::Timestamp;
use tokio::sync::Notify;

use super::schedule::Next;
use super::{Attempt, Failure, Message};
use tables::{
    ATTEMPTS, BODIES, COUNTERS, DEAD, DELIVERED_TOTAL, DISABLED, ENQUEUED, HISTORY, NOT_PENDING,
    Name, PENDING, QUEUE, STANDINGS, Tables, counter, decode,
};

mod tables;

/// Memory for pages; a long backlog stays on disk.
const CACHE_BYTES: usize = 64 << 20;

/// Messages to be delivered, and what became of them.
pub struct Outbox {
    database: Database,
    changed: Notify,
}

/// How many messages there are. `enqueued = pending + delivered + dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub enqueued: u64,
    pub pending: u64,
    pub delivered: u64,
    pub dead: u64,
}

/// What one endpoint has waiting, and what did not reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub endpoint: String,
    pub pending: u64,
    pub dead: u64,
    /// When it answered 410; it gets nothing since.
    pub disabled_at: Option<Timestamp>,
}

/// A message that will not be tried again unless somebody replays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub message: Message,
    pub died_at: Timestamp,
    /// In order of recording.
    pub attempts: Vec<Attempt>,
}

/// Why the outbox could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another process delivers from this file.
    #[error("the outbox is open in another process")]
    InUse,
    /// Stop: what was not written is not promised.
    #[error("the outbox could not be read or written")]
    Storage(#[source] Box<redb::Error>),
    /// Stop: a person must look.
    #[error("the outbox is inconsistent: {0}")]
    Corrupt(&'static str),
}

macro_rules! storage_errors {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for OutboxError {
            fn from(error: redb::$error) -> Self {
                match error.into() {
                    redb::Error::DatabaseAlreadyOpen => Self::InUse,
                    other => Self::Storage(Box::new(other)),
                }
            }
        })+
    };
}
storage_errors!(CommitError, DatabaseError, StorageError, TableError, TransactionError);

/// What [`Outbox::due`] found for one endpoint.
pub(super) struct Due {
    /// Oldest first.
    pub(super) messages: Vec<Pending>,
    /// When to look again: `now` or before if the limit cut the list, `None` if nothing waits.
    pub(super) look_at: Option<Timestamp>,
    pub(super) is_disabled: bool,
}

/// A message to be tried.
pub(super) struct Pending {
    pub(super) message: Message,
    /// Before this one.
    pub(super) tries: u8,
}

/// An attempt that ended, and what follows from it.
pub(super) struct Tried {
    pub(super) message_time: Timestamp,
    pub(super) webhook_id: String,
    pub(super) endpoint: String,
    pub(super) number: u8,
    pub(super) at: Timestamp,
    pub(super) duration: Duration,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<Failure>,
    pub(super) next: Next,
}

impl Tried {
    fn numbered(&self, sequence: u64) -> Attempt {
        Attempt {
            sequence,
            webhook_id: self.webhook_id.clone(),
            endpoint: self.endpoint.clone(),
            message_time: self.message_time,
            attempt_number: self.number,
            at: self.at,
            duration: self.duration,
            outcome: self.next.outcome(),
            status: self.status,
            failure: self.failure,
        }
    }
}

impl Outbox {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// [`OutboxError::InUse`] if another process has it open.
    pub fn open(path: &Path) -> Result<Self, OutboxError> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let transaction = database.begin_write()?;
        Tables::open(&transaction)?;
        transaction.commit()?;
        Ok(Self { database, changed: Notify::new() })
    }

    /// Takes messages for delivery at once, all in one durable transaction, and returns how many
    /// are new. One that was enqueued before, whatever became of it, is skipped.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; then none of them was taken.
    pub fn enqueue(&self, messages: &[Message], now: Timestamp) -> Result<usize, OutboxError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let transaction = self.database.begin_write()?;
        let mut new = 0;
        {
            let mut tables = Tables::open(&transaction)?;
            for message in messages {
                new += usize::from(tables.enqueue(message, now)?);
            }
        }
        transaction.commit()?;
        self.changed.notify_one();
        Ok(new)
    }

    /// How many messages there are, of all endpoints.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn counts(&self) -> Result<Counts, OutboxError> {
        let read = self.database.begin_read()?;
        let counters = read.open_table(COUNTERS)?;
        Ok(Counts {
            enqueued: counter(&counters, ENQUEUED)?,
            pending: read.open_table(PENDING)?.len()?,
            delivered: counter(&counters, DELIVERED_TOTAL)?,
            dead: read.open_table(DEAD)?.len()?,
        })
    }

    /// The recorded attempts with `sequence` or a greater one, at most `limit`, in order.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn attempts_from(&self, sequence: u64, limit: usize) -> Result<Vec<Attempt>, OutboxError> {
        let read = self.database.begin_read()?;
        let attempts = read.open_table(ATTEMPTS)?;
        let found = attempts.range(sequence..)?.take(limit);
        found.map(|entry| decode(entry?.1.value())).collect()
    }

    /// Whether an attempt with `sequence` or a greater one is recorded: a look at one page.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn has_attempts_from(&self, sequence: u64) -> Result<bool, OutboxError> {
        let last =
            self.database.begin_read()?.open_table(ATTEMPTS)?.last()?.map(|one| one.0.value());
        Ok(last.is_some_and(|last| sequence <= last))
    }

    /// Drops the attempts below `sequence`, once they are stored elsewhere. Dead letters keep theirs.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; then nothing was changed.
    pub fn forget_attempts_below(&self, sequence: u64) -> Result<(), OutboxError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(ATTEMPTS)?.retain_in(..sequence, |_, _| false)?;
        Ok(transaction.commit()?)
    }

    /// Every endpoint that ever had a message, by name.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn standings(&self) -> Result<Vec<Standing>, OutboxError> {
        let read = self.database.begin_read()?;
        let disabled = read.open_table(DISABLED)?;
        let mut standings = Vec::new();
        for entry in read.open_table(STANDINGS)?.iter()? {
            let (endpoint, counts) = entry?;
            let (endpoint, (pending, dead)) = (endpoint.value().to_owned(), counts.value());
            let disabled_at = disabled.get(endpoint.as_str())?.map(|at| timestamp(at.value()));
            standings.push(Standing {
                endpoint,
                pending,
                dead,
                disabled_at: disabled_at.transpose()?,
            });
        }
        Ok(standings)
    }

    /// When the oldest pending message of an endpoint was made. Reads all that are pending.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn oldest_pending(&self, endpoint: &str) -> Result<Option<Timestamp>, OutboxError> {
        let read = self.database.begin_read()?;
        let (pending, mut oldest) = (read.open_table(PENDING)?, None);
        for entry in queue_of(&read, endpoint)? {
            let webhook_id = entry?.1;
            let standing = pending.get((endpoint, webhook_id.value()))?;
            let (.., order) = standing.ok_or(OutboxError::Corrupt(NOT_PENDING))?.value();
            if oldest.as_ref().is_none_or(|(least, _)| order < *least) {
                oldest = Some((order, webhook_id.value().to_owned()));
            }
        }
        let Some((_, webhook_id)) = oldest else { return Ok(None) };
        Ok(Some(message(&read.open_table(BODIES)?, endpoint, &webhook_id)?.time()))
    }

    /// At most `limit` dead letters, of one endpoint or of all, by endpoint and webhook id.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] if the file cannot be read.
    pub fn dead_letters(
        &self,
        endpoint: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, OutboxError> {
        let read = self.database.begin_read()?;
        let (bodies, history) = (read.open_table(BODIES)?, read.open_table(HISTORY)?);
        let mut letters = Vec::new();
        for entry in read.open_table(DEAD)?.range((endpoint.unwrap_or_default(), "")..)?.take(limit)
        {
            let (name, dead) = entry?;
            let (of, webhook_id) = name.value();
            if endpoint.is_some_and(|wanted| wanted != of) {
                break;
            }
            let of_message = (of, webhook_id, 0)..=(of, webhook_id, u64::MAX);
            let attempts = history.range(of_message)?.map(|entry| decode(entry?.1.value()));
            letters.push(DeadLetter {
                message: message(&bodies, of, webhook_id)?,
                died_at: timestamp(dead.value().0)?,
                attempts: attempts.collect::<Result<_, _>>()?,
            });
        }
        Ok(letters)
    }

    /// Makes the dead letters for whose endpoint and webhook id `is_wanted` holds pending again, due
    /// now, with all their tries and the same webhook id. Returns which they were.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; then nothing was changed.
    pub fn replay(
        &self,
        is_wanted: impl Fn(&str, &str) -> bool,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, OutboxError> {
        let transaction = self.database.begin_write()?;
        let replayed = Tables::open(&transaction)?.replay(is_wanted, now)?;
        transaction.commit()?;
        self.changed.notify_one();
        Ok(replayed)
    }

    /// Lets an endpoint that answered 410 have webhooks again. Its dead letters stay dead. Returns
    /// whether it was disabled.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; then nothing was changed.
    pub fn enable(&self, endpoint: &str) -> Result<bool, OutboxError> {
        let transaction = self.database.begin_write()?;
        let was_disabled = transaction.open_table(DISABLED)?.remove(endpoint)?.is_some();
        transaction.commit()?;
        self.changed.notify_one();
        Ok(was_disabled)
    }

    /// Waits until something was enqueued, replayed or enabled since the last wait. For one waiter.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// At most `limit` messages for `endpoint` that are due, without those that are `claimed`.
    pub(super) fn due(
        &self,
        endpoint: &str,
        now: Timestamp,
        limit: usize,
        claimed: &BTreeSet<String>,
    ) -> Result<Due, OutboxError> {
        let read = self.database.begin_read()?;
        let is_disabled = read.open_table(DISABLED)?.get(endpoint)?.is_some();
        let mut due = Due { messages: Vec::new(), look_at: None, is_disabled };
        let (pending, bodies) = (read.open_table(PENDING)?, read.open_table(BODIES)?);
        for entry in queue_of(&read, endpoint)? {
            let (place, webhook_id) = entry?;
            let (webhook_id, due_at) = (webhook_id.value(), timestamp(place.value().1)?);
            if now < due_at || due.messages.len() == limit {
                due.look_at = Some(due_at);
                break;
            }
            if claimed.contains(webhook_id) {
                continue;
            }
            let standing = pending.get((endpoint, webhook_id))?;
            let (tries, ..) = standing.ok_or(OutboxError::Corrupt(NOT_PENDING))?.value();
            let message = message(&bodies, endpoint, webhook_id)?;
            due.messages.push(Pending { message, tries });
        }
        Ok(due)
    }

    /// Writes down what became of messages, all in one durable transaction.
    ///
    /// Each must be pending, which holds for what [`Outbox::due`] gave, since nothing else moves a
    /// pending message.
    pub(super) fn record(&self, tried: &[Tried]) -> Result<Vec<Attempt>, OutboxError> {
        let transaction = self.database.begin_write()?;
        let mut attempts = Vec::with_capacity(tried.len());
        {
            let mut tables = Tables::open(&transaction)?;
            for tried in tried {
                attempts.push(tables.record(tried)?);
            }
        }
        transaction.commit()?;
        Ok(attempts)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

fn queue_of(
    read: &ReadTransaction,
    endpoint: &str,
) -> Result<redb::Range<'static, (&'static str, i64, u64), &'static str>, OutboxError> {
    let all = (endpoint, 0, 0)..=(endpoint, i64::MAX, u64::MAX);
    Ok(read.open_table(QUEUE)?.range(all)?)
}

fn message(
    bodies: &impl ReadableTable<Name, (i64, &'static [u8])>,
    endpoint: &str,
    webhook_id: &str,
) -> Result<Message, OutboxError> {
    let stored = bodies.get((endpoint, webhook_id))?;
    let stored = stored.ok_or(OutboxError::Corrupt("a message without a body"))?;
    let (time_us, body) = stored.value();
    Message::new(webhook_id, endpoint, timestamp(time_us)?, body.to_vec())
        .map_err(|_| OutboxError::Corrupt("a stored message is out of bounds"))
}

fn timestamp(micros: i64) -> Result<Timestamp, OutboxError> {
    Timestamp::from_micros(micros).map_err(|_| OutboxError::Corrupt("a time is out of range"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Outcome;
    use super::super::schedule::{self, Answer};
    use super::tables::DELIVERED_KEPT;
    use super::*;

    const START: &str = "2026-03-01T09:30:00Z";

    fn start() -> Timestamp {
        Timestamp::parse(START).unwrap()
    }

    fn message(endpoint: &str, id: &str) -> Message {
        Message::new(id, endpoint, start(), format!("body of {id}").into_bytes()).unwrap()
    }

    fn tried(pending: &Pending, at: Timestamp, code: u16, next: Next) -> Tried {
        Tried {
            message_time: pending.message.time(),
            webhook_id: pending.message.webhook_id().to_owned(),
            endpoint: pending.message.endpoint().to_owned(),
            number: pending.tries + 1,
            at,
            duration: Duration::from_millis(3),
            status: Some(code),
            failure: None,
            next,
        }
    }

    fn due(outbox: &Outbox, endpoint: &str, now: Timestamp) -> Vec<Pending> {
        outbox.due(endpoint, now, 100, &BTreeSet::new()).unwrap().messages
    }

    fn ids(due: &[Pending]) -> Vec<&str> {
        due.iter().map(|pending| pending.message.webhook_id()).collect()
    }

    fn is_balanced(counts: Counts) -> bool {
        counts.enqueued == counts.pending + counts.delivered + counts.dead
    }

    #[test]
    fn a_message_is_taken_once_per_endpoint_whatever_became_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("outbox.redb");
        let all = ["a", "b", "c"].map(|id| message("siem", id));
        {
            let outbox = Outbox::open(&file).unwrap();
            assert_eq!(outbox.enqueue(&[all.as_slice(), &all].concat(), start()).unwrap(), 3);
            assert_eq!(outbox.enqueue(&[message("pager", "a")], start()).unwrap(), 1);
            let found = due(&outbox, "siem", start());
            let settled = [
                tried(&found[0], start(), 200, Next::Delivered),
                tried(&found[1], start(), 500, Next::Dead),
            ];
            outbox.record(&settled).unwrap();
        }

        let outbox = Outbox::open(&file).unwrap();

        assert_eq!(outbox.enqueue(&all, start()).unwrap(), 0);
        assert_eq!(ids(&due(&outbox, "siem", start())), ["c"]);
        let wanted = Counts { enqueued: 4, pending: 2, delivered: 1, dead: 1 };
        assert_eq!(outbox.counts().unwrap(), wanted);
    }

    #[test]
    fn what_is_due_comes_oldest_first_without_the_claimed_and_says_when_to_look_again() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("outbox.redb")).unwrap();
        let later = start().plus(Duration::from_secs(9));
        outbox.enqueue(&["z", "y", "x"].map(|id| message("siem", id)), start()).unwrap();
        outbox.enqueue(&[message("siem", "w")], later).unwrap();
        outbox.enqueue(&[message("si", "other"), message("siem2", "other")], start()).unwrap();

        let claimed = BTreeSet::from(["y".to_owned()]);
        let all = outbox.due("siem", start(), 100, &claimed).unwrap();
        let cut = outbox.due("siem", start(), 1, &claimed).unwrap();
        let none = outbox.due("nobody", start(), 1, &claimed).unwrap();

        assert_eq!(ids(&all.messages), ["z", "x"]);
        assert_eq!(all.look_at, Some(later));
        assert_eq!(all.messages[0].message, message("siem", "z"));
        assert_eq!((ids(&cut.messages), cut.look_at), (vec!["z"], Some(start())));
        assert_eq!((none.messages.len(), none.look_at), (0, None));
        assert_eq!(outbox.oldest_pending("siem").unwrap(), Some(start()));
        assert_eq!(outbox.oldest_pending("nobody").unwrap(), None);
        let standings = outbox.standings().unwrap();
        let pending = standings.iter().map(|one| (one.endpoint.as_str(), one.pending));
        assert_eq!(pending.collect::<Vec<_>>(), [("si", 1), ("siem", 4), ("siem2", 1)]);
    }

    #[test]
    fn a_receiver_down_for_76_hours_leaves_a_dead_letter_with_ten_attempts_that_can_be_replayed() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("outbox.redb")).unwrap();
        outbox.enqueue(&[message("siem", "a")], start()).unwrap();

        let mut now = start();
        while let Some(at) = outbox.due("siem", now, 0, &BTreeSet::new()).unwrap().look_at {
            now = at.max(now);
            let found = &due(&outbox, "siem", now)[0];
            let answer = Answer::Status { code: 502, retry_after: None };
            let next = schedule::after_attempt("a", found.tries + 1, answer);
            outbox.record(&[tried(found, now, 502, next)]).unwrap();
        }
        outbox.forget_attempts_below(u64::MAX).unwrap();

        let hours = now.since(start()).as_secs_f64() / 3_600.0;
        assert!((68.0..84.0).contains(&hours), "{hours} h");
        let letters = outbox.dead_letters(Some("siem"), 10).unwrap();
        assert_eq!(outbox.dead_letters(None, 10).unwrap(), letters);
        assert_eq!(outbox.dead_letters(Some("sie"), 10).unwrap(), []);
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].message, message("siem", "a"));
        let numbers: Vec<u8> = letters[0].attempts.iter().map(|one| one.attempt_number).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
        assert_eq!(letters[0].attempts[8].outcome, Outcome::Failed);
        assert_eq!(letters[0].attempts[9].outcome, Outcome::Dead);

        let replay = |id: &str| outbox.replay(|_, dead| dead == id, now).unwrap();
        assert_eq!(replay("b"), []);
        assert_eq!(replay("a"), [("siem".to_owned(), "a".to_owned())]);
        assert_eq!(replay("a"), []);
        let found = &due(&outbox, "siem", now)[0];
        assert_eq!(found.tries, 0);
        outbox.record(&[tried(found, now, 200, Next::Delivered)]).unwrap();
        let wanted = Counts { enqueued: 1, pending: 0, delivered: 1, dead: 0 };
        assert_eq!(outbox.counts().unwrap(), wanted);
    }

    #[test]
    fn attempts_are_numbered_on_after_they_were_copied_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("outbox.redb");
        let record = |outbox: &Outbox, id: &str| {
            outbox.enqueue(&[message("siem", id)], start()).unwrap();
            let found = due(outbox, "siem", start());
            outbox.record(&[tried(&found[0], start(), 200, Next::Delivered)]).unwrap();
        };
        {
            let outbox = Outbox::open(&file).unwrap();
            for id in ["a", "b", "c"] {
                record(&outbox, id);
            }
            assert_eq!(outbox.attempts_from(1, 1).unwrap()[0].webhook_id, "b");
            outbox.forget_attempts_below(2).unwrap();
        }

        let outbox = Outbox::open(&file).unwrap();
        record(&outbox, "d");

        let left = outbox.attempts_from(0, 10).unwrap();
        let left: Vec<_> = left.iter().map(|one| (one.sequence, one.webhook_id.as_str())).collect();
        assert_eq!(left, [(2, "c"), (3, "d")]);
        assert!(outbox.has_attempts_from(3).unwrap());
        assert!(!outbox.has_attempts_from(4).unwrap());
        outbox.forget_attempts_below(4).unwrap();
        assert!(!outbox.has_attempts_from(0).unwrap());
    }

    #[test]
    fn what_was_delivered_a_week_ago_is_forgotten_little_by_little() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("outbox.redb")).unwrap();
        let day = |n: u64| start().plus(Duration::from_hours(n * 24));
        let enqueue = |ids: &[&str], at: Timestamp| {
            let new: Vec<Message> = ids.iter().map(|id| message("siem", id)).collect();
            outbox.enqueue(&new, at).unwrap()
        };
        let deliver = |at: Timestamp| {
            let found = due(&outbox, "siem", at);
            let settled = found.iter().map(|one| tried(one, at, 200, Next::Delivered));
            outbox.record(&settled.collect::<Vec<_>>()).unwrap();
        };
        for (n, id) in (0..).zip(["a", "b", "c", "d"]) {
            enqueue(&[id], day(n));
            deliver(day(n));
        }
        let later = day(3).plus(DELIVERED_KEPT);

        enqueue(&["e"], later);
        deliver(later);
        assert_eq!(enqueue(&["a", "b", "c", "d"], later), 2, "the oldest two for the one attempt");
        deliver(later);
        assert_eq!(enqueue(&["a", "b", "c", "d"], later), 1, "not yet the fourth");

        let counts = outbox.counts().unwrap();
        assert_eq!((counts.enqueued, counts.pending, counts.delivered), (8, 1, 7));
        assert!(is_balanced(counts));
    }

    #[test]
    fn the_file_opens_once_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("outbox.redb");
        let _first = Outbox::open(&file).unwrap();

        assert!(matches!(Outbox::open(&file), Err(OutboxError::InUse)));
    }

    /// A small generator, so that a seed replays a run.
    fn random(state: &mut u64, below: u64) -> u64 {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % below
    }

    /// Whether each message stands where the model says, and the numbers agree.
    fn agrees(
        outbox: &Outbox,
        is_pending: &BTreeMap<(String, String), bool>,
        now: Timestamp,
        attempts: usize,
        seed: u64,
    ) {
        let counts = outbox.counts().unwrap();
        assert!(is_balanced(counts), "seed {seed}: {counts:?}");
        assert_eq!(counts.enqueued, is_pending.len() as u64, "seed {seed}");
        let standings = outbox.standings().unwrap();
        assert_eq!(
            standings.iter().map(|one| one.pending).sum::<u64>(),
            counts.pending,
            "seed {seed}"
        );
        assert_eq!(standings.iter().map(|one| one.dead).sum::<u64>(), counts.dead, "seed {seed}");
        for endpoint in ["siem", "pager"] {
            let found = due(outbox, endpoint, now);
            let mut left = ids(&found);
            left.sort_unstable();
            let wanted = is_pending.iter().filter(|((of, _), is)| of == endpoint && **is);
            let wanted: Vec<&str> = wanted.map(|((_, id), _)| id.as_str()).collect();
            assert_eq!(left, wanted, "seed {seed}");
        }
        let sequences: Vec<u64> =
            outbox.attempts_from(0, 1_000).unwrap().iter().map(|one| one.sequence).collect();
        assert_eq!(sequences, (0..attempts as u64).collect::<Vec<_>>(), "seed {seed}");
    }

    #[test]
    fn whatever_happens_in_whatever_order_nothing_is_lost_and_the_counts_agree() {
        for seed in 0..6 {
            let mut state = seed;
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("outbox.redb");
            let mut outbox = Outbox::open(&file).unwrap();
            // Of each message ever enqueued: whether it is pending.
            let mut model: BTreeMap<(String, String), bool> = BTreeMap::new();
            let mut now = start();
            let mut attempts = 0;
            for _ in 0..40 {
                let endpoint = ["siem", "pager"][usize::from(random(&mut state, 2) == 0)];
                match random(&mut state, 4) {
                    0 => {
                        let id = |n: u64| message(endpoint, &format!("f-{n}"));
                        let batch: Vec<Message> =
                            (0..5).map(|_| id(random(&mut state, 40))).collect();
                        let known = model.len();
                        for one in &batch {
                            let name = (endpoint.to_owned(), one.webhook_id().to_owned());
                            model.entry(name).or_insert(true);
                        }
                        let new = outbox.enqueue(&batch, now).unwrap();
                        assert_eq!(new, model.len() - known, "seed {seed}");
                    }
                    1 => {
                        drop(outbox);
                        outbox = Outbox::open(&file).unwrap();
                    }
                    2 => {
                        let found = outbox.due(endpoint, now, 3, &BTreeSet::new()).unwrap();
                        let settle = |pending: &Pending| {
                            let next = match random(&mut state, 3) {
                                0 => Next::Delivered,
                                1 => Next::Dead,
                                _ => Next::RetryIn(Duration::from_secs(random(&mut state, 9))),
                            };
                            let id = pending.message.webhook_id().to_owned();
                            let is_pending = matches!(next, Next::RetryIn(_));
                            model.insert((endpoint.to_owned(), id), is_pending);
                            tried(pending, now, 200, next)
                        };
                        let settled: Vec<Tried> = found.messages.iter().map(settle).collect();
                        attempts += outbox.record(&settled).unwrap().len();
                    }
                    3 => {
                        let id = format!("f-{}", random(&mut state, 40));
                        for name in outbox.replay(|_, dead| dead == id, now).unwrap() {
                            assert_eq!(model.insert(name, true), Some(false), "seed {seed}");
                        }
                    }
                    _ => unreachable!(),
                }
                now = now.plus(Duration::from_secs(random(&mut state, 4)));
            }

            let now = now.plus(Duration::from_mins(1));
            agrees(&outbox, &model, now, attempts, seed);
        }
    }
}
