//! The story that the demo plays: history as fast as it is learned, then the attack, live.
//!
//! Invariant: at most [`LAG_MAX`] records are under way, so that the embedded broker, which keeps
//! little, never has to drop any.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ingest::Producer;
use schemas::{Amount, EventId, Timestamp, Topic};
use simulate::{Company, SimulatedEvent, output};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::receiver::{Inbox, Received};
use crate::clock;
use crate::commands::{of_producer, partition_of};
use crate::exit::Failure;
use crate::pipeline::Progress;
use crate::terminal;

/// Records produced and not yet read. The broker keeps 5 MiB a partition: some 200,000 of these.
const LAG_MAX: u64 = 60_000;

/// How long the last webhooks may take after the last event.
const PATIENCE: Duration = Duration::from_secs(20);

/// A malicious event as it was produced.
#[derive(Clone, Debug)]
pub(super) struct Malicious {
    pub(super) event_id: EventId,
    pub(super) produced_at: Timestamp,
    pub(super) amount: Option<Amount>,
    pub(super) is_fraudulent_order: bool,
}

/// What was played.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) events: u64,
    pub(super) history: Duration,
    /// In the order of production.
    pub(super) malicious: Vec<Malicious>,
    /// When each live event was produced.
    pub(super) produced_at: BTreeMap<EventId, Timestamp>,
    pub(super) is_stopped: bool,
}

impl Played {
    /// The fraudulent orders, in the order of production.
    pub(super) fn orders(&self) -> impl Iterator<Item = &Malicious> {
        self.malicious.iter().filter(|one| one.is_fraudulent_order)
    }
}

/// Plays the story.
pub(super) struct Teller {
    pub(super) company: Arc<Company>,
    pub(super) topic: Topic,
    pub(super) partitions: i32,
    pub(super) producer: Producer,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) inbox: Inbox,
    /// Whether a person watches.
    pub(super) is_watched: bool,
    pub(super) days: u32,
    pub(super) speed: f64,
    /// Cancelled when the person has seen enough, and when the pipeline has ended.
    pub(super) shutdown: CancellationToken,
}

impl Teller {
    /// Plays `start` to `live` as fast as it is learned, then up to `end` at `speed` times real time.
    pub(super) async fn tell(
        mut self,
        start: Timestamp,
        live: Timestamp,
        end: Timestamp,
    ) -> Result<Played, Failure> {
        let mut played = Played::default();
        self.tell_history(start, live, &mut played).await?;
        if !self.shutdown.is_cancelled() {
            self.tell_live(live, end, &mut played).await?;
        }
        played.is_stopped = self.shutdown.is_cancelled();
        Ok(played)
    }

    async fn tell_history(
        &mut self,
        start: Timestamp,
        live: Timestamp,
        played: &mut Played,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let company = Arc::clone(&self.company);
        let expected =
            (company.events_per_day() * live.since(start).as_secs_f64() / 86_400.0).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a length of a bar"
        )]
        let bar = self.bar(expected as u64);
        let mut json = Vec::new();
        for simulated in company.events(start, live) {
            if played.events.is_multiple_of(256) {
                self.wait_for_reader(played.events, LAG_MAX, &bar).await;
                if self.shutdown.is_cancelled() {
                    break;
                }
            }
            self.produce(&simulated, &mut json)?;
            played.events += 1;
        }
        self.producer.flush().map_err(of_producer)?;
        self.wait_for_reader(played.events, 0, &bar).await;
        bar.finish_and_clear();
        played.history = began.elapsed();
        Ok(())
    }

    async fn tell_live(
        &mut self,
        live: Timestamp,
        end: Timestamp,
        played: &mut Played,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let mut shown = *self.inbox.count().borrow();
        let company = Arc::clone(&self.company);
        let mut json = Vec::new();
        for simulated in company.events(live, end) {
            let due = began + simulated.event.time.since(live).div_f64(self.speed);
            while Instant::now() < due && !self.shutdown.is_cancelled() {
                let tick = due.min(Instant::now() + Duration::from_millis(20));
                tokio::time::sleep_until(tick).await;
                shown = self.show_findings(shown, played);
            }
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            self.note(&simulated, played);
            self.produce(&simulated, &mut json)?;
            played.events += 1;
        }
        self.producer.flush().map_err(of_producer)?;
        let patience = Instant::now() + PATIENCE;
        loop {
            let progress = *self.progress.borrow();
            shown = self.show_findings(shown, played);
            let is_done = played.events <= progress.records && progress.findings <= shown as u64;
            if is_done || patience <= Instant::now() || self.shutdown.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Writes down when an event was produced.
    fn note(&self, simulated: &SimulatedEvent, played: &mut Played) {
        let produced_at = clock::now();
        let Some(event_id) = simulated.event.event_id.clone() else { return };
        if simulated.truth.is_malicious {
            let is_first = played.malicious.is_empty();
            if is_first && self.is_watched {
                say(&format!("{}  the attack begins", simulated.event.time));
            }
            played.malicious.push(Malicious {
                event_id: event_id.clone(),
                produced_at,
                amount: simulated.event.amount,
                is_fraudulent_order: simulated.truth.is_fraudulent_order,
            });
        }
        played.produced_at.insert(event_id, produced_at);
    }

    fn produce(&mut self, simulated: &SimulatedEvent, json: &mut Vec<u8>) -> Result<(), Failure> {
        json.clear();
        output::write_json(&simulated.event, json);
        let partition = partition_of(&simulated.event.agent_id, self.partitions);
        self.producer.send(&self.topic, partition, simulated.event.time, json).map_err(of_producer)
    }

    /// Waits until at most `lag_max` records are under way.
    async fn wait_for_reader(&mut self, produced: u64, lag_max: u64, bar: &ProgressBar) {
        loop {
            let read = self.progress.borrow_and_update().records;
            bar.set_position(read);
            if produced <= read + lag_max || self.shutdown.is_cancelled() {
                return;
            }
            tokio::select! {
                changed = self.progress.changed() => if changed.is_err() { return },
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    /// Shows the webhooks that came in since, and returns how many there are now.
    fn show_findings(&self, from: usize, played: &Played) -> usize {
        let received = self.inbox.since(from);
        if self.is_watched {
            for one in &received {
                show(one, played);
            }
        }
        from + received.len()
    }

    fn bar(&self, length: u64) -> ProgressBar {
        if !self.is_watched {
            return ProgressBar::hidden();
        }
        let days = self.days;
        let style = format!(
            "learning {days} days: {{wide_bar}} {{human_pos}} events, {{per_sec}}, {{eta}} left"
        );
        let style = ProgressStyle::with_template(&style).expect("a valid template");
        ProgressBar::new(length).with_style(style)
    }
}

/// One finding as a person reads it, with the delay from the event to the webhook.
fn show(received: &Received, played: &Played) {
    let finding = &received.finding;
    let delay = match played.produced_at.get(&finding.event_id) {
        Some(at) => format!("{} ms after the event", received.at.since(*at).as_millis()),
        None => "of the history".to_owned(),
    };
    say(&format!(
        "{}  {:<6} {} ({delay})\n    {}",
        finding.time, finding.severity, finding.detector, finding.summary
    ));
}

/// What a person watches; data goes to stdout.
pub(super) fn say(text: &str) {
    terminal::remark(&text);
}
