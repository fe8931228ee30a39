//! [`Evaluation`]: labelled rows, scored before they are learned, and what came of it ([`Report`]).
//!
//! Agent streams are judged by the real detector. Edges and series are by a part that only they have
//! (`edges.rs`, `series.rs`), unless the detector alone is asked for.
//!
//! Invariant: nothing of a row is known before it is scored: no limits, scalers or thresholds come
//! from the stream. One configuration serves all streams.
//!
//! Source of the protocol: detection.md sections 4 and 7.

mod edges;
mod metrics;
mod nab;
mod poison;
mod row;
mod series;

use schemas::DetectorKind;
use serde::Serialize;

use crate::config::Config;
use crate::detector::Detector;
use crate::hash::{KeyMap, join, key_of};
use crate::score::Score;

use edges::Edges;
use metrics::Fact;
use series::{Ranks, Series};

pub use metrics::{Calibration, Curves, Ranking, Recall, Report};
pub use nab::{Judged, NabScore};
pub use poison::Poison;
pub use row::{Row, RowError};

/// Rows judged at once; what is found does not depend on it.
const BATCH: usize = 4_096;

/// What kind of rows a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tool calls of agents: `[t, agent, purpose, model, session, "b"|"a", tool, is_write,
    /// [counterparties], amount|null, error, y]`.
    AgentStream,
    /// Edges of a network: `source,target,MM/DD/YYYY-HH:MM,label` with `-` for benign, or
    /// `source target weight seconds` without a label. For the detector alone each is a dealing of its
    /// source with its target, and of its target with its source. A pair's minute is its session.
    Edges,
    /// Values of a series, `YYYY-MM-DD HH:MM:SS,value` after a header. For the detector alone each is
    /// an amount that the series pays, and its reciprocal one of a twin, since amounts are watched for
    /// being high.
    Series,
}

/// Of a series that many rows are not scored: a share, and at most so many.
/// Source: NAB's probationary period.
const PROBATION: f64 = 0.15;
const PROBATION_MAX: f64 = 750.0;

/// What judges rows.
#[derive(Debug)]
enum Judge {
    Detector(Box<Detector>),
    Edges(Box<Edges>),
    Series(Box<Series>),
}

/// Numbers of keys, in the order in which they came.
#[derive(Debug, Default)]
struct Numbers(KeyMap<u32>);

impl Numbers {
    fn of(&mut self, key: u64) -> u32 {
        let next = u32::try_from(self.0.len()).expect("rows in memory are fewer");
        *self.0.entry(key).or_insert(next)
    }
}

/// A stream being evaluated.
#[derive(Debug)]
pub struct Evaluation {
    kind: Kind,
    judge: Judge,
    facts: Vec<Fact>,
    scores: Vec<f64>,
    /// What the detector said of false alerts, row by row; none of what something else judges.
    rates: Vec<f64>,
    /// What found something, and the number of its row.
    found: Vec<(DetectorKind, usize)>,
    /// Rows not judged yet: the latest of the facts.
    waiting: Vec<Row>,
    agents: Numbers,
    sessions: Numbers,
    kinds: Numbers,
    times: row::Times,
    /// Of a series: where it is anomalous, from and up to which second since 1970.
    windows: Vec<(f64, f64)>,
}

impl Evaluation {
    pub fn new(kind: Kind, config: Config) -> Self {
        let judge = match kind {
            Kind::AgentStream => Judge::Detector(Box::new(Detector::new(config))),
            Kind::Edges => Judge::Edges(Box::default()),
            Kind::Series => Judge::Series(Box::default()),
        };
        Self::judged_by(kind, judge)
    }

    /// By nothing but the detector, whatever the kind.
    pub fn by_detector_alone(kind: Kind, config: Config) -> Self {
        Self::judged_by(kind, Judge::Detector(Box::new(Detector::new(config))))
    }

