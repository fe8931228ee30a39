//! The workers of a seed: one life after the other, until one ends in order.
//!
//! Invariant: a life that ended does nothing any more, whatever it had begun. What it leaves on its own
//! disk may be damaged.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ingest::{Normaliser, Redactor, RegistryReader};
use lake::Lake;
use lake::seal::SealKey;
use schemas::{Format, Topic};

use super::super::super::checkpoint::remove;
use super::super::super::patience::Patience;
use super::super::super::{Checkpoints, Limits, Parts, Pipeline, Readers, Routes};
use super::plan::draw;
use super::world::{Life, Reading, World};
use crate::exit::{Exit, Failure};
use crate::http::Health;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&[7; 32]));

/// Findings from the first event on: the companies are small. What the registry has against a use
/// depends on what was told before it was read, and a crash may let more be told.
static DETECT: LazyLock<detect::Config> = LazyLock::new(|| {
    let silent = |lapse: &schemas::Lapse| (lapse.as_str().replace('_', "-"), 0);
    let detect = serde_json::json!({
        "warmup-events": 0,
        "agents-max": 1_024,
        "detectors": schemas::Lapse::ALL.iter().map(silent).collect::<BTreeMap<_, _>>(),
    });
    serde_json::from_value(detect).unwrap()
});

pub(super) static SEAL_KEY: LazyLock<Arc<SealKey>> =
    LazyLock::new(|| Arc::new(SealKey::new("surety", &[7; 32]).unwrap()));

/// Lives all workers through, at the same time.
pub(super) async fn of_workers(world: &Arc<World>, folder: &Path) {
    let workers = (0..world.plan.workers).map(|worker| of_worker(world, worker, folder));
    futures::future::join_all(workers).await;
}

/// The folder of a worker's own state.
pub(super) fn folder_of(folder: &Path, worker: usize) -> std::path::PathBuf {
    folder.join(format!("worker-{worker}"))
}

async fn of_worker(world: &Arc<World>, worker: usize, folder: &Path) {
    let folder = folder_of(folder, worker);
    for nth in 0.. {
        let life = world.new_life(worker, nth);
        let lived = tokio::select! {
            biased;
            () = life.ended.notified() => None,
            lived = Box::pin(live(world, &life, &folder)) => Some(lived),
        };
        life.end();
        match lived {
            Some(Ok(())) => return,
            Some(Err(failure)) => {
                world.note(&format!("worker {worker} stops: {failure:#}"));
                let is_of_the_world = failure.exit() == Exit::Unavailable;
                let is_gone = format!("{failure:#}").contains("disappeared");
                assert!(is_of_the_world && !is_gone, "{failure:#}\n{}", world.told());
            }
            None => {
                world.note(&format!("worker {worker} is killed"));
                if draw(world.plan.seed, (worker, nth, "damage")) % 100 < world.plan.damaged {
                    damage(&folder.join("checkpoints"), draw(world.plan.seed, (worker, nth)));
                }
            }
        }
        tokio::time::sleep(world.plan.ms_up_to((worker, nth, "again"), 1_000)).await;
    }
}

async fn live(world: &Arc<World>, life: &Arc<Life>, folder: &Path) -> Result<(), Failure> {
    let reading = Reading::new(world, life);
    let pipeline = Pipeline::start(parts(world, reading, life.lake(world), folder)).await?;
    let patience = if world.plan.ends { Patience::OF_A_COMMAND } else { Patience::OF_A_SERVICE };
    Box::pin(pipeline.run_with(patience, world.shutdown.clone())).await?;
    Ok(())
}

pub(super) fn parts(world: &World, source: Reading, lake: Lake, folder: &Path) -> Parts<Reading> {
    let normaliser = Normaliser::new(Format::Native, REDACTOR.clone());
    let plan = &world.plan;
    Parts {
        source,
        readers: Readers {
            uses: BTreeMap::from([(Topic::new("uses"), normaliser)]),
            registry: Some((Topic::new("registry"), RegistryReader::new(REDACTOR.clone()))),
        },
        lake,
        detect: DETECT.clone(),
        checkpoints: Checkpoints::new(folder).unwrap(),
        routes: Routes::default(),
        limits: Limits {
            records_max: plan.records_max,
            wait_max: Duration::from_millis(50),
            rows_max: plan.rows_max,
            bytes_max: 1 << 30,
            age_max: Duration::from_millis(plan.age_ms_max),
            checkpoint_age_max: Duration::from_millis(plan.checkpoint_ms),
        },
        health: Health::default(),
        seal_key: Arc::clone(&SEAL_KEY),
    }
}

/// What a crash without a sync, or a bad disk, leaves of the checkpoints. The thread that was writing one when its
/// worker was killed may still name it or remove an older one: what has gone meanwhile needs no damage.
fn damage(folder: &Path, draw: u64) {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    fs::write(folder.join("1.0.partial"), "half").unwrap();
    let worst = if draw.is_multiple_of(3) { files.len() } else { 1 };
    for path in files.iter().rev().take(worst) {
        let mut bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        let at = usize::try_from(draw / 16).unwrap_or(0) % bytes.len().max(1);
        match draw / 4 % 4 {
            0 => remove(path).unwrap(),
            1 => fs::write(path, &bytes[..at]).unwrap(),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (draw % 8);
                }
                fs::write(path, bytes).unwrap();
            }
        }
    }
}
