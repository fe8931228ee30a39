//! [`Evaluation`]: labelled rows through the real detector, scored before they are learned, and what
//! came of it ([`Report`]).
//!
//! Invariant: nothing of a row is known before it is scored: no limits, scalers or thresholds come
//! from the stream. One configuration serves all streams.
//!
//! Source of the protocol: detection.md sections 4 and 7.

mod metrics;
mod poison;
mod row;

use schemas::DetectorKind;
use serde::Serialize;

use crate::config::Config;
use crate::detector::Detector;
use crate::score::Score;

pub use metrics::{Calibration, Curves, Recall, Report};
pub use poison::Poison;
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
    /// Values of a series, `YYYY-MM-DD HH:MM:SS,value` after a header. Each is an amount that the
    /// series pays, and its reciprocal one of a twin, since amounts are watched for being high.
    Series,
}

/// Of a series that many rows are not scored: a share, and at most so many.
/// Source: NAB's probationary period.
const PROBATION: f64 = 0.15;
const PROBATION_MAX: f64 = 750.0;

/// Rows of a series within which an anomaly is told once, unless it gets worse. Source: measured on
/// NAB's folders; a day of five minutes each.
const STRETCH: usize = 288;

/// A detector being evaluated.
#[derive(Debug)]
pub struct Evaluation {
    kind: Kind,
    detector: Detector,
    rows: Vec<Row>,
    scores: Vec<f64>,
    rates: Vec<f64>,
    /// What found something, and the number of its row.
    found: Vec<(DetectorKind, usize)>,
    /// Rows not folded yet.
    waiting: usize,
    /// Of a series: where it is anomalous, from and up to which second since 1970.
    windows: Vec<(f64, f64)>,
}

impl Evaluation {
    pub fn new(kind: Kind, config: Config) -> Self {
        Self {
            kind,
            detector: Detector::new(config),
            rows: Vec::new(),
            scores: Vec::new(),
            rates: Vec::new(),
            found: Vec::new(),
            waiting: 0,
            windows: Vec::new(),
        }
    }

    /// With the anomalous stretches of a series, in seconds since 1970.
    #[must_use]
    pub fn with_windows(mut self, windows: Vec<(f64, f64)>) -> Self {
        self.windows = windows;
        self
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
            Kind::Series if self.rows.is_empty() && row::is_header(line) => return Ok(()),
            Kind::Series => Row::read_value(line, &self.windows)?,
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
        let (findings, scores) = self.detector.fold_scored(&events);
        self.found.extend(findings.iter().map(|finding| {
            let at = finding.position.offset.0;
            (finding.detector, usize::try_from(at).expect("the number of its row"))
        }));
        let mut start = 0;
        for end in ends {
            // A call with several counterparties is as unusual as the most unusual of its dealings.
            let of_row = &scores[start..end];
            let of = match self.kind {
                Kind::AgentStream => |one: &Score| one.score,
                // Networks know no novelty that matters: what counts is how much.
                Kind::Edges => |one: &Score| one.volume + one.score / 100.0,
                Kind::Series => |one: &Score| one.amount,
            };
            self.scores.push(of_row.iter().map(of).fold(f64::MIN, f64::max));
            let least = of_row.iter().map(|one| one.false_per_agent_day).fold(f64::MAX, f64::min);
            self.rates.push(least);
            start = end;
        }
        self.waiting = 0;
    }

    /// Scores what is left, and tells one score per row, in order, and the metrics.
    pub fn finish(self) -> (Vec<f64>, Report) {
        self.finish_with(<[f64]>::to_vec)
    }

    /// The same, with other scores in the place of the detector's: to try what would be better.
    pub fn finish_with(mut self, rescore: impl FnOnce(&[f64]) -> Vec<f64>) -> (Vec<f64>, Report) {
        self.fold();
        self.scores = rescore(&self.scores);
        assert_eq!(self.scores.len(), self.rows.len(), "one score per row");
        if self.kind == Kind::Series {
            self.scores = told_once(&self.scores);
            #[expect(clippy::cast_precision_loss, reason = "rows of a file")]
            let probation = (PROBATION * self.rows.len() as f64).min(PROBATION_MAX);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "750 at most"
            )]
            for row in self.rows.iter_mut().take(probation as usize) {
                row.label = -1;
            }
        }
        let warm_up = match self.kind {
            Kind::AgentStream => metrics::WARM_UP_SECONDS,
            Kind::Edges | Kind::Series => 0.0,
        };
        let report = metrics::report(&self.rows, &self.scores, &self.rates, &self.found, warm_up);
        (self.scores, report)
    }
}

/// From surprises of a series to how rare each is among those before it (minus the decimal logarithm),
/// 0 within a stretch that was told already.
#[expect(clippy::cast_precision_loss, reason = "rows of a file")]
fn told_once(surprises: &[f64]) -> Vec<f64> {
    let mut before: Vec<f64> = Vec::with_capacity(surprises.len());
    let mut rarities: Vec<f64> = Vec::with_capacity(surprises.len());
    let mut told = Vec::with_capacity(surprises.len());
    for surprise in surprises {
        let below = before.partition_point(|one| one < surprise);
        let as_large = before.len() - below;
        let rarity = -((as_large as f64 + 1.0) / (before.len() as f64 + 1.0)).log10();
        let rarity = if *surprise <= 0.0 { 0.0 } else { rarity };
        before.insert(below, *surprise);
        let recent = &rarities[rarities.len().saturating_sub(STRETCH)..];
        let is_worse = recent.iter().all(|one| *one < rarity);
        told.push(if is_worse { rarity } else { 0.0 });
        rarities.push(rarity);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_told_once_and_again_when_it_gets_worse() {
        let mut surprises = vec![0.5; 600];
        surprises[500..520].fill(3.0);
        surprises[510] = 6.0;

        let told = told_once(&surprises);

        assert!(told[501..510].iter().all(|one| *one <= 0.0));
        assert!(2.5 < told[500] && told[500] < told[510] + 1e-9, "{} {}", told[500], told[510]);
        assert!(told[511..].iter().all(|one| *one <= 0.0));
    }

    #[test]
    fn a_series_is_scored_row_by_row_and_its_probation_is_not_counted() {
        let line = |n: u32| {
            let value = if n == 900 { 500 } else { 20 + n * 7 % 5 };
            format!("2014-04-{:02} {:02}:{:02}:00,{value}", 1 + n / 288, n / 12 % 24, n % 12 * 5)
        };
        let window = (1_396_310_400.0 + 899.0 * 300.0, 1_396_310_400.0 + 905.0 * 300.0);
        let mut evaluation =
            Evaluation::new(Kind::Series, Config::default()).with_windows(vec![window]);
        evaluation.push("timestamp,value").unwrap();
        for n in 0..1_000 {
            evaluation.push(&line(n)).unwrap();
        }

        let (scores, report) = evaluation.finish();

        let highest = (150..1_000).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        assert_eq!((scores.len(), highest, report.scored), (1_000, 900, 850));
    }
}
