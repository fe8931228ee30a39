//! [`HandingOver`]: findings on their way to the outbox, while the loop reads on.
//!
//! Invariant (W1): no row of a micro-batch is committed before its findings are in the outbox, durably: with
//! each cut goes a [`Promise`] of all that was found before, and its writer begins when that is kept. So after
//! a crash a finding is either in the outbox or found again under the same id.
//!
//! A flush of the disk takes a millisecond, or twenty while others write there. One is under way at a time;
//! what is found meanwhile goes with the next one.

use std::sync::Arc;
use std::time::Duration;

use detect::webhook::{Message, Outbox, OutboxError};
use schemas::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A micro-batch with findings: when its records had arrived, and how many they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) arrived: Instant,
    pub(super) records: usize,
}

/// What was handed over with one flush.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) batches: Vec<Batch>,
    pub(super) at: Instant,
    pub(super) took: Duration,
}

/// What is on its way to the outbox.
#[derive(Debug)]
pub(super) struct HandingOver {
    /// What no flush has begun with, and how many micro-batches have ever had messages.
    messages: Vec<Message>,
    batches: Vec<Batch>,
    asked: u64,
    running: Option<JoinHandle<Result<Handed, OutboxError>>>,
    /// So many of the micro-batches are handed over.
    done: watch::Sender<u64>,
}

/// That what was found before is handed over.
#[derive(Debug)]
pub(super) struct Promise {
    asked: u64,
    done: watch::Receiver<u64>,
}

impl Promise {
    /// Waits until it is kept: for ever, once the loop has ended without.
    pub(super) async fn kept(mut self) {
        let asked = self.asked;
        if self.done.wait_for(|done| asked <= *done).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl HandingOver {
    pub(super) fn new() -> Self {
        let done = watch::Sender::new(0);
        Self { messages: Vec::new(), batches: Vec::new(), asked: 0, running: None, done }
    }

    /// Hands the messages of a micro-batch over, now or with the next flush.
    pub(super) fn add(
        &mut self,
        outbox: &Arc<Outbox>,
        messages: Vec<Message>,
        batch: Batch,
        now: Timestamp,
    ) {
        self.messages.extend(messages);
        self.batches.push(batch);
        self.asked += 1;
        self.begin(outbox, now);
    }

    /// Begins a flush with all that waits, unless one is under way or nothing waits.
    pub(super) fn begin(&mut self, outbox: &Arc<Outbox>, now: Timestamp) {
        if self.running.is_some() || self.batches.is_empty() {
            return;
        }
        let messages = std::mem::take(&mut self.messages);
        let batches = std::mem::take(&mut self.batches);
        let (outbox, done, asked) = (Arc::clone(outbox), self.done.clone(), self.asked);
        self.running = Some(tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            outbox.enqueue(&messages, now)?;
            lake::crash_point!("handed-over", "findings");
            done.send_replace(asked);
            Ok(Handed { batches, at: Instant::now(), took: began.elapsed() })
        }));
    }

    /// The end of the flush that is under way; never, while there is none.
    pub(super) async fn ended(&mut self) -> Result<Handed, OutboxError> {
        let Some(task) = &mut self.running else { return std::future::pending().await };
        let joined = task.await;
        self.running = None;
        joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Whether anything is not handed over yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.running.is_some()
    }

    /// That all that was added before is handed over.
    pub(super) fn promise(&self) -> Promise {
        Promise { asked: self.asked, done: self.done.subscribe() }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const NOW: Timestamp = Timestamp::MAX;

    fn outbox(folder: &tempfile::TempDir) -> Arc<Outbox> {
        Arc::new(Outbox::open(&folder.path().join("outbox.redb")).unwrap())
    }

    /// Adds a micro-batch with one message.
    fn add(handing_over: &mut HandingOver, outbox: &Arc<Outbox>, id: &str) {
        let message = Message::new(id, "receiver", NOW, b"{}".to_vec()).unwrap();
        let batch = Batch { arrived: Instant::now(), records: 1 };
        handing_over.add(outbox, vec![message], batch, NOW);
    }

    fn is_kept(promise: Promise) -> bool {
        let waker = Waker::noop();
        pin!(promise.kept()).poll(&mut Context::from_waker(waker)) == Poll::Ready(())
    }

    #[tokio::test]
    async fn a_promise_is_kept_once_what_was_found_before_it_is_in_the_outbox() {
        let folder = tempfile::TempDir::new().unwrap();
        let (outbox, mut handing_over) = (outbox(&folder), HandingOver::new());
        let of_nothing = handing_over.promise();

        add(&mut handing_over, &outbox, "first");
        let of_first = handing_over.promise();
        add(&mut handing_over, &outbox, "second");
        let of_both = [handing_over.promise(), handing_over.promise()];
        let handed = handing_over.ended().await.unwrap();

        assert!(is_kept(of_nothing) && is_kept(of_first));
        let [early, late] = of_both;
        assert!(!is_kept(early), "the second waits for the next flush");
        assert_eq!((handed.batches.len(), outbox.counts().unwrap().enqueued), (1, 1));
        handing_over.begin(&outbox, NOW);
        assert_eq!(handing_over.ended().await.unwrap().batches.len(), 1);
        assert!(is_kept(late) && !handing_over.is_under_way());
        assert_eq!(outbox.counts().unwrap().enqueued, 2);
    }

    #[tokio::test]
    async fn a_promise_of_a_loop_that_ended_is_never_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let (outbox, mut handing_over) = (outbox(&folder), HandingOver::new());
        add(&mut handing_over, &outbox, "first");
        add(&mut handing_over, &outbox, "second");
        handing_over.ended().await.unwrap();

        let promise = handing_over.promise();
        drop(handing_over);

        assert!(!is_kept(promise));
    }
}
