//! `surety bench detector`: what the detector alone costs.
//!
//! Invariant: every figure is measured in this process, by `load.rs`; the checkpoint lies in a folder
//! of its own in the system's temporary folder and is removed, however the bench ends.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{self, Figures, Load};
use crate::cli::measure::BenchDetector;
use crate::clock;
use crate::exit::{Exit, Failure};

/// Measures the detector and prints the figures.
///
/// # Errors
///
/// [`Exit::Unavailable`] when the checkpoint cannot be written and read.
pub(crate) fn run(args: &BenchDetector) -> Result<Exit, Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.0.join("detector.state");
    let load = Load { agents: args.agents.into(), events: args.events, seed: args.seed };
    let figures = super::one_thread()?.install(|| load::measure(load, &path)).map_err(|error| {
        Failure::new(Exit::Unavailable, error)
            .while_doing(format!("measure with the checkpoint {}", path.display()))
    })?;
    super::print(args.format, &as_json(args, &figures))?;
    Ok(Exit::Ok)
}

fn as_json(args: &BenchDetector, figures: &Figures) -> Value {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    json!({
        "agents": figures.agents,
        "events": args.events,
        "bytes_per_agent": figures.bytes_per_agent,
        "ns_per_event": figures.ns_per_event,
        "events_per_second_per_core": 1e9 / figures.ns_per_event,
        "score_us": {"p50": micros(figures.score_p50), "p99": micros(figures.score_p99)},
        "checkpoint_seconds": figures.checkpoint.as_secs_f64(),
        "checkpoint_pause_ms": figures.checkpoint_pause.as_secs_f64() * 1e3,
        "checkpoint_bytes": figures.checkpoint_bytes,
        "restore_seconds": figures.restore.as_secs_f64(),
        "findings": figures.findings,
    })
}

/// A folder that is removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let name = format!("surety-bench-detector-{}", clock::now().as_micros());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the bench's folder was not removed");
        }
    }
}
