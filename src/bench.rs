//! `surety bench pipeline`: consume to commit with everything on, over records produced beforehand:
//! the registry knows the agents, so each trace leads to a sponsor, and findings go to an outbox.
//!
//! Invariant: the clock starts when the last record is in the broker and stops when the last row is
//! in the lake; at a rate it is the schedule that starts, when the first record was read: what waits for a
//! consumer to join its group is no load. The rows are counted in the lake before any figure counts. The
//! embedded broker's own CPU time is in the figures, since it runs in this process; a real broker's is not.

mod detector;
mod load;
mod registry;
mod unmix;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ingest::{EmbeddedBroker, KafkaConfig, KafkaSource, Normaliser, Producer};
use schemas::{AgentId, Fact, Format, KafkaPartition, NativeEvent, Topic};
use serde_json::{Value, json};
use simulate::{Company, Settings, cloudtrail, output};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::{BenchInput, BenchPipeline, LakeArg, ReportFormat};
use crate::clock;
use crate::commands::{self, Locations, wiring};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{Checkpoints, Parts, Pipeline, Readers, Summary, of_source};
use crate::telemetry::Stage;
use crate::terminal;

pub(crate) use detector::run as run_detector;
pub(crate) use registry::run as run_registry;
pub(crate) use unmix::run as run_unmix;

/// The embedded broker keeps 5 MiB a partition; an event is about 650 bytes, and less than a third of
/// that once compressed.
const EVENTS_PER_PARTITION: u64 = 10_000;
/// How long records wait for others of their partition, in ms. The embedded broker walks along a
/// partition's batches at each fetch: with small ones it takes a fifth of all CPU time.
const LINGER_MS: &str = "500";
const REAL_PARTITIONS: i32 = 16;

/// What the figure `rss_bytes` is of.
const RSS_INCLUDES: &str = "the process at its largest: pipeline, detector and registry, the producer that filled the topic, \
     and the embedded broker with all records where it stands in for a real one";

/// The broker of a bench. A topic on a real one is removed with it, however the bench ends.
enum Broker {
    Embedded(EmbeddedBroker),
    Real { servers: String, topic: Topic },
}

impl Broker {
    /// A broker with the topic, and the number of its partitions.
    fn with_topic(args: &BenchPipeline, topic: &Topic) -> Result<(Self, i32), Failure> {
        if let Some(servers) = &args.bootstrap_servers {
            ingest::create_topic(servers, topic, REAL_PARTITIONS).map_err(of_source)?;
            let real = Self::Real { servers: servers.clone(), topic: topic.clone() };
            return Ok((real, REAL_PARTITIONS));
        }
        let partitions = i32::try_from(args.events / EVENTS_PER_PARTITION + 1).unwrap_or(i32::MAX);
        let broker = EmbeddedBroker::start().map_err(of_source)?;
        broker.create_topic(topic, partitions).map_err(of_source)?;
        Ok((Self::Embedded(broker), partitions))
    }

