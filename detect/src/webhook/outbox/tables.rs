//! The tables of the outbox, and what may happen to a message.
//!
//! Invariant: each step keeps a message in exactly one of `PENDING`, `DELIVERED`, `DEAD`, `QUEUE` in
//! agreement with `PENDING`, and `STANDINGS` with `PENDING` and `DEAD`. Steps are on disk when the
//! caller's transaction is.

use std::time::Duration;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use schemas::Timestamp;

use super::{OutboxError, Tried};
use crate::webhook::schedule::Next;
use crate::webhook::{Attempt, Message};

/// Endpoint and webhook id: what names a message.
pub(super) type Name = (&'static str, &'static str);

/// Tries so far, when the next is due (us), and the order of enqueueing.
pub(super) const PENDING: TableDefinition<'_, Name, (u8, i64, u64)> =
    TableDefinition::new("pending");
/// Endpoint, due (us) and order, to webhook id: what `PENDING` says, oldest first.
pub(super) const QUEUE: TableDefinition<'_, (&str, i64, u64), &str> = TableDefinition::new("queue");
/// Time (us) and body of messages that are pending or dead.
pub(super) const BODIES: TableDefinition<'_, Name, (i64, &[u8])> = TableDefinition::new("bodies");
/// When it was delivered (us).
pub(super) const DELIVERED: TableDefinition<'_, Name, i64> = TableDefinition::new("delivered");
/// What `DELIVERED` says, oldest first.
pub(super) const DELIVERED_AGES: TableDefinition<'_, (i64, &str, &str), ()> =
    TableDefinition::new("ages");
/// When it died (us), and the order of enqueueing.
pub(super) const DEAD: TableDefinition<'_, Name, (i64, u64)> = TableDefinition::new("dead");
/// How many messages of an endpoint are pending, and how many dead.
pub(super) const STANDINGS: TableDefinition<'_, &str, (u64, u64)> =
    TableDefinition::new("standings");
/// Endpoint, webhook id and sequence: the failed attempts at messages that are pending or dead.
pub(super) const HISTORY: TableDefinition<'_, (&str, &str, u64), &[u8]> =
    TableDefinition::new("history");
/// All attempts by sequence, until the caller has copied them.
pub(super) const ATTEMPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("attempts");
/// Endpoints that answered 410, and when (us).
pub(super) const DISABLED: TableDefinition<'_, &str, i64> = TableDefinition::new("disabled");
pub(super) const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

pub(super) const ENQUEUED: &str = "enqueued";
pub(super) const DELIVERED_TOTAL: &str = "delivered";
pub(super) const ATTEMPTS_TOTAL: &str = "attempts";

pub(super) const NOT_PENDING: &str = "a queued message is not pending";

/// How long we remember what was delivered, and so do not send it again under the same id: longer
/// than a finding can be found again after a crash.
pub(super) const DELIVERED_KEPT: Duration = Duration::from_hours(7 * 24);
/// Delivered messages that are forgotten with each recorded attempt, at most. More than one, so that
/// they become fewer.
const FORGOTTEN_PER_ATTEMPT: usize = 2;

