//! [`Deliverer`]: the loop that empties the outbox.
//!
//! Invariant: a message is removed from the queue only by [`Outbox::record`], after its attempt
//! ended; whatever is dropped before that is tried again under the same webhook id. While a message
//! is claimed it is not taken a second time. Each endpoint has its own lane of bounded width, so a
//! receiver that hangs fills its own lane and delays nobody else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use schemas::Timestamp;
use serde::Deserialize;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::outbox::{Outbox, OutboxError, Pending, Standing, Tried};
use super::post::Post;
use super::schedule::{self, Answer, Next};
use super::target::{Lookup, system_lookup};
use super::{Attempt, Failure, Outcome, Signing, Target};

/// Messages read from the outbox at once, per endpoint.
const READY_MAX: usize = 32;
/// Messages of one endpoint that are ready, in flight, or waiting to be recorded.
const CLAIMED_MAX: usize = 256;
/// The longest sleep, so that a wall clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Between two recordings. Each holds the outbox for a flush of the disk; without a pause they
/// follow each other under load, and enqueueing, which an alert waits for, stands in line.
const RECORDING_PAUSE: Duration = Duration::from_millis(20);
/// How often the standings are told.
const STANDINGS_EVERY: Duration = Duration::from_secs(5);
/// Messages of an endpoint that is gone which are recorded as dead at once.
const GONE_MAX: usize = 1_000;
/// How long attempts in flight may take to end after a shutdown began.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// Tells the time. The binary's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How many attempts at one endpoint may be in flight: 1 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Concurrency(u8);

impl Concurrency {
    pub const STANDARD: Self = Self(4);
}

impl TryFrom<u8> for Concurrency {
    type Error = String;

    fn try_from(attempts: u8) -> Result<Self, String> {
        match attempts {
            1..=16 => Ok(Self(attempts)),
            _ => Err(format!("{attempts} attempts at once is outside 1..=16")),
        }
    }
}

/// One receiver.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub target: Target,
    pub signing: Signing,
    /// Of one attempt, from resolving the name to the end of the answer.
    pub timeout: Duration,
    pub concurrency_max: Concurrency,
}

impl Endpoint {
    /// Source: Standard Webhooks 1.0.0, "Timeouts": 15 to 30 s.
    pub const TIMEOUT_STANDARD: Duration = Duration::from_secs(20);
}