    fn servers(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.bootstrap_servers(),
            Self::Real { servers, .. } => servers.clone(),
        }
    }

    fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Real { servers, topic } = self
            && let Err(error) = ingest::delete_topic(servers, topic)
        {
            tracing::warn!(%error, %topic, "the bench's topic was not removed");
        }
    }
}

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
    import_registry(&args, &lake).await?;
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
    let source = KafkaSource::connect(KafkaConfig {
        bootstrap_servers: broker.servers(),
        group: format!("surety-bench-{}", clock::now().as_micros()),
        topics: vec![topic.clone()],
        is_embedded: broker.is_embedded(),
        ..KafkaConfig::default()
    });
    let parts = Parts {
        source: source.await.map_err(of_source)?,
        readers: Readers {
            uses: BTreeMap::from([(
                topic.clone(),
                Normaliser::new(format(&args), wiring::redactor(config, &locations.state)?),
            )]),
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
    let before = Usage::now()?;
    let began = Instant::now();
    let pipeline = Box::pin(Pipeline::start(parts)).await?;
    let stop = CancellationToken::new();
    let watching =
        watch_over(pipeline.progress(), args.events, first_read, stop.clone(), shutdown.clone());
    let (summary, ()) = tokio::join!(pipeline.run_to_end(stop), watching);
    let (elapsed, used) = (began.elapsed(), Usage::now()?.since(&before));
    let summary = summary?;
    check_running(&shutdown)?;
    if args.rate.is_some() {
        bytes = of_thread(producing.await)?;
    }
    let stored = stored(&lake, &topic).await?;
    if stored != args.events {
        let text = format!("wanted {} events in the lake, found {stored}", args.events);
        return Err(Failure::told(Exit::Software, text));
    }
    let measured = Measured { elapsed, used, disk: bytes_below(folder)?, filled_bytes: bytes };
    print(args.format, &figures(&args, &summary, &measured))?;
    Ok(Exit::Ok)
}

/// What a thread came to; its panic is ours.
fn of_thread<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    joined.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// # Errors
///
/// [`Exit::Unavailable`] when the person does not want to wait for the end.
fn check_running(shutdown: &CancellationToken) -> Result<(), Failure> {
    if shutdown.is_cancelled() {
        let text = "stopped before the end: nothing was measured".to_owned();
        return Err(Failure::told(Exit::Unavailable, text));
    }
    Ok(())
}

/// What the company of the bench told of its agents: the one whose day begins with the first event.
async fn import_registry(args: &BenchPipeline, lake: &lake::Lake) -> Result<(), Failure> {
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
    lake.import_registry(&changes, told).await.map_err(crate::pipeline::of_commit)?;
    Ok(())
}

fn format(args: &BenchPipeline) -> Format {
    match args.input {
        BenchInput::Native => Format::Native,
        BenchInput::CloudTrail => Format::CloudTrail,
    }
}

struct Measured {
    elapsed: Duration,
    used: Usage,
    /// Bytes of Parquet.
    disk: u64,
    filled_bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(args: &BenchPipeline, summary: &Summary, measured: &Measured) -> Value {
    let events = args.events as f64;
    let stages: serde_json::Map<String, Value> = Stage::ALL
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
        "seconds": measured.elapsed.as_secs_f64(),
        "events_per_second": events / measured.elapsed.as_secs_f64(),
        "cpu_us_per_event": measured.used.cpu.as_secs_f64() * 1e6 / events,
        "sealing_cpu_share": sealing.as_secs_f64() / measured.used.cpu.as_secs_f64(),
        "stages": stages,
        "bytes_per_event": measured.disk as f64 / events,
        "json_bytes_per_event": measured.filled_bytes as f64 / events,
        "rss_bytes": measured.used.rss_bytes,
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

/// A topic that waits for its events, and who brings them.
struct Supply {
    broker: Broker,
    topic: Topic,
    partitions: i32,
    producer: Producer,
}

impl Supply {
    fn new(args: &BenchPipeline) -> Result<Self, Failure> {
        let topic = Topic::new(&format!("surety-bench-{}", clock::now().as_micros()));
        let (broker, partitions) = Broker::with_topic(args, &topic)?;
        let linger = [("linger.ms".to_owned(), LINGER_MS.to_owned())];
        // At a rate, records are not kept waiting for others.
        let properties = linger.into_iter().filter(|_| args.rate.is_none()).collect();
        let producer =
            Producer::connect(&broker.servers(), &properties).map_err(commands::of_producer)?;
        Ok(Self { broker, topic, partitions, producer })
    }

    /// Produces all events, as fast as can be, or at the wanted rate once the first was read. Returns their
    /// bytes.
    fn produce(
        producer: &mut Producer,
        (topic, partitions): (&Topic, i32),
        args: &BenchPipeline,
        is_read: oneshot::Receiver<()>,
        shutdown: &CancellationToken,
    ) -> Result<u64, Failure> {
        let style = ProgressStyle::with_template("producing: {wide_bar} {human_pos}/{human_len}")
            .expect("a valid template");
        let bar = ProgressBar::new(args.events).with_style(style);
        let (mut json, mut bytes, mut began) = (Vec::new(), 0, Instant::now());
        let mut is_read = args.rate.is_some().then_some(is_read);
        let events = simulate::bench_events(args.agents as usize, args.events, args.seed);
        let events: Box<dyn Iterator<Item = NativeEvent>> = if args.busy_agent {
            Box::new(simulate::half_of_one_agent(events))
        } else {
            Box::new(events)
        };
        for (number, event) in events.enumerate() {
            json.clear();
            match args.input {
                BenchInput::Native => output::write_json(&event, &mut json),
                BenchInput::CloudTrail => {
                    cloudtrail::write_cloudtrail(&event, number as u64, &mut json);
                }
            }
            bytes += json.len() as u64;
            // In turn: keyed by agent, the busiest agent alone would fill what the broker keeps.
            let turn = i32::try_from(number % partitions.unsigned_abs() as usize);
            let partition = KafkaPartition(turn.expect("fewer than 2^31 partitions"));
            if let Some(rate) = args.rate {
                // By the schedule, whatever came before: a late record makes no other one late.
                let due = Duration::from_secs(number as u64) / rate;
                let early = due.saturating_sub(began.elapsed());
                if Duration::from_millis(1) < early {
                    std::thread::sleep(early);
                }
            }
            producer.send(topic, partition, event.time, &json).map_err(commands::of_producer)?;
            if let Some(is_read) = is_read.take() {
                // Whoever reads may have failed: then the rest is in nobody's way.
                let _failed = is_read.blocking_recv();
                began = Instant::now();
            }
            if number.is_multiple_of(10_000) {
                check_running(shutdown)?;
                bar.set_position(number as u64);
            }
        }
        producer.flush().map_err(commands::of_producer)?;
        bar.finish_and_clear();
        Ok(bytes)
    }
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
