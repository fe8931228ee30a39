//! `surety simulate`: the simulated company's events, to a file, to stdout or to Kafka.
//!
//! Invariant: the same arguments with the same `--start` write the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum as _;
use ingest::Producer;
use schemas::{KafkaPartition, RegistryChange, Shard, Timestamp, Topic};
use simulate::{Company, Scenario, ScenarioKind, Settings, SimulatedEvent, output};
use tokio_util::sync::CancellationToken;

use crate::cli::{Attack, Simulate};
use crate::clock;
use crate::exit::{Exit, Failure};

const DAY: Duration = Duration::from_hours(24);

/// Writes the events.
///
/// # Errors
///
/// A [`Failure`] if a file or the broker cannot be written.
pub(super) async fn run(args: &Simulate, shutdown: &CancellationToken) -> Result<Exit, Failure> {
    let length = DAY * args.days;
    let start = match &args.start {
        Some(text) => Timestamp::parse(text).map_err(|error| {
            Failure::new(Exit::Usage, error).while_doing(format!("read --start {text}"))
        })?,
        None => clock::now().minus(length),
    };
    let end = start.plus(length);
    let mut settings = Settings::new(args.seed, args.agents as usize, start);
    for attack in &args.attack {
        settings.scenarios.push(scenario(*attack, start, end)?);
    }
    let company = Company::new(&settings);
    if let Some(path) = &args.registry_out {
        let mut out = create(path)?;
        for change in company.registry_changes() {
            output::write_change(&change, &mut out)?;
        }
        out.flush()?;
    }
    let mut truth = args.truth_out.as_deref().map(create).transpose()?;
    let mut sink = Sink::open(args)?;
    if let Some(topic) = &args.registry_topic {
        sink.tell_registry(topic, &company.registry_changes(), start..end)?;
    }
    let mut pace = Pace { speed: args.speed, start, began: tokio::time::Instant::now() };
    for simulated in company.events(start, end) {
        if shutdown.is_cancelled() {
            break;
        }
        pace.wait_for(simulated.event.time, shutdown).await;
        sink.write(&simulated)?;
        if let Some(out) = &mut truth {
            output::write_truth(&simulated.event, &simulated.truth, out)?;
        }
    }
    truth.map_or(Ok(()), |mut out| out.flush())?;
    sink.finish()?;
    Ok(Exit::Ok)
}

/// An attack that is over by `end`.
fn scenario(attack: Attack, start: Timestamp, end: Timestamp) -> Result<Scenario, Failure> {
    let kind = match attack {
        Attack::ProcurementFraud => ScenarioKind::ProcurementFraud,
        Attack::StolenKey => ScenarioKind::StolenKey,
        Attack::SkillExfiltration => ScenarioKind::SkillExfiltration,
        Attack::SlowPoisoning => ScenarioKind::SlowPoisoning,
        Attack::NightBurst => ScenarioKind::NightBurst,
    };
    let length = kind.duration_max();
    if end.since(start) < length {
        let name = attack.to_possible_value().map(|value| value.get_name().to_owned());
        let days = length.as_secs().div_ceil(DAY.as_secs());
        let text = format!("--attack {} takes up to {days} days", name.unwrap_or_default());
        return Err(Failure::told(Exit::Usage, format!("{text}: ask for at least --days {days}")));
    }
    Ok(Scenario { kind, start: end.minus(length) })
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path).map(BufWriter::new).map_err(|error| {
        Failure::new(Exit::Unavailable, error).while_doing(format!("write {}", path.display()))
    })
}

/// Real time, times `speed`; 0 is as fast as possible.
struct Pace {
    speed: f64,
    start: Timestamp,
    began: tokio::time::Instant,
}

