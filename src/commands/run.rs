//! `surety run`: ingest, detect, webhooks, the door for questions and the operator's in one process.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use ingest::{Epochs, KafkaConfig, KafkaSource};
use lake::Lake;
use lake::seal::SealKey;
use schemas::Format;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::wiring::{self, Locations};
use crate::cli::Run;
use crate::clock;
use crate::config::{Config, KafkaTopic, Start};
use crate::exit::{Exit, Failure};
use crate::http::{self, Admission, Door, Health};
use crate::pipeline::{Checkpoints, Parts, Pipeline, of_source};
use crate::upkeep::{self, Plan};
use crate::worker::Worker;
use crate::{telemetry, witness};

/// Runs until `shutdown`.
///
/// # Errors
///
/// A [`Failure`] if a part cannot start, or the loop meets what it cannot repair.
pub(super) async fn run(
    args: Run,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Exit, Failure> {
    wiring::check(config)?;
    let metrics = telemetry::collect_metrics()?;
    let health = Health::default();
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    if let Some(listen) = config.http.listen {
        let (address, server) = http::serve(listen, health.clone(), metrics, stop.clone()).await?;
        tracing::info!(%address, "serving /metrics, /healthz and /readyz");
        tasks.spawn(async move { server.await.map_err(Failure::from) });
    }
    let locations = Locations::of(&args.lake, config)?;
    let lake = wiring::open_lake(&locations)?;
    locations.make_state_folder()?;
    let redactor = wiring::redactor(config, &locations.state)?;
    // Questions are answered from the lake alone until the loop has started.
    let asker = Arc::new(OnceLock::new());
    if let Some(listen) = config.query.listen {
        let admission =
            Admission { token: wiring::query_token(config)?, redactor: redactor.clone() };
        let door = Door::new(lake.clone(), Arc::clone(&asker), &config.query, admission);
        let (address, end) = door.open(listen, stop.clone())?;
        tracing::info!(%address, "answering at /v1/sql, /v1/agents, /v1/trace, /v1/score, /v1/dispositions and /v1/expectations");
        tasks.spawn(end);
    }
    publish_heads(&mut tasks, config, &locations, &lake, &stop)?;
    let seal_key = wiring::seal_key(config, &locations.state)?;
    keep_lake(&mut tasks, config, (&lake, &seal_key), &stop)?;
    let worker = worker(&locations.state);
    let source = connect(config, worker.as_ref()).await?;
    let (routes, deliverer) = wiring::routes_and_deliverer(&config.endpoints(), &locations.state)?;
    if let Some(deliverer) = deliverer {
        let stop = stop.clone();
        tasks.spawn(async move {
            let ended = deliverer.run(wiring::publish_webhooks, stop).await;
            ended.map_err(crate::pipeline::of_outbox)
        });
    }
    let parts = Parts {
        source,
        readers: wiring::readers(config, &redactor)?,
        lake,
        detect: config.detect.clone(),
        checkpoints: Checkpoints::new(&locations.state)?,
        routes,
        limits: config.into(),
        health,
        seal_key,
    };
    let pipeline = Box::pin(Pipeline::start(parts)).await?;
    asker.get_or_init(|| pipeline.asker());
    let summary = tokio::select! {
        summary = pipeline.run(shutdown) => summary?,
        Some(ended) = tasks.join_next() => {
            ended.map_err(|error| Failure::new(Exit::Software, error))??;
            return Err(Failure::told(Exit::Software, "a task of the service ended by itself".to_owned()));
        }
    };
    tracing::info!(
        records = summary.progress.records,
        committed = summary.progress.committed,
        findings = summary.progress.findings,
        "stopped"
    );
    stop.cancel();
    wiring::join_all(tasks).await?;
    Ok(Exit::Ok)
}

/// Sends heads to the witnesses while the service runs.
fn publish_heads(
    tasks: &mut JoinSet<Result<(), Failure>>,
    config: &Config,
    locations: &Locations,
    lake: &Lake,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let witnesses = wiring::witnesses(config, &locations.lake)?;
    if !witnesses.is_empty() {
        let interval = config.seal.witness_ms.get();
        let heads = witness::publish(lake.clone(), witnesses, interval, stop.clone());
        tasks.spawn(async move {
            heads.await;
            Ok(())
        });
    }
    Ok(())
}

/// Keeps the lake while the service runs.
fn keep_lake(
    tasks: &mut JoinSet<Result<(), Failure>>,
    config: &Config,
    (lake, key): (&Lake, &Arc<SealKey>),
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let settings = &config.lake.upkeep;
    if settings.in_run {
        let timing = (wiring::random_hex()?, settings.interval_ms.get());
        let whose = (lake.clone(), Arc::clone(key));
        let keeping = upkeep::keep(whose, Plan::of(&config.lake), timing, stop.clone());
        tasks.spawn(async move {
            keeping.await;
            Ok(())
        });
    }
    Ok(())
}

/// What this process is called in the consumer group. Without a name it is a new member, as it is where
/// the state's folder is not kept.
fn worker(state: &Path) -> Option<Worker> {
    let worker = Worker::of(state);
    worker
        .inspect_err(|error| {
            let path = state.display();
            tracing::warn!(%path, %error, "no name in the consumer group can be kept");
        })
        .ok()
}

async fn connect(config: &Config, worker: Option<&Worker>) -> Result<Epochs<KafkaSource>, Failure> {
    let member = worker.map(|worker| worker.name.clone());
    let source = KafkaSource::connect(KafkaConfig { member, ..kafka(config) }).await;
    let names = config.kafka.topics.iter().filter(|topic| topic.epoch.is_some());
    let names = names.map(|topic| (topic.name.get_ref().clone(), topic.in_lake())).collect();
    Ok(Epochs::new(source.map_err(of_source)?, names))
}

/// What the configuration says of Kafka.
pub(super) fn kafka(config: &Config) -> KafkaConfig {
    let kafka = &config.kafka;
    let uses = kafka.topics.iter().map(|topic| &topic.name);
    let topics = uses.chain(&kafka.registry_topic).map(|name| name.get_ref().clone()).collect();
    // A topic that was made anew is read whole: what it held before is not in it.
    let anew = kafka.topics.iter().filter(|topic| topic.epoch.is_some()).map(|topic| &topic.name);
    let whole = anew.chain(&kafka.registry_topic).map(|name| name.get_ref().clone());
    let is_events = |topic: &&KafkaTopic| *topic.format.get_ref() == Format::CloudEvents;
    let of_events = kafka.topics.iter().filter(is_events).map(|topic| topic.name.get_ref().clone());
    KafkaConfig {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        group: kafka.group.clone(),
        topics,
        start: match kafka.start {
            Start::Earliest => ingest::StartAt::Earliest,
            Start::Latest => ingest::StartAt::Latest,
        },
        topics_from_earliest: whole.collect(),
        topics_of_events: of_events.collect(),
        properties: kafka.properties(),
        now: clock::now,
        ..KafkaConfig::default()
    }
}