    fn judged_by(kind: Kind, judge: Judge) -> Self {
        Self {
            kind,
            judge,
            facts: Vec::new(),
            scores: Vec::new(),
            rates: Vec::new(),
            found: Vec::new(),
            waiting: Vec::new(),
            agents: Numbers::default(),
            sessions: Numbers::default(),
            kinds: Numbers::default(),
            times: row::Times::default(),
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
        let row = match (self.kind, &mut self.judge) {
            (Kind::Edges, Judge::Edges(edges)) => {
                let edge = row::Edge::read(line, &mut self.times)?;
                let judged = edges.push(key_of(edge.source), key_of(edge.target), edge.minute());
                self.facts.push(Fact {
                    second: edge.second(),
                    label: edge.label,
                    agent: judged.source,
                    session: judged.pair_minute,
                    kind: judged.pair,
                    amount: 0.0,
                });
                self.scores.push(judged.score);
                return Ok(());
            }
            (Kind::AgentStream, _) => Row::read(line)?,
            (Kind::Edges, _) => Row::read_edge(line, &mut self.times)?,
            (Kind::Series, _) if self.facts.is_empty() && row::is_header(line) => return Ok(()),
            (Kind::Series, judge) => {
                let (row, value) = Row::read_value(line, &self.windows)?;
                if let Judge::Series(series) = judge {
                    self.scores.push(series.push(row.second, value));
                }
                row
            }
        };
        let fact = self.fact(&row);
        self.facts.push(fact);
        if matches!(self.judge, Judge::Detector(_)) {
            self.waiting.push(row);
            if self.waiting.len() == BATCH {
                self.judge_waiting();
            }
        }
        Ok(())
    }

    /// What counts of a row in the end.
    fn fact(&mut self, row: &Row) -> Fact {
        let agent = key_of(&row.agent);
        let kind = row
            .counterparties
            .iter()
            .fold(join(agent, key_of(&row.tool)), |kind, other| join(kind, key_of(other)));
        // A pair's minute is its session.
        let session = if self.kind == Kind::Edges {
            join(kind, row.minute().cast_unsigned())
        } else {
            join(agent, key_of(&row.session))
        };
        Fact {
            second: row.second,
            label: row.label,
            agent: self.agents.of(agent),
            session: self.sessions.of(session),
            kind: self.kinds.of(kind),
            amount: row.amount.unwrap_or(0.0),
        }
    }

    /// The detector scores and learns the rows that wait, as it does by itself at the end.
    pub fn judge_waiting(&mut self) {
        let Judge::Detector(detector) = &mut self.judge else {
            return;
        };
        let first = self.facts.len() - self.waiting.len();
        let mut events = Vec::new();
        let mut ends = Vec::new();
        for (at, row) in (first..).zip(&self.waiting) {
            events.extend(row.events(at));
            ends.push(events.len());
        }
        let (findings, scores) = detector.fold_scored(&events);
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
        self.waiting.clear();
    }

    /// Scores what is left, and tells one score per row, in order, and the metrics.
    pub fn finish(self) -> (Vec<f64>, Report) {
        self.finish_with(<[f64]>::to_vec)
    }

    /// The same, with other scores in the place of the detector's: to try what would be better.
    pub fn finish_with(mut self, rescore: impl FnOnce(&[f64]) -> Vec<f64>) -> (Vec<f64>, Report) {
        self.judge_waiting();
        self.scores = rescore(&self.scores);
        assert_eq!(self.scores.len(), self.facts.len(), "one score per row");
        let judged = (self.kind == Kind::Series).then(|| self.judged_series());
        let warm_up = match self.kind {
            Kind::AgentStream => metrics::WARM_UP_SECONDS,
            Kind::Edges | Kind::Series => 0.0,
        };
        let mut report =
            metrics::report(&self.facts, &self.scores, &self.rates, &self.found, warm_up);
        if let Some(judged) = judged {
            // A series is one session.
            report.session = None;
            report.series = judged;
        }
        (self.scores, report)
    }

    /// Makes scores of a series what is told of it, and takes its probation out of what is labelled.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "rows of a file"
    )]
    fn judged_series(&mut self) -> Judged {
        if matches!(self.judge, Judge::Detector(_)) {
            let mut ranks = Ranks::default();
            self.scores = self.scores.iter().map(|surprise| ranks.push(*surprise)).collect();
        }
        self.scores = series::told_once(&self.scores);
        let windows = self.windows.iter().filter_map(|(from, to)| {
            let is_within = |fact: &Fact| {
                let second = fact.second + row::START;
                *from <= second && second <= *to
            };
            Some((self.facts.iter().position(is_within)?, self.facts.iter().rposition(is_within)?))
        });
        let windows = windows.collect();
        let probation = (PROBATION * self.facts.len() as f64).min(PROBATION_MAX) as usize;
        for fact in self.facts.iter_mut().take(probation) {
            fact.label = -1;
        }
        Judged { scores: self.scores.clone(), windows, probation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
