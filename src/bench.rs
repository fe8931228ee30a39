//! `surety bench pipeline`: consume to commit with everything on, over records produced beforehand:
//! the registry knows the agents, so each trace leads to a sponsor, and findings go to an outbox.
//!
//! Invariant: the clock starts when the last record is in the broker and the registry in memory, and stops when the
//! last row is in the lake; at a rate it is the schedule that starts (`supply.rs`). The rows are counted in the lake before
//! any figure counts. The embedded broker's own CPU time is in the figures, since it runs in this process; a real
//! broker's is not. What each stage costs alone is measured right after, in the same process (`alone.rs`).

mod alone;
mod detector;
mod load;
mod registry;
mod supply;
mod unmix;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ingest::{KafkaSource, Normaliser};
use schemas::{AgentId, Fact, Registry, RegistryChange, Timestamp, Topic};
use serde_json::{Map, Value, json};
use simulate::{Company, Settings, cloudtrail};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::{BenchInput, BenchPipeline, LakeArg, ReportFormat};
use crate::clock;
use crate::commands::{self, Locations, wiring};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{Checkpoints, Parts, Pipeline, Readers, Summary};
use crate::telemetry::Stage;
use crate::terminal;

use self::alone::Alone;
use self::supply::{Supply, check_running, format};
pub(crate) use detector::run as run_detector;
pub(crate) use registry::run as run_registry;
pub(crate) use unmix::run as run_unmix;

/// What the figure `rss_bytes` is of.
const RSS_INCLUDES: &str = "the process at its largest: pipeline, detector and registry, the producer that filled the topic, \
     and the embedded broker with all records where it stands in for a real one";

/// Fills a topic, drains it into a lake and prints the figures; or does both at once, at a rate.
///
/// # Errors
///
/// A [`Failure`] if broker or lake fail, or if the lake does not hold every event once.
pub(crate) async fn run(
    args: BenchPipeline,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    let scratch = Scratch::new(&args.lake)?;
    let mut locations = Locations::of(&LakeArg { lake: Some(scratch.lake.clone()) }, config)?;
    let Some(folder) = locations.lake.folder() else {
        let text = "--lake: wanted a folder, whose bytes can be counted, found a URL of a store";
        return Err(Failure::told(Exit::Usage, text.to_owned()));
    };
    locations.state = folder.join("state");
    locations.make_state_folder()?;
    let lake = commands::open_lake(&locations)?;
    let (told, changes) = registry_changes(&args);
    lake.import_registry(&changes, told).await.map_err(crate::pipeline::of_commit)?;
    let Supply { broker, topic, partitions, mut producer } = Supply::new(&args)?;
    let (first_read, is_read) = oneshot::channel();
    let produce = {
        let (args, topic, shutdown) = (args.clone(), topic.clone(), shutdown.clone());
        move || Supply::produce(&mut producer, (&topic, partitions), &args, is_read, &shutdown)
    };
    let mut producing = tokio::task::spawn_blocking(produce);
    let mut bytes = 0;
    if args.rate.is_none() {
        bytes = of_thread((&mut producing).await)?;
    }
    let normaliser = Normaliser::new(format(&args), wiring::redactor(config, &locations.state)?);
    let parts = Parts {
        source: broker.consumer(&topic).await?,
        readers: Readers {
            uses: BTreeMap::from([(topic.clone(), normaliser.clone())]),
            registry: None,
        },
        lake: lake.clone(),
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes: wiring::routes_to_nobody(&locations.state)?,
        limits: config.into(),
        health: Health::default(),
        seal_key: wiring::seal_key(config, &locations.state)?,
    };
    let draining = Box::pin(drain(parts, args.events, first_read, &shutdown));
    let (summary, drained) = draining.await?;
    if args.rate.is_some() {
        bytes = of_thread(producing.await)?;
    }
    let stored = stored(&lake, &topic).await?;
    if stored != args.events {
        let text = format!("wanted {} events in the lake, found {stored}", args.events);
        return Err(Failure::told(Exit::Software, text));
    }
    let measured = Measured { drained, disk: bytes_below(folder)?, filled_bytes: bytes };
    let mut figures = figures(&args, &summary, &measured);
    if args.rate.is_none() {
        let limits = config.into();
        let consumed = tokio::select! {
            consumed = alone::consume(broker.consumer(&topic).await?, args.events, limits) => consumed?,
            () = shutdown.cancelled() => return check_running(&shutdown).map(|()| Exit::Ok),
        };
        let detector = detect::Detector::new(config.detect.clone());
        let registry = registry_of(&changes);
        let alone = alone::measure(&args, limits, detector, &normaliser, registry)?;
        add_alone(&mut figures, consumed, alone, args.events);
    }
    print(args.format, &figures)?;
    Ok(Exit::Ok)
}

