//! [`Evaluation`]: labelled rows through the real detector, scored before they are learned, and what
//! came of it ([`Report`]).
//!
//! Invariant: nothing of a row is known before it is scored: no limits, scalers or thresholds come
//! from the stream. One configuration serves all streams.
//!
//! Source of the protocol: detection.md sections 4 and 7.

mod agent_stream;
mod metrics;

use serde::Serialize;

use crate::config::Config;
use crate::detector::Detector;

pub use agent_stream::{Row, RowError};
pub use metrics::{Calibration, Recall, Report};

/// Rows folded at once; what is found does not depend on it.
const BATCH: usize = 4_096;

/// What kind of rows a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tool calls of agents: `[t, agent, purpose, model, session, "b"|"a", tool, is_write,
    /// [counterparties], amount|null, error, y]`.
    AgentStream,
}

/// A detector being evaluated.
#[derive(Debug)]
pub struct Evaluation {
    detector: Detector,
    rows: Vec<Row>,
    scores: Vec<f64>,
    rates: Vec<f64>,
    /// Rows not folded yet.
    waiting: usize,
}

impl Evaluation {
    pub fn new(config: Config) -> Self {
        Self {
            detector: Detector::new(config),
            rows: Vec::new(),
            scores: Vec::new(),
            rates: Vec::new(),
            waiting: 0,
        }
    }

    /// Takes one line of a file.
    ///
    /// # Errors
    ///
    /// [`RowError`] when it is no such row; nothing was taken then.
    pub fn push(&mut self, line: &str) -> Result<(), RowError> {
        self.rows.push(Row::read(line)?);
        self.waiting += 1;
        if self.waiting == BATCH {
            self.fold();
        }
        Ok(())
    }

    /// Scores and learns the rows that wait.
    fn fold(&mut self) {
        let first = self.rows.len() - self.waiting;
        let mut events = Vec::new();
        let mut ends = Vec::new();
        for (at, row) in self.rows.iter().enumerate().skip(first) {
            events.extend(row.events(at));
            ends.push(events.len());
        }
        let (_, scores) = self.detector.fold_scored(&events);
        let mut start = 0;
        for end in ends {
            // A call with several counterparties is as unusual as the most unusual of its dealings.
            let of_row = &scores[start..end];
            self.scores.push(of_row.iter().map(|one| one.score).fold(f64::MIN, f64::max));
            let least = of_row.iter().map(|one| one.false_per_agent_day).fold(f64::MAX, f64::min);
            self.rates.push(least);
            start = end;
        }
        self.waiting = 0;
    }

    /// Scores what is left, and tells one score per row, in order, and the metrics.
    pub fn finish(mut self) -> (Vec<f64>, Report) {
        self.fold();
        let report = metrics::report(&self.rows, &self.scores, &self.rates);
        (self.scores, report)
    }
}