impl Pace {
    async fn wait_for(&mut self, time: Timestamp, shutdown: &CancellationToken) {
        if self.speed <= 0.0 {
            return;
        }
        let due = self.began + time.since(self.start).div_f64(self.speed);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Where the events go.
enum Sink {
    /// To a file, or to stdout, whose reader may go away.
    File(BufWriter<File>),
    Stdout(BufWriter<std::io::StdoutLock<'static>>),
    Kafka {
        producer: Producer,
        topic: Topic,
        partitions: i32,
        json: Vec<u8>,
    },
}

impl Sink {
    fn open(args: &Simulate) -> Result<Self, Failure> {
        if let Some(servers) = &args.to_kafka {
            let topic = Topic::try_from(args.topic.clone())
                .map_err(|text| Failure::told(Exit::Usage, text))?;
            let producer = Producer::connect(servers, &std::collections::BTreeMap::new())
                .map_err(of_producer)?;
            let partitions = producer.partitions(&topic).map_err(of_producer)?;
            return Ok(Self::Kafka { producer, topic, partitions, json: Vec::new() });
        }
        Ok(match &args.out {
            Some(path) => Self::File(create(path)?),
            None => Self::Stdout(BufWriter::new(std::io::stdout().lock())),
        })
    }

    /// Produces the registry's changes in their order, so to one partition, and waits until they are
    /// there. Their time is held within that of the events, in step with which they are read: a broker
    /// forgets what is too old and refuses what is to come.
    fn tell_registry(
        &mut self,
        topic: &str,
        changes: &[RegistryChange],
        times: Range<Timestamp>,
    ) -> Result<(), Failure> {
        let Self::Kafka { producer, .. } = self else { return Ok(()) };
        let topic =
            Topic::try_from(topic.to_owned()).map_err(|text| Failure::told(Exit::Usage, text))?;
        producer.partitions(&topic).map_err(of_producer)?;
        for change in changes {
            let told = change.recorded_at.unwrap_or(times.start);
            let json = serde_json::to_vec(change).expect("a change is plain JSON");
            let time = told.clamp(times.start, times.end);
            producer.send(&topic, KafkaPartition(0), time, &json).map_err(of_producer)?;
        }
        producer.flush().map_err(of_producer)
    }

    fn write(&mut self, simulated: &SimulatedEvent) -> Result<(), Failure> {
        match self {
            Self::File(out) => Ok(output::write_event(&simulated.event, out)?),
            Self::Stdout(out) => {
                output::write_event(&simulated.event, out).map_err(Failure::of_stdout)
            }
            Self::Kafka { producer, topic, partitions, json } => {
                json.clear();
                output::write_json(&simulated.event, json);
                let partition = partition_of(&simulated.event.agent_id, *partitions);
                producer.send(topic, partition, simulated.event.time, json).map_err(of_producer)
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File(mut out) => Ok(out.flush()?),
            Self::Stdout(mut out) => out.flush().map_err(Failure::of_stdout),
            Self::Kafka { mut producer, .. } => producer.flush().map_err(of_producer),
        }
    }
}

/// All records of an agent, and of its shard, go to one partition: then a replay gives the same
/// findings whatever the batches were.
pub(crate) fn partition_of(agent: &schemas::AgentId, partitions: i32) -> KafkaPartition {
    let shard = i32::try_from(Shard::of(agent).index()).expect("fewer than 64 shards");
    KafkaPartition(shard % partitions)
}

pub(crate) fn of_producer(error: ingest::ProduceError) -> Failure {
    Failure::new(Exit::Unavailable, error).while_doing("produce to Kafka".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_over_by_the_end_or_refused_with_the_days_it_takes() {
        let start = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let days = |days| scenario(Attack::SlowPoisoning, start, start.plus(DAY * days));

        assert_eq!(days(42).unwrap().start, start);
        assert_eq!(days(50).unwrap().start, start.plus(DAY * 8));
        let refused = days(41).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert_eq!(
            refused.to_string(),
            "--attack slow-poisoning takes up to 42 days: ask for at least --days 42"
        );
        assert!(scenario(Attack::NightBurst, start, start.plus(DAY)).is_err());
    }
}