/// A pool in which everything that would be spread runs in one thread.
fn one_thread() -> Result<rayon::ThreadPool, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.map_err(|error| Failure::new(Exit::Unavailable, error))
}

fn registry_of(changes: &[RegistryChange]) -> Registry {
    let mut registry = Registry::default();
    for change in changes {
        registry.apply(change).expect("each says when it was told");
    }
    registry
}

/// Adds what the stages cost alone, and how many times their sum an event has cost.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn add_alone(figures: &mut Value, consumed: Duration, alone: Alone, events: u64) {
    let consumed = ("consume", consumed.as_secs_f64() * 1e9 / events as f64);
    let stages: Vec<_> = std::iter::once(consumed).chain(alone).collect();
    let sum_us = stages.iter().map(|(_, ns)| ns).sum::<f64>() / 1e3;
    let together_us = figures["cpu_us_per_event"].as_f64().unwrap_or_default();
    let stages = stages.into_iter().map(|(stage, ns)| (stage.to_owned(), json!(ns)));
    figures["alone_ns_per_event"] = stages.collect::<Map<_, _>>().into();
    figures["alone_us_per_event"] = sum_us.into();
    figures["cpu_to_alone"] = (together_us / sum_us).into();
}

/// What a thread came to; its panic is ours.
fn of_thread<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// What the company of the bench told of its agents, and when: the one whose day begins with the first event.
fn registry_changes(args: &BenchPipeline) -> (Timestamp, Vec<RegistryChange>) {
    let (told, agents) = (clock::now(), args.agents as usize);
    let first = simulate::bench_events(agents, 1, args.seed).next();
    let start = first.map_or(told, |event| event.time);
    let mut changes = Company::new(&Settings::new(args.seed, agents, start)).registry_changes();
    for change in &mut changes {
        change.recorded_at = change.recorded_at.or(Some(told));
        if let (BenchInput::CloudTrail, Fact::Agent { agent_id, agent_class, .. }) =
            (args.input, &mut change.fact)
        {
            let arn = cloudtrail::agent_arn(agent_class.as_ref(), agent_id);
            *agent_id = AgentId::try_from(arn).expect("an agent's name is short");
        }
    }
    (told, changes)
}

struct Drained {
    /// What reading registry and state took, before anything is consumed.
    start: Duration,
    elapsed: Duration,
    used: Usage,
}

/// Runs the pipeline until it has read and committed so many events.
async fn drain(
    parts: Parts<KafkaSource>,
    events: u64,
    first_read: oneshot::Sender<()>,
    shutdown: &CancellationToken,
) -> Result<(Summary, Drained), Failure> {
    let began = Instant::now();
    let pipeline = Box::pin(Pipeline::start(parts)).await?;
    let (start, before, began) = (began.elapsed(), Usage::now()?, Instant::now());
    let stop = CancellationToken::new();
    let watching =
        watch_over(pipeline.progress(), events, first_read, stop.clone(), shutdown.clone());
    let (summary, ()) = tokio::join!(pipeline.run_to_end(stop), watching);
    let (elapsed, used) = (began.elapsed(), Usage::now()?.since(&before));
    let summary = summary?;
    check_running(shutdown)?;
    Ok((summary, Drained { start, elapsed, used }))
}

