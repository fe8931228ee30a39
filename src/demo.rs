//! `surety demo`: the whole pipe in one process, with a company to watch and an attack to catch.
//!
//! Invariant: only Kafka is stood in for (by librdkafka's own broker, in this process); topic,
//! consumer, detector, outbox, HTTP, Delta tables and SQL are those of `surety run`. Every figure of
//! the report is counted in the lake, at the webhook's receiver or on the clock; none is assumed.

mod receiver;
mod report;
mod story;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest::{EmbeddedBroker, KafkaConfig, KafkaSource, Normaliser, Producer};
use schemas::{Format, Timestamp, Topic};
use simulate::{Company, Scenario, ScenarioKind, Settings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{Demo, LakeArg, ReportFormat};
use crate::clock;
use crate::commands::{self, Locations, wiring};
use crate::config::{Config, Webhook};
use crate::exit::{Exit, Failure};
use crate::http::Health;
use crate::pipeline::{Checkpoints, Parts, Pipeline, Readers, Routes, of_source};
use report::Report;
use story::{Played, Teller, say};

const TOPIC: &str = "credential-uses";
/// A divisor of 64, so that a partition carries whole shards.
const PARTITIONS: i32 = 16;
/// The file by which a demo's folder is known.
const MARK: &str = ".surety-demo";
/// Normal life before the attack begins, in the company's time.
const CALM: Duration = Duration::from_mins(5);

/// The times of the story.
struct Times {
    start: Timestamp,
    live: Timestamp,
    attack: Timestamp,
    end: Timestamp,
}

impl Times {
    /// The live part ends now, so that its events have today's date.
    fn ending_at(now: Timestamp, days: u32) -> Self {
        let attack_length = ScenarioKind::ProcurementFraud.duration_max();
        let live = now.minus(CALM + attack_length + CALM);
        let attack = live.plus(CALM);
        Self {
            start: live.minus(Duration::from_hours(24) * days),
            live,
            attack,
            end: attack.plus(attack_length),
        }
    }
}

/// Plays the demo and prints what came of it.
///
/// # Errors
///
/// A [`Failure`] if the folder holds something else, or a part cannot start.
pub(crate) async fn run(
    args: Demo,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    let is_watched = !args.once && args.format == ReportFormat::Table;
    let mut locations = Locations::of(&LakeArg { lake: Some(args.lake.clone()) }, config)?;
    let Some(folder) = locations.lake.folder() else {
        let text = "--lake: wanted a folder to leave the demo in, found a URL of a store";
        return Err(Failure::told(Exit::Usage, text.to_owned()));
    };
    prepare_folder(&folder)?;
    // In the demo's own folder, so that it is replaced with it.
    locations.state = folder.join("state");
    locations.make_state_folder()?;
    let times = Times::ending_at(clock::now(), args.days);
    let company = company(&args, &times);
    let lake = commands::open_lake(&locations)?;
    import_registry(&company, &lake).await?;

    let (broker, topic) = (EmbeddedBroker::start().map_err(of_source)?, Topic::new(TOPIC));
    broker.create_topic(&topic, PARTITIONS).map_err(of_source)?;
    let (stop, end_of_story) = (CancellationToken::new(), CancellationToken::new());
    // The person, or the pipeline's end, stops the teller.
    let nobody_listens = shutdown.child_token();
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    let (inbox, address, server) = receiver::serve(stop.clone()).await?;
    tasks.spawn(async move { server.await.map_err(Failure::from) });
    let webhook = [endpoint(address)?];
    let (routes, deliverer) = wiring::routes_and_deliverer(&webhook, &locations.state)?;
    if let Some(deliverer) = deliverer {
        let stop = stop.clone();
        tasks.spawn(async move {
            deliverer.run(wiring::publish_webhooks, stop).await.map_err(crate::pipeline::of_outbox)
        });
    }
    let source = connect(&broker, &topic).await?;
    let parts = parts(source, &topic, (&lake, &routes), (config, &locations))?;
    let pipeline = Box::pin(Pipeline::start(parts)).await?;
    if is_watched {
        say(&format!(
            "{} agents, {} days of history; the lake is {}",
            args.agents, args.days, args.lake
        ));
    }
    let teller = Teller {
        company,
        topic: topic.clone(),
        partitions: PARTITIONS,
        producer: Producer::connect(&broker.bootstrap_servers(), &BTreeMap::new())
            .map_err(commands::of_producer)?,
        progress: pipeline.progress(),
        inbox: inbox.clone(),
        is_watched,
        days: args.days,
        speed: args.speed,
        shutdown: nobody_listens.clone(),
    };
    let played = tell(teller, &times, end_of_story.clone());
    let work = async {
        let summary = Box::pin(pipeline.run_to_end(end_of_story)).await;
        nobody_listens.cancel();
        summary
    };
    let (summary, played) = tokio::join!(work, played);
    // The pipeline's failure comes first: it is why the teller stopped.
    summary?;
    let played = played?;
    stop.cancel();
    commands::join_all(tasks).await?;
    let report = Report::of(&args, &lake, &played, &inbox, &routes).await?;
    report.print(args.format, &args.lake)?;
    Ok(Exit::Ok)
}

/// The pipeline of `surety run`, over the demo's topic.
fn parts(
    source: KafkaSource,
    topic: &Topic,
    (lake, routes): (&lake::Lake, &Routes),
    (config, locations): (&Config, &Locations),
) -> Result<Parts<KafkaSource>, Failure> {
    let redactor = wiring::redactor(config, &locations.state)?;
    let uses = BTreeMap::from([(topic.clone(), Normaliser::new(Format::Native, redactor))]);
    Ok(Parts {
        source,
        readers: Readers { uses, registry: None },
        lake: lake.clone(),
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes: routes.clone(),
        limits: config.into(),
        health: Health::default(),
        seal_key: wiring::seal_key(config, &locations.state)?,
    })
}

fn company(args: &Demo, times: &Times) -> Arc<Company> {
    let mut settings = Settings::new(args.seed, args.agents as usize, times.start);
    let (kind, start) = (ScenarioKind::ProcurementFraud, times.attack);
    settings.scenarios = vec![Scenario { kind, start }];
    Arc::new(Company::new(&settings))
}

async fn import_registry(company: &Company, lake: &lake::Lake) -> Result<(), Failure> {
    let told = clock::now();
    let mut changes = company.registry_changes();
    for change in &mut changes {
        change.recorded_at = change.recorded_at.or(Some(told));
    }
    lake.import_registry(&changes, told).await.map_err(crate::pipeline::of_commit)?;
    Ok(())
}

/// Tells the story on the runtime's other threads; ends the pipeline when it is told.
async fn tell(teller: Teller, times: &Times, end: CancellationToken) -> Result<Played, Failure> {
    let (start, live, last) = (times.start, times.live, times.end);
    let mut task = JoinSet::new();
    task.spawn(async move { teller.tell(start, live, last).await });
    let told = task.join_next().await.expect("one task was spawned");
    end.cancel();
    told.map_err(|error| Failure::new(Exit::Software, error))?
}

async fn connect(broker: &EmbeddedBroker, topic: &Topic) -> Result<KafkaSource, Failure> {
    let kafka = KafkaConfig {
        bootstrap_servers: broker.bootstrap_servers(),
        group: "surety-demo".to_owned(),
        topics: vec![topic.clone()],
        is_embedded: true,
        ..KafkaConfig::default()
    };
    KafkaSource::connect(kafka).await.map_err(of_source)
}

/// The demo's own endpoint. Its secret guards nothing: it is made for this one run.
fn endpoint(address: std::net::SocketAddr) -> Result<Webhook, Failure> {
    // 64 hexadecimal digits are base64 of 48 bytes.
    let key = wiring::random_hex()?;
    let webhook = Webhook::new("demo", &format!("http://{address}/findings"), &key);
    Ok(Webhook { allow_private: true, ..webhook })
}

/// An earlier demo's folder is replaced; anything else is left alone.
fn prepare_folder(folder: &Path) -> Result<(), Failure> {
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            return Err(Failure::new(Exit::Unavailable, error)
                .while_doing(format!("read the folder {}", folder.display())));
        }
    };
    if !is_empty && !folder.join(MARK).exists() {
        let text = format!(
            "{} holds something that is not an earlier demo: name another folder with --lake",
            folder.display()
        );
        return Err(Failure::told(Exit::Usage, text));
    }
    if !is_empty {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(folder.join(MARK), "made by surety demo; replaced by the next one\n")?)
}