/// What the deliverer tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Report<'a> {
    /// An attempt was recorded. They come in order of their sequence.
    Attempt(&'a Attempt),
    /// What an endpoint has waiting: each endpoint at the start, and every few seconds.
    Standing(&'a Standing),
}

/// Why there is no [`Deliverer`].
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for webhook endpoint {endpoint}: are the system's TLS roots readable?")]
pub struct DeliverError {
    pub endpoint: String,
}

/// Sends what the outbox holds until it is told to stop.
pub struct Deliverer {
    outbox: Arc<Outbox>,
    clock: Clock,
    lanes: BTreeMap<String, Lane>,
    sending: JoinSet<Tried>,
    /// Ended attempts that are not being recorded yet.
    ended: Vec<Tried>,
    /// At most one task: while it flushes, the next attempts gather in `ended`.
    recording: JoinSet<Result<Vec<Attempt>, OutboxError>>,
    record_at: Instant,
}

/// What is under way for one endpoint.
struct Lane {
    post: Arc<Post>,
    concurrency_max: usize,
    /// It answered 410, which is not recorded yet.
    is_gone: bool,
    /// Read from the outbox, to be sent next.
    ready: VecDeque<Pending>,
    in_flight: usize,
    /// Ids that are ready, in flight, ended, or being recorded.
    claimed: BTreeSet<String>,
    /// The outbox has nothing for this lane before then. `None`: nothing at all.
    look_at: Option<Timestamp>,
}

impl Lane {
    /// Whether it would take another message if there were one.
    fn has_room(&self) -> bool {
        !self.is_gone
            && self.ready.is_empty()
            && self.in_flight < self.concurrency_max
            && self.claimed.len() < CLAIMED_MAX
    }
}

impl Deliverer {
    /// `endpoints` by the name that messages give.
    ///
    /// # Errors
    ///
    /// [`DeliverError`] if an HTTP client cannot be made.
    pub fn new(
        outbox: Arc<Outbox>,
        endpoints: BTreeMap<String, Endpoint>,
        clock: Clock,
    ) -> Result<Self, DeliverError> {
        let lookup = system_lookup();
        let mut lanes = BTreeMap::new();
        for (name, endpoint) in endpoints {
            match Lane::new(endpoint, Arc::clone(&lookup)) {
                Ok(lane) => lanes.insert(name, lane),
                Err(_) => return Err(DeliverError { endpoint: name }),
            };
        }
        Ok(Self {
            outbox,
            clock,
            lanes,
            sending: JoinSet::new(),
            ended: Vec::new(),
            recording: JoinSet::new(),
            record_at: Instant::now(),
        })
    }

    /// Runs until `shutdown`, then waits up to 2 s for attempts in flight and records them.
    /// Messages of an endpoint that is not configured become dead letters first.
    ///
    /// Cancel safety: attempts that are dropped are made again later, under the same webhook id.
    ///
    /// # Errors
    ///
    /// Only what the outbox cannot repair. A receiver's failure is a recorded attempt.
    pub async fn run(
        mut self,
        mut report: impl FnMut(Report<'_>) + Send,
        shutdown: CancellationToken,
    ) -> Result<(), OutboxError> {
        self.end_unknown(&mut report).await?;
        let outbox = Arc::clone(&self.outbox);
        let mut tell_standings = tokio::time::interval(STANDINGS_EVERY);
        loop {
            self.start_due()?;
            if self.record_at <= Instant::now() {
                self.start_recording();
            }
            let sleep = tokio::time::sleep(self.sleep());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(recorded) = self.recording.join_next() => {
                    self.settle(&joined(recorded)?, &mut report);
                    self.record_at = Instant::now() + RECORDING_PAUSE;
                }
                Some(tried) = self.sending.join_next() => {
                    self.end(joined(tried));
                    while let Some(tried) = self.sending.try_join_next() {
                        self.end(joined(tried));
                    }
                }
                _ = tell_standings.tick() => {
                    outbox.standings()?.iter().for_each(|one| report(Report::Standing(one)));
                }
                () = outbox.changed() => self.look_everywhere(),
                () = sleep => {}
            }
        }
        self.wind_down(&mut report).await
    }

    /// Makes dead letters of what waits for endpoints that are not configured: nobody else would
    /// ever look at it.
    async fn end_unknown(
        &mut self,
        report: &mut impl FnMut(Report<'_>),
    ) -> Result<(), OutboxError> {
        for Standing { endpoint, pending, .. } in self.outbox.standings()? {
            if pending == 0 || self.lanes.contains_key(&endpoint) {
                continue;
            }
            warn!(endpoint, dead = pending, "webhooks for an endpoint that is not configured die");
            loop {
                let now = (self.clock)();
                let waiting =
                    self.outbox.due(&endpoint, Timestamp::MAX, GONE_MAX, &BTreeSet::new())?;
                let ended = waiting.messages.into_iter();
                self.ended.extend(ended.map(|one| not_sent(one, now, Failure::EndpointUnknown)));
                self.start_recording();
                let Some(recorded) = self.recording.join_next().await else { break };
                joined(recorded)?.iter().for_each(|attempt| report(Report::Attempt(attempt)));
            }
        }
        Ok(())
    }

    /// Fills each lane with what is due.
    fn start_due(&mut self) -> Result<(), OutboxError> {
        let now = (self.clock)();
        for (name, lane) in &mut self.lanes {
            loop {
                while lane.in_flight < lane.concurrency_max
                    && let Some(pending) = lane.ready.pop_front()
                {
                    lane.in_flight += 1;
                    let (post, clock) = (Arc::clone(&lane.post), Arc::clone(&self.clock));
                    self.sending.spawn(attempt(post, pending, clock));
                }
                if !lane.has_room() || lane.look_at.is_none_or(|look_at| now < look_at) {
                    break;
                }
                let room = READY_MAX.min(CLAIMED_MAX - lane.claimed.len());
                let due = self.outbox.due(name, now, room, &lane.claimed)?;
                lane.look_at = due.look_at;
                lane.claimed.extend(due.messages.iter().map(|p| p.message.webhook_id().to_owned()));
                if due.is_disabled {
                    self.ended.extend(
                        due.messages
                            .into_iter()
                            .map(|one| not_sent(one, now, Failure::EndpointDisabled)),
                    );
                } else {
                    lane.ready.extend(due.messages);
                }
            }
        }
        Ok(())
    }

    fn start_recording(&mut self) {
        if self.recording.is_empty() && !self.ended.is_empty() {
            let (outbox, ended) = (Arc::clone(&self.outbox), std::mem::take(&mut self.ended));
            self.recording.spawn_blocking(move || outbox.record(&ended));
        }
    }

    /// Takes back an attempt that ended.
    fn end(&mut self, tried: Tried) {
        let lane = self.lanes.get_mut(&tried.endpoint).expect("an attempt comes from a lane");
        lane.in_flight -= 1;
        if tried.next == Next::EndpointDisabled {
            // What was read before the endpoint said so goes back, to be read as disabled.
            for pending in lane.ready.drain(..) {
                lane.claimed.remove(pending.message.webhook_id());
            }
            lane.is_gone = true;
        }
        self.ended.push(tried);
    }

    /// Lets go of messages whose attempts are recorded.
    fn settle(&mut self, attempts: &[Attempt], report: &mut impl FnMut(Report<'_>)) {
        for attempt in attempts {
            let lane = self.lanes.get_mut(&attempt.endpoint).expect("an attempt comes from a lane");
            lane.claimed.remove(&attempt.webhook_id);
            match attempt.outcome {
                Outcome::Delivered | Outcome::Dead => {}
                Outcome::Failed => lane.look_at = Some(Timestamp::EPOCH),
                Outcome::Disabled => {
                    lane.is_gone = false;
                    lane.look_at = Some(Timestamp::EPOCH);
                }
            }
            report(Report::Attempt(attempt));
        }
        warn_of_the_dead(attempts);
    }

    fn look_everywhere(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.look_at = Some(Timestamp::EPOCH);
        }
    }

    /// Until the first lane with room has something due, or something is to be recorded.
    fn sleep(&self) -> Duration {
        let lanes = self.lanes.values().filter(|lane| lane.has_room());
        let until_due = match lanes.filter_map(|lane| lane.look_at).min() {
            Some(look_at) => look_at.since((self.clock)()).min(SLEEP_MAX),
            None => SLEEP_MAX,
        };
        if self.ended.is_empty() || !self.recording.is_empty() {
            return until_due;
        }
        until_due.min(self.record_at.saturating_duration_since(Instant::now()))
    }

    /// Records what ended, and what ends soon.
    async fn wind_down(mut self, report: &mut impl FnMut(Report<'_>)) -> Result<(), OutboxError> {
        let patience = tokio::time::sleep(SHUTDOWN_PATIENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                tried = self.sending.join_next() => match tried {
                    Some(tried) => self.end(joined(tried)),
                    None => break,
                },
                () = &mut patience => break,
            }
        }
        let dropped = self.sending.len();
        self.sending.abort_all();
        loop {
            self.start_recording();
            match self.recording.join_next().await {
                Some(recorded) => self.settle(&joined(recorded)?, report),
                None => break,
            }
        }
        info!(dropped, "webhook delivery stopped");
        Ok(())
    }
}

impl Lane {
    fn new(endpoint: Endpoint, lookup: Lookup) -> Result<Self, reqwest::Error> {
        let Endpoint { target, signing, timeout, concurrency_max } = endpoint;
        Ok(Self {
            post: Arc::new(Post::new(target, signing, timeout, lookup)?),
            concurrency_max: usize::from(concurrency_max.0),
            is_gone: false,
            ready: VecDeque::new(),
            in_flight: 0,
            claimed: BTreeSet::new(),
            look_at: Some(Timestamp::EPOCH),
        })
    }
}

impl std::fmt::Debug for Deliverer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliverer").field("endpoints", &self.lanes.keys()).finish_non_exhaustive()
    }
}