struct Measured {
    drained: Drained,
    /// Bytes of Parquet.
    disk: u64,
    filled_bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(args: &BenchPipeline, summary: &Summary, measured: &Measured) -> Value {
    let (events, Drained { start, elapsed, used }) = (args.events as f64, &measured.drained);
    let stages: Map<String, Value> = Stage::ALL
        .iter()
        .map(|stage| {
            let total = summary.stages.total(*stage);
            (
                stage.name().to_owned(),
                json!({
                    "seconds": total.as_secs_f64(),
                    "ns_per_event": total.as_secs_f64() * 1e9 / events,
                    "p99_ms": summary.stages.micros(*stage, 0.99) as f64 / 1e3,
                }),
            )
        })
        .collect();
    let sealing = summary.stages.total(Stage::Hash) + summary.stages.total(Stage::Seal);
    let latency = |quantile| summary.stages.micros(Stage::ArrivalToOutbox, quantile) as f64 / 1e3;
    json!({
        "events": args.events,
        "agents": args.agents,
        "rate": args.rate,
        "input": format(args).as_str(),
        "broker": if args.bootstrap_servers.is_some() { "real" } else { "embedded" },
        "start_seconds": start.as_secs_f64(),
        "seconds": elapsed.as_secs_f64(),
        "events_per_second": events / elapsed.as_secs_f64(),
        "cpu_us_per_event": used.cpu.as_secs_f64() * 1e6 / events,
        "sealing_cpu_share": sealing.as_secs_f64() / used.cpu.as_secs_f64(),
        "stages": stages,
        "bytes_per_event": measured.disk as f64 / events,
        "json_bytes_per_event": measured.filled_bytes as f64 / events,
        "rss_bytes": used.rss_bytes,
        "rss_includes": RSS_INCLUDES,
        "agents_seen": summary.detector.agents,
        "bytes_per_agent": summary.detector.bytes as f64 / (summary.detector.agents.max(1) as f64),
        "findings": summary.progress.findings,
        "commits": summary.progress.commits,
        "latency_ms": {"p50": latency(0.5), "p99": latency(0.99), "p999": latency(0.999)},
    })
}

fn print(format: ReportFormat, figures: &Value) -> Result<(), Failure> {
    let mut lines = Vec::new();
    if format == ReportFormat::Json {
        return terminal::answer(&format!("{figures:#}\n"));
    }
    for (name, value) in figures.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(inner) => {
                let parts = inner.iter();
                lines.extend(parts.map(|(part, value)| format!("{name}.{part:<24} {value}\n")));
            }
            None => lines.push(format!("{name:<28} {value}\n")),
        }
    }
    terminal::answer(&lines.concat())
}

/// Tells when the first event was read, and stops the pipeline when all were, or when the person asks for it.
async fn watch_over(
    mut progress: tokio::sync::watch::Receiver<crate::pipeline::Progress>,
    events: u64,
    first_read: oneshot::Sender<()>,
    stop: CancellationToken,
    shutdown: CancellationToken,
) {
    let reading = async {
        // An error means that the pipeline has ended by itself.
        let _ended = progress.wait_for(|progress| 1 <= progress.records).await.map(|_| ());
        let _failed = first_read.send(());
        let _ended = progress.wait_for(|progress| events <= progress.records).await.map(|_| ());
    };
    tokio::select! {
        () = reading => {}
        () = shutdown.cancelled() => {}
    }
    stop.cancel();
}

/// How many records of the topic are in the lake.
async fn stored(lake: &lake::Lake, topic: &Topic) -> Result<u64, Failure> {
    let engine =
        query::Engine::open(lake, query::Limits::ONE_PERSON).await.map_err(commands::of_query)?;
    let statement = format!(
        "SELECT count(*) AS n FROM \
         (SELECT DISTINCT kafka_partition, kafka_offset FROM events WHERE topic = '{topic}')"
    );
    let rows = commands::rows_of(&engine, &statement).await?;
    Ok(rows[0]["n"].as_u64().unwrap_or(0))
}

/// The lake of a bench: a named one, or a folder that is removed afterwards.
struct Scratch {
    lake: String,
    is_ours: bool,
}

impl Scratch {
    fn new(argument: &LakeArg) -> Result<Self, Failure> {
        if let Some(lake) = &argument.lake {
            return Ok(Self { lake: lake.clone(), is_ours: false });
        }
        let lake = format!("surety-bench-{}", clock::now().as_micros());
        std::fs::create_dir(&lake)?;
        Ok(Self { lake, is_ours: true })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = std::fs::remove_dir_all(&self.lake)
        {
            tracing::warn!(%error, folder = self.lake, "the bench's lake was not removed");
        }
    }
}

/// Bytes of the Parquet files in a folder and below.
fn bytes_below(folder: PathBuf) -> std::io::Result<u64> {
    let (mut bytes, mut folders) = (0, vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|kind| kind == "parquet") {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

/// What the process has used so far. Source: proc(5), `/proc/self/stat` and `/proc/self/status`.
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Largest resident set so far.
    rss_bytes: u64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self, Failure> {
        let (stat, status) = (
            std::fs::read_to_string("/proc/self/stat")?,
            std::fs::read_to_string("/proc/self/status")?,
        );
        // The second field, the program's name, may hold spaces and ends with the last bracket.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u64> =
            after_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // utime and stime, fields 14 and 15 counted from 1, in ticks of 10 ms.
        let ticks = fields.get(11).copied().unwrap_or(0) + fields.get(12).copied().unwrap_or(0);
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|n| n.parse::<u64>().ok());
        Ok(Self { cpu: Duration::from_millis(10 * ticks), rss_bytes: 1_024 * kib.unwrap_or(0) })
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), rss_bytes: self.rss_bytes }
    }
}
