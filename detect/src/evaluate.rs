//! [`Evaluation`]: labelled rows through the real detector, scored before they are learned, and what
//! came of it ([`Report`]).
//!
//! Invariant: nothing of a row is known before it is scored: no limits, scalers or thresholds come
//! from the stream. One configuration serves all streams.
//!
//! Source of the protocol: detection.md sections 4 and 7.

mod metrics;
mod row;

use serde::Serialize;

use crate::config::Config;
use crate::detector::Detector;
use crate::score::Score;

pub use metrics::{Calibration, Recall, Report};
pub use row::{Row, RowError};

/// Rows folded at once; what is found does not depend on it.
const BATCH: usize = 4_096;

/// What kind of rows a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tool calls of agents: `[t, agent, purpose, model, session, "b"|"a", tool, is_write,
    /// [counterparties], amount|null, error, y]`.
    AgentStream,
    /// Edges of a network: `source,target,MM/DD/YYYY-HH:MM,label` with `-` for benign, or
    /// `source target weight seconds` without a label. Each is a dealing of its source with its
    /// target, and of its target with its source.
    Edges,
}

/// A detector being evaluated.
#[derive(Debug)]
pub struct Evaluation {
    kind: Kind,
    detector: Detector,
    rows: Vec<Row>,
    scores: Vec<f64>,
    rates: Vec<f64>,
    /// Rows not folded yet.
    waiting: usize,
}

impl Evaluation {
    pub fn new(kind: Kind, config: Config) -> Self {
        Self {
            kind,
            detector: Detector::new(config),
            rows: Vec::new(),
            scores: Vec::new(),
            rates: Vec::new(),
            waiting: 0,
        }
    }

    /// Takes one line of a file; an empty one and a comment (`%`) are none.
    ///
    /// # Errors
    ///
    /// [`RowError`] when it is no such row; nothing was taken then.
    pub fn push(&mut self, line: &str) -> Result<(), RowError> {
        if line.trim().is_empty() || line.starts_with('%') {
            return Ok(());
        }
        self.rows.push(match self.kind {
            Kind::AgentStream => Row::read(line)?,
            Kind::Edges => Row::read_edge(line)?,
        });
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
            let of = match self.kind {
                Kind::AgentStream => |one: &Score| one.score,
                // Networks know no novelty that matters: what counts is how much.
                Kind::Edges => |one: &Score| one.volume + one.score / 100.0,
            };
            self.scores.push(of_row.iter().map(of).fold(f64::MIN, f64::max));
            let least = of_row.iter().map(|one| one.false_per_agent_day).fold(f64::MAX, f64::min);
            self.rates.push(least);
            start = end;
        }
        self.waiting = 0;
    }

    /// Scores what is left, and tells one score per row, in order, and the metrics.
    pub fn finish(mut self) -> (Vec<f64>, Report) {
        self.fold();
        let warm_up = match self.kind {
            Kind::AgentStream => metrics::WARM_UP_SECONDS,
            Kind::Edges => 0.0,
        };
        let report = metrics::report(&self.rows, &self.scores, &self.rates, warm_up);
        (self.scores, report)
    }
}
