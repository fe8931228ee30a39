//! [`Screen`]: one statement run for a person: progress while it lasts, Ctrl-C to stop it.
//!
//! Invariant: progress goes to stderr and only there; a stopped statement has stopped when
//! [`Screen::show`] returns.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::{Destination, Engine, Format, Progress, QueryError, WriteError, write_answer};

/// How long a statement runs before its progress is shown.
const QUIET: Duration = Duration::from_millis(500);
/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(100);

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub format: Format,
    pub destination: Destination,
    /// Whether stderr is a terminal that may show progress.
    pub is_progress_shown: bool,
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Rows written.
    pub rows: u64,
    pub elapsed: Duration,
    /// Whether the person stopped it.
    pub is_stopped: bool,
}

/// Why a statement was not shown to its end.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error(transparent)]
    Query(QueryError),
    /// The rows cannot be written.
    #[error(transparent)]
    Write(WriteError),
    /// Ctrl-C cannot be listened to.
    #[error("signals cannot be received")]
    Signal(#[source] std::io::Error),
}

impl Screen {
    /// Runs one statement and writes its answer to `out`.
    ///
    /// # Errors
    ///
    /// [`ShowError`]. A statement that the person stops is no error.
    pub async fn show<W: Write + Send>(
        &self,
        engine: &Engine,
        text: &str,
        out: &mut W,
    ) -> Result<Shown, ShowError> {
        let start = Instant::now();
        let mut spinner = Spinner::new(start, self.is_progress_shown);
        let shown = tokio::select! {
            biased;
            stopped = tokio::signal::ctrl_c() => stopped.map(|()| None).map_err(ShowError::Signal),
            rows = self.run(engine, text, out, &mut spinner) => rows.map(Some),
        };
        spinner.bar.finish_and_clear();
        let shown = shown?;
        Ok(Shown {
            rows: shown.unwrap_or(0),
            elapsed: start.elapsed(),
            is_stopped: shown.is_none(),
        })
    }

    async fn run<W: Write + Send>(
        &self,
        engine: &Engine,
        text: &str,
        out: &mut W,
        spinner: &mut Spinner,
    ) -> Result<u64, ShowError> {
        let planned = spinner.during(engine.sql(text), |bar| draw(bar, None));
        let mut answer = planned.await.map_err(ShowError::Query)?;
        let watch = answer.watch();
        let show = |bar: &ProgressBar| {
            let progress = watch.progress();
            // Once rows stand on the terminal, the rows are the progress.
            let is_silent = 0 < progress.rows && self.destination != Destination::File;
            if is_silent { bar.finish_and_clear() } else { draw(bar, Some(progress)) }
        };
        let writing = write_answer(&mut answer, self.format, self.destination, out);
        spinner.during(writing, show).await.map_err(|error| match error {
            WriteError::Query(error) => ShowError::Query(error),
            WriteError::Io(_) | WriteError::Unwritable { .. } => ShowError::Write(error),
        })
    }
}

/// A line of progress on stderr that is drawn at each tick.
struct Spinner {
    bar: ProgressBar,
    ticks: Interval,
}

impl Spinner {
    fn new(start: Instant, is_shown: bool) -> Self {
        let bar = if is_shown { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let mut ticks = interval_at(start + QUIET, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { bar, ticks }
    }

    /// Waits for `work` and calls `tick` at each tick until it is done.
    async fn during<T>(&mut self, work: impl Future<Output = T>, tick: impl Fn(&ProgressBar)) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = self.ticks.tick() => tick(&self.bar),
            }
        }
    }
}

fn draw(bar: &ProgressBar, progress: Option<Progress>) {
    let text = match progress {
        None => "planning, Ctrl-C stops".to_owned(),
        Some(progress) => format!(
            "{} rows read, {} from files, {} rows found, {:.1} s, Ctrl-C stops",
            HumanCount(progress.rows_scanned),
            HumanBytes(progress.bytes_scanned),
            HumanCount(progress.rows),
            bar.elapsed().as_secs_f64(),
        ),
    };
    bar.set_message(text);
    bar.tick();
}
