//! Logs and metrics of the process.
//!
//! Invariant: logs go to stderr, one line an event, JSON when asked for, and a line that cannot be written is
//! lost and harms nothing; stage latencies are kept in
//! histograms of microseconds with three significant digits and published as quantiles.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::exit::{Exit, Failure};

/// Libraries whose `info` is our `debug`. A filter that names them comes later and wins.
const QUIET: &str = "buoyant_kernel=warn,deltalake_core=warn,datafusion=warn,object_store=warn";

/// Starts logging. `filter` as in `info,ingest=debug`, checked by
/// [`LogFilter`](crate::config::LogFilter).
///
/// # Errors
///
/// [`Exit::Software`] if it was started before, or the filter was not checked.
pub(crate) fn log_to_stderr(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let parsed = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| Failure::new(Exit::Software, error))?;
    // By default a line that cannot be written is told on stderr, which panics where that is what failed.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| {
        Failure::told(Exit::Software, format!("logging was started twice: {error}"))
    })
}

/// Starts collecting metrics.
///
/// # Errors
///
/// [`Exit::Software`] if it was started before.
pub(crate) fn collect_metrics() -> Result<PrometheusHandle, Failure> {
    PrometheusBuilder::new().install_recorder().map_err(|error| Failure::new(Exit::Software, error))
}

/// The stages of the loop, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waiting for and taking records from the source.
    Poll,
    /// Bytes to events, with the trace to the sponsor.
    Normalise,
    /// Events to findings.
    Detect,
    /// Findings to the outbox.
    Outbox,
    /// Events to columns.
    Rows,
    /// Columns to Parquet. As processor time of its thread, like the next.
    Encode,
    /// Records to the root of a commit's tree, for its seal.
    Hash,
    /// Files and log entries to the lake.
    Commit,
    /// Signing the root of a commit and writing it down.
    Seal,
    /// Arrival of a record to its findings being in the outbox.
    ArrivalToOutbox,
}

impl Stage {
    pub(crate) const ALL: [Self; 10] = [
        Self::Poll,
        Self::Normalise,
        Self::Detect,
        Self::Outbox,
        Self::Rows,
        Self::Encode,
        Self::Hash,
        Self::Commit,
        Self::Seal,
        Self::ArrivalToOutbox,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Normalise => "normalise",
            Self::Detect => "detect",
            Self::Outbox => "outbox",
            Self::Rows => "rows",
            Self::Encode => "encode",
            Self::Hash => "hash",
            Self::Commit => "commit",
            Self::Seal => "seal",
            Self::ArrivalToOutbox => "arrival_to_outbox",
        }
    }
}

/// When a piece of work began that one thread does without waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    /// What the thread had used of a processor.
    used: Option<Duration>,
    began: Instant,
}

impl Busy {
    pub(crate) fn now() -> Self {
        Self { used: processor_time().ok(), began: Instant::now() }
    }

    /// The processor time since then, so that it is the same on a busy machine; where the system does
    /// not tell it, the time that went by.
    pub(crate) fn elapsed(self) -> Duration {
        match (self.used, processor_time()) {
            (Some(before), Ok(after)) => after.saturating_sub(before),
            (None, _) | (_, Err(_)) => self.began.elapsed(),
        }
    }
}

/// What the calling thread has used of a processor.
///
/// Source: the kernel's `Documentation/scheduler/sched-stats.rst`, `/proc/<pid>/schedstat`.
fn processor_time() -> io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| {
        io::Error::other("wanted nanoseconds in /proc/thread-self/schedstat, found none")
    })
}

/// Significant digits of a latency. Each histogram takes 200 KiB, which a simulation that starts a hundred
/// thousand pipelines cannot afford.
const DIGITS: u8 = if cfg!(test) { 1 } else { 3 };

/// How long each stage took, and in sum.
#[derive(Debug)]
pub(crate) struct Stages([(Histogram<u64>, Duration); Stage::ALL.len()]);

impl Stages {
    pub(crate) fn new() -> Self {
        Self(Stage::ALL.map(|_| {
            let histogram = Histogram::new_with_bounds(1, 3_600_000_000, DIGITS);
            (histogram.expect("1 us to 1 h with 3 digits is a valid range"), Duration::ZERO)
        }))
    }

    /// Notes that `stage` took `duration` for each of `count` records (or once, for a commit).
    pub(crate) fn record(&mut self, stage: Stage, duration: Duration, count: usize) {
        let (histogram, total) = &mut self.0[stage as usize];
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        histogram.saturating_record_n(micros.max(1), count as u64);
        *total += duration;
    }

    /// Microseconds at `quantile` (0 to 1).
    pub(crate) fn micros(&self, stage: Stage, quantile: f64) -> u64 {
        self.0[stage as usize].0.value_at_quantile(quantile)
    }

    /// The time spent in `stage` altogether.
    pub(crate) fn total(&self, stage: Stage) -> Duration {
        self.0[stage as usize].1
    }

    /// Publishes p50, p99 and p999 of every stage as `surety_stage_seconds`.
    pub(crate) fn publish(&self) {
        for stage in Stage::ALL {
            for (quantile, label) in [(0.5, "0.5"), (0.99, "0.99"), (0.999, "0.999")] {
                let seconds = Duration::from_micros(self.micros(stage, quantile)).as_secs_f64();
                metrics::gauge!("surety_stage_seconds", "stage" => stage.name(), "quantile" => label)
                    .set(seconds);
            }
        }
    }
}
