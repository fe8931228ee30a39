//! `surety replay FILE`: a file of records through the same loop as Kafka's.
//!
//! Invariant: the name in the lake is made of the file's content and format, so the lake's offsets
//! tell how much of it was read before, under whatever path it is given; and a file that was read in
//! a wrong format is read again in the right one.

mod cut;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use detect::webhook::Counts;
use ingest::Replay as ReplaySource;
use schemas::{Format, Topic};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress_bar;
use super::wiring::{self, Locations};
use crate::cli::{Replay, ReportFormat};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{
    Checkpoints, Parts, Pipeline, Readers, Routes, Summary, of_outbox, of_source,
};
use crate::telemetry::Stage;
use crate::terminal::{self, counted};

/// How long the webhooks may take after the last record.
const DELIVERY_WAIT_MAX: Duration = Duration::from_mins(1);
const DELIVERY_LOOK: Duration = Duration::from_millis(50);

/// Replays the file and prints what became of its records.
///
/// # Errors
///
/// A [`Failure`] if the file or the lake cannot be read. What could be read is committed.
pub(super) async fn run(
    args: Replay,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    let locations = Locations::of(&args.lake, config)?;
    let topic = topic_of(&args.file, args.format.format)?;
    let source = ReplaySource::open(&args.file, topic.clone()).map_err(of_source)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    let normaliser = wiring::normaliser(config, args.format.format, &redactor)?;
    let mut delivery = Delivery::start(&args, config, &locations)?;
    let parts = Parts {
        source,
        readers: Readers { uses: BTreeMap::from([(topic.clone(), normaliser)]), registry: None },
        lake: wiring::open_lake(&locations)?,
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes: delivery.routes.clone(),
        limits: config.into(),
        health: Health::default(),
        seal_key: wiring::seal_key(config, &locations.state)?,
    };
    let pipeline = Box::pin(Pipeline::start(parts)).await?;
    let progress = pipeline.progress();
    let stop = CancellationToken::new();
    let showing = progress_bar::show(progress, stop.clone());
    let work = pipeline.run_to_end(shutdown.clone());
    let (summary, ()) = tokio::join!(progress_bar::ending(work, stop), showing);
    let delivered = delivery.finish(&shutdown).await?;
    print(&args, &topic, &summary?, delivered)?;
    if cut::is_cut_short(&args.file)? && !shutdown.is_cancelled() {
        let text = format!(
            "{}: the file ends in the middle of a record: what could be read is in the lake, the rest is a row of rejects",
            args.file.display()
        );
        return Err(Failure::told(Exit::Data, text));
    }
    Ok(Exit::Ok)
}

/// `replay.<format>.<first 16 digits of the content's hash>`.
fn topic_of(path: &Path, format: Format) -> Result<Topic, Failure> {
    let hash = ingest::content_hash(path).map_err(of_source)?;
    Ok(Topic::new(&format!("replay.{format}.{}", &hash[..16])))
}

/// The webhooks of a replay: none, unless they were asked for.
struct Delivery {
    routes: Routes,
    tasks: JoinSet<Result<(), Failure>>,
    stop: CancellationToken,
}

impl Delivery {
    fn start(args: &Replay, config: &Config, locations: &Locations) -> Result<Self, Failure> {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        if !args.webhooks {
            return Ok(Self { routes: Routes::default(), tasks, stop });
        }
        wiring::check(config)?;
        let (routes, deliverer) =
            wiring::routes_and_deliverer(&config.endpoints(), &locations.state)?;
        if let Some(deliverer) = deliverer {
            let stop = stop.clone();
            tasks.spawn(async move {
                deliverer.run(wiring::publish_webhooks, stop).await.map_err(of_outbox)
            });
        }
        Ok(Self { routes, tasks, stop })
    }

    /// Waits until nothing is pending, for a minute at most, and ends the deliveries.
    async fn finish(&mut self, shutdown: &CancellationToken) -> Result<Option<Counts>, Failure> {
        if self.tasks.is_empty() {
            return Ok(None);
        }
        let patience = Instant::now() + DELIVERY_WAIT_MAX;
        while 0 < self.routes.counts()?.pending
            && Instant::now() < patience
            && !shutdown.is_cancelled()
        {
            tokio::time::sleep(DELIVERY_LOOK).await;
        }
        self.stop.cancel();
        wiring::join_all(std::mem::take(&mut self.tasks)).await?;
        self.routes.counts().map(Some)
    }
}

fn print(
    args: &Replay,
    topic: &Topic,
    summary: &Summary,
    delivered: Option<Counts>,
) -> Result<(), Failure> {
    let progress = summary.progress;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let ms = |stage, quantile| summary.stages.micros(stage, quantile) as f64 / 1e3;
    if args.output == ReportFormat::Json {
        let mut answer = serde_json::json!({
            "file": args.file,
            "topic": topic,
            "records": progress.records,
            "events": progress.events,
            "rejects": progress.rejects,
            "findings": progress.findings,
            "commits": progress.commits,
            "commit_ms": {"p50": ms(Stage::Commit, 0.5), "p99": ms(Stage::Commit, 0.99)},
            "seal_ms": {"p50": ms(Stage::Seal, 0.5), "p99": ms(Stage::Seal, 0.99)},
        });
        if let Some(counts) = delivered {
            answer["webhooks"] = serde_json::json!({
                "delivered": counts.delivered, "pending": counts.pending, "dead": counts.dead,
            });
        }
        return terminal::answer(&format!("{answer}\n"));
    }
    let mut text = format!(
        "{}: {} read, {}, {}, {}\n",
        args.file.display(),
        counted(progress.records, "record"),
        counted(progress.events, "event"),
        counted(progress.rejects, "reject"),
        counted(progress.findings, "finding")
    );
    if let Some(Counts { delivered, pending, dead, .. }) = delivered {
        writeln!(text, "webhooks: {delivered} delivered, {pending} pending, {dead} dead")
            .expect("writing to a string");
    }
    if progress.records == 0 {
        text += "every record of this file is in the lake already\n";
    }
    terminal::answer(&text)
}