/// The tables of a message's life, open for writing.
pub(super) struct Tables<'t> {
    pending: Table<'t, Name, (u8, i64, u64)>,
    queue: Table<'t, (&'static str, i64, u64), &'static str>,
    bodies: Table<'t, Name, (i64, &'static [u8])>,
    delivered: Table<'t, Name, i64>,
    delivered_ages: Table<'t, (i64, &'static str, &'static str), ()>,
    dead: Table<'t, Name, (i64, u64)>,
    standings: Table<'t, &'static str, (u64, u64)>,
    history: Table<'t, (&'static str, &'static str, u64), &'static [u8]>,
    attempts: Table<'t, u64, &'static [u8]>,
    disabled: Table<'t, &'static str, i64>,
    counters: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, OutboxError> {
        Ok(Self {
            pending: transaction.open_table(PENDING)?,
            queue: transaction.open_table(QUEUE)?,
            bodies: transaction.open_table(BODIES)?,
            delivered: transaction.open_table(DELIVERED)?,
            delivered_ages: transaction.open_table(DELIVERED_AGES)?,
            dead: transaction.open_table(DEAD)?,
            standings: transaction.open_table(STANDINGS)?,
            history: transaction.open_table(HISTORY)?,
            attempts: transaction.open_table(ATTEMPTS)?,
            disabled: transaction.open_table(DISABLED)?,
            counters: transaction.open_table(COUNTERS)?,
        })
    }

    /// Returns whether the message is new.
    pub(super) fn enqueue(
        &mut self,
        message: &Message,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        let name = (message.endpoint(), message.webhook_id());
        let is_known = self.pending.get(name)?.is_some()
            || self.delivered.get(name)?.is_some()
            || self.dead.get(name)?.is_some();
        if is_known {
            return Ok(false);
        }
        let order = self.count(ENQUEUED)?;
        self.bodies.insert(name, (message.time().as_micros(), message.body()))?;
        self.wait(name, 0, now, order)?;
        self.stand(name.0, 1, 0)?;
        Ok(true)
    }

    pub(super) fn record(&mut self, tried: &Tried) -> Result<Attempt, OutboxError> {
        let name = (tried.endpoint.as_str(), tried.webhook_id.as_str());
        let attempt = tried.numbered(self.count(ATTEMPTS_TOTAL)?);
        let encoded = encode(&attempt);
        self.attempts.insert(attempt.sequence, encoded.as_slice())?;

        let (tries, due_us, order) = match self.pending.remove(name)? {
            Some(standing) => standing.value(),
            None => return Err(OutboxError::Corrupt(NOT_PENDING)),
        };
        assert!(tries < tried.number, "a try is recorded once, and in order");
        self.queue.remove((name.0, due_us, order))?;

        let ended_at = tried.at.plus(tried.duration);
        if tried.next != Next::Delivered {
            self.history.insert((name.0, name.1, attempt.sequence), encoded.as_slice())?;
        }
        match tried.next {
            Next::Delivered => {
                self.deliver(name, ended_at)?;
                self.stand(name.0, -1, 0)?;
            }
            Next::RetryIn(delay) => self.wait(name, tried.number, ended_at.plus(delay), order)?,
            Next::Dead | Next::EndpointDisabled => {
                self.dead.insert(name, (ended_at.as_micros(), order))?;
                self.stand(name.0, -1, 1)?;
            }
        }
        if tried.next == Next::EndpointDisabled {
            self.disabled.insert(name.0, ended_at.as_micros())?;
        }
        self.forget_delivered(ended_at)?;
        Ok(attempt)
    }

    /// Forgets a few of the messages that were delivered [`DELIVERED_KEPT`] before `now`.
    fn forget_delivered(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        let before = now.minus(DELIVERED_KEPT).as_micros();
        let old = self.delivered_ages.extract_from_if(..(before, "", ""), |_, ()| true)?;
        for entry in old.take(FORGOTTEN_PER_ATTEMPT) {
            let age = entry?.0;
            let (_, endpoint, webhook_id) = age.value();
            self.delivered.remove((endpoint, webhook_id))?;
        }
        Ok(())
    }

    fn deliver(&mut self, name: (&str, &str), at: Timestamp) -> Result<(), OutboxError> {
        let of_message = (name.0, name.1, 0)..=(name.0, name.1, u64::MAX);
        self.history.retain_in(of_message, |_, _| false)?;
        self.bodies.remove(name)?;
        self.delivered.insert(name, at.as_micros())?;
        self.delivered_ages.insert((at.as_micros(), name.0, name.1), ())?;
        self.count(DELIVERED_TOTAL)?;
        Ok(())
    }

    /// Makes the dead letters that are wanted pending, and returns their endpoints and webhook ids.
    pub(super) fn replay(
        &mut self,
        is_wanted: impl Fn(&str, &str) -> bool,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, OutboxError> {
        let risen = self.dead.extract_if(|(endpoint, id), _| is_wanted(endpoint, id))?;
        let mut names = Vec::new();
        for entry in risen {
            let (name, dead) = entry?;
            let (endpoint, webhook_id) = name.value();
            names.push((endpoint.to_owned(), webhook_id.to_owned(), dead.value().1));
        }
        let mut replayed = Vec::with_capacity(names.len());
        for (endpoint, webhook_id, order) in names {
            self.wait((&endpoint, &webhook_id), 0, now, order)?;
            self.stand(&endpoint, 1, -1)?;
            replayed.push((endpoint, webhook_id));
        }
        Ok(replayed)
    }

    /// Makes a message pending, to be tried at `due`.
    fn wait(
        &mut self,
        name: (&str, &str),
        tries: u8,
        due: Timestamp,
        order: u64,
    ) -> Result<(), OutboxError> {
        self.pending.insert(name, (tries, due.as_micros(), order))?;
        self.queue.insert((name.0, due.as_micros(), order), name.1)?;
        Ok(())
    }

    /// Moves the numbers of an endpoint.
    fn stand(&mut self, endpoint: &str, pending: i64, dead: i64) -> Result<(), OutboxError> {
        let before = self.standings.get(endpoint)?.map_or((0, 0), |one| one.value());
        let moved = (before.0.checked_add_signed(pending), before.1.checked_add_signed(dead));
        let (Some(pending), Some(dead)) = moved else {
            return Err(OutboxError::Corrupt("an endpoint has fewer messages than none"));
        };
        self.standings.insert(endpoint, (pending, dead))?;
        Ok(())
    }

    /// Adds one to a counter and returns what it was.
    fn count(&mut self, name: &str) -> Result<u64, OutboxError> {
        let before = counter(&self.counters, name)?;
        self.counters.insert(name, before + 1)?;
        Ok(before)
    }
}

fn encode(attempt: &Attempt) -> Vec<u8> {
    serde_json::to_vec(attempt).expect("an attempt has no map with odd keys")
}

pub(super) fn decode(encoded: &[u8]) -> Result<Attempt, OutboxError> {
    serde_json::from_slice(encoded).map_err(|_| OutboxError::Corrupt("an attempt is not readable"))
}

/// A counter's value; 0 before it was first counted up.
pub(super) fn counter(
    counters: &impl ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<u64, OutboxError> {
    Ok(counters.get(name)?.map_or(0, |count| count.value()))
}