async fn attempt(post: Arc<Post>, pending: Pending, clock: Clock) -> Tried {
    let Pending { message, tries } = pending;
    let (message_time, number, at) = (message.time(), tries + 1, clock());
    let (webhook_id, endpoint) = (message.webhook_id().to_owned(), message.endpoint().to_owned());
    let answer = post.send(message, at).await;
    let (status, failure) = match answer {
        Answer::Status { code, .. } => (Some(code), None),
        Answer::None(failure) => (None, Some(failure)),
    };
    let next = schedule::after_attempt(&webhook_id, number, answer);
    let duration = clock().since(at);
    Tried { message_time, webhook_id, endpoint, number, at, duration, status, failure, next }
}

/// The end of a message that could not be sent.
fn not_sent(pending: Pending, now: Timestamp, failure: Failure) -> Tried {
    let message = pending.message;
    Tried {
        message_time: message.time(),
        webhook_id: message.webhook_id().to_owned(),
        endpoint: message.endpoint().to_owned(),
        number: pending.tries + 1,
        at: now,
        duration: Duration::ZERO,
        status: None,
        failure: Some(failure),
        next: Next::Dead,
    }
}

/// One line for each endpoint that lost messages or was disabled; none of them is per message.
fn warn_of_the_dead(attempts: &[Attempt]) {
    let mut dead: BTreeMap<&str, (u64, &Attempt)> = BTreeMap::new();
    for attempt in attempts {
        if attempt.outcome == Outcome::Disabled {
            let endpoint = &attempt.endpoint;
            warn!(endpoint, "webhook endpoint disabled by its answer 410, until it is enabled");
        }
        if matches!(attempt.outcome, Outcome::Dead | Outcome::Disabled) {
            let (count, last) = dead.entry(&attempt.endpoint).or_insert((0, attempt));
            (*count, *last) = (*count + 1, attempt);
        }
    }
    for (endpoint, (dead, last)) in dead {
        let (webhook_id, attempts, status) = (&last.webhook_id, last.attempt_number, last.status);
        let failure = last.failure.map(Failure::as_str);
        warn!(
            endpoint,
            dead, webhook_id, attempts, status, failure, "webhooks became dead letters"
        );
    }
}

/// A task's result; its panic goes on here. No task is aborted before the last one was joined.
fn joined<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
