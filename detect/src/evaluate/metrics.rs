//! [`Report`]: how well scores told malicious rows from benign ones.
//!
//! Invariant: only rows with a label and after the warm-up count. Alerts are de-duplicated by agent,
//! tool and counterparties: what was alerted once is an open alert, which costs no second one and
//! catches every later call of its kind.

use std::collections::{BTreeMap, HashMap};

use schemas::DetectorKind;
use serde::Serialize;

use super::nab::Judged;

/// Source: 7 days of warm-up, detection.md section 7.
pub(super) const WARM_UP_SECONDS: f64 = 7.0 * 86_400.0;
/// False alerts per agent-day. Source: detection.md section 6, calibration.
const BUDGETS: [f64; 3] = [0.1, 0.03, 0.01];

/// Share of attacked sessions found at a budget of unique false alerts per agent-day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recall {
    #[serde(rename = "0.1")]
    pub review: f64,
    #[serde(rename = "0.03")]
    pub page: f64,
    #[serde(rename = "0.01")]
    pub block: f64,
}

/// What the detector promised and what came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibration {
    pub budget: f64,
    /// False alerts per agent-day that the detector said at most to expect at this level.
    pub expected: f64,
    /// Unique false alerts per agent-day at this level.
    pub observed: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub auc: f64,
    pub average_precision: f64,
    /// Of whole sessions that have a row with a label: the largest score, and whether any row is
    /// malicious. Of edges a session is a pair's minute; a series is one.
    pub session: Option<Ranking>,
    pub recall: Recall,
    /// Share of attacked agents whose first malicious call was alerted, at 0.1.
    pub caught_at_first_call: f64,
    /// Median seconds from an agent's first malicious call to its first alerted one, at 0.1.
    pub time_to_detect_s: Option<f64>,
    /// Units paid by malicious calls of an agent before its first alerted one, all agents, at 0.1.
    pub money_before_first_finding: f64,
    /// The same where the alerted call itself is not blocked.
    pub money_with_first_finding: f64,
    /// Empty where the detector did not judge.
    pub calibration: Vec<Calibration>,
    pub rows: usize,
    pub scored: usize,
    pub malicious: usize,
    pub agent_days: f64,
    #[serde(skip)]
    pub curves: Curves,
    /// What NAB's score needs of a series.
    #[serde(skip)]
    pub series: Judged,
}

/// How well scores rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ranking {
    pub auc: f64,
    pub average_precision: f64,
}

/// What counts of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    pub(super) second: f64,
    /// 1 malicious, 0 benign, anything else unlabelled.
    pub(super) label: i32,
    pub(super) agent: u32,
    /// Number of the session of this agent.
    pub(super) session: u32,
    /// Number of agent, tool and counterparties.
    pub(super) kind: u32,
    /// 0 for none.
    pub(super) amount: f64,
}

impl Fact {
    /// Whether it is scored, from this second on.
    fn counts(&self, from: f64) -> bool {
        from <= self.second && (self.label == 0 || self.label == 1)
    }
}

/// What pictures show of the same rows. Points are `[x, y]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Share of benign rows above a score, share of malicious ones.
    pub roc: Vec<[f64; 2]>,
    /// Recall of rows, precision.
    pub precision_recall: Vec<[f64; 2]>,
    /// False alerts per agent-day: expected at most, observed. Levels without one are left out.
    pub calibration: Vec<[f64; 2]>,
    /// Findings on malicious and on benign rows, by detector.
    pub findings: BTreeMap<&'static str, [u64; 2]>,
}

/// How far apart the points of a curve are, as both coordinates' sum: 400 of them at most.
const STEP: f64 = 0.005;
/// Levels between 1 and 0.001 false alerts per agent-day, at equal distances of their logarithms.
const LEVELS: i32 = 24;

/// A row that counts.
struct Scored<'a> {
    row: &'a Fact,
    score: f64,
    rate: f64,
    is_malicious: bool,
    kind: usize,
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub(super) fn report(
    rows: &[Fact],
    scores: &[f64],
    rates: &[f64],
    found: &[(DetectorKind, usize)],
    warm_up: f64,
) -> Report {
    let from = rows.first().map_or(0.0, |row| row.second.min(0.0)) + warm_up;
    let kinds = rows.iter().map(|row| row.kind as usize + 1).max().unwrap_or(0);
    let scored: Vec<Scored<'_>> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.counts(from))
        .map(|(at, row)| Scored {
            row,
            score: scores[at],
            rate: rates.get(at).copied().unwrap_or(f64::MAX),
            is_malicious: row.label == 1,
            kind: row.kind as usize,
        })
        .collect();
    let mut agents: Vec<u32> = scored.iter().map(|one| one.row.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    let last = rows.last().map_or(0.0, |row| row.second);
    let days = ((last - from) / 86_400.0).ceil().max(0.0);
    let agent_days = agents.len() as f64 * days;
    let thresholds = BUDGETS.map(|budget| threshold(&scored, kinds, budget * agent_days));
    let [review, page, block] = thresholds.map(|threshold| recall(&scored, threshold));
    let first = FirstCalls::of(&scored, thresholds[0]);
    let observed = |budget: f64| {
        let mut alerted: Vec<usize> = scored
            .iter()
            .filter(|one| !one.is_malicious && one.rate <= budget)
            .map(|one| one.kind)
            .collect();
        alerted.sort_unstable();
        alerted.dedup();
        alerted.len() as f64 / agent_days.max(1.0)
    };
    let by_row = scored.iter().map(|one| (one.score, one.is_malicious)).collect();
    let (Ranking { auc, average_precision }, mut curves) = curve(by_row);
    let levels = if rates.is_empty() { 0 } else { LEVELS + 1 };
    for level in 0..levels {
        let budget = 10_f64.powf(-3.0 * f64::from(level) / f64::from(LEVELS));
        let observed = observed(budget);
        if 0.0 < observed {
            curves.calibration.push([budget, observed]);
        }
    }
    curves.findings = findings(rows, found, from);
    Report {
        curves,
        series: Judged::default(),
        auc,
        average_precision,
        session: Some(curve(sessions(&scored)).0),
        recall: Recall { review, page, block },
        caught_at_first_call: first.caught,
        time_to_detect_s: first.seconds,
        money_before_first_finding: first.money_before,
        money_with_first_finding: first.money_with,
        calibration: BUDGETS
            .iter()
            .filter(|_| !rates.is_empty())
            .map(|budget| Calibration {
                budget: *budget,
                expected: *budget,
                observed: observed(*budget),
            })
            .collect(),
        rows: rows.len(),
        scored: scored.len(),
        malicious: scored.iter().filter(|one| one.is_malicious).count(),
        agent_days,
    }
}

/// Findings on malicious and on benign rows from this second on, by detector.
fn findings(
    rows: &[Fact],
    found: &[(DetectorKind, usize)],
    from: f64,
) -> BTreeMap<&'static str, [u64; 2]> {
    let mut findings: BTreeMap<_, [u64; 2]> = BTreeMap::new();
    for (detector, at) in found {
        let row = &rows[*at];
        if row.counts(from) {
            findings.entry(detector.as_str()).or_default()[usize::from(row.label == 0)] += 1;
        }
    }
    findings
}

/// The largest score of each session, and whether it is attacked.
fn sessions(scored: &[Scored<'_>]) -> Vec<(f64, bool)> {
    let mut sessions: HashMap<u32, (f64, bool)> = HashMap::new();
    for one in scored {
        let of_session = sessions.entry(one.row.session).or_insert((f64::MIN, false));
        of_session.0 = of_session.0.max(one.score);
        of_session.1 |= one.is_malicious;
    }
    sessions.into_values().collect()
}

/// Area under the receiver's curve, ties counting half, average precision, and both curves, of scores
/// and whether they are of something malicious.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn curve(mut sorted: Vec<(f64, bool)>) -> (Ranking, Curves) {
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted.iter().filter(|(_, is_malicious)| *is_malicious).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    let (mut hits, mut misses, mut area, mut precision) = (0.0, 0.0, 0.0, 0.0);
    let (mut roc, mut precision_recall) = (vec![[0.0, 0.0]], Vec::new());
    for tied in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let found = tied.iter().filter(|(_, is_malicious)| *is_malicious).count() as f64;
        let wrong = tied.len() as f64 - found;
        area += wrong * (hits + found / 2.0);
        hits += found;
        misses += wrong;
        precision += found * hits / (hits + misses);
        roc.push([misses / negatives.max(1.0), hits / positives.max(1.0)]);
        precision_recall.push([hits / positives.max(1.0), hits / (hits + misses)]);
    }
    let pairs = positives * negatives;
    let curves = Curves {
        roc: thinned(&roc),
        precision_recall: thinned(&precision_recall),
        ..Curves::default()
    };
    let auc = if 0.0 < pairs { area / pairs } else { 0.5 };
    (Ranking { auc, average_precision: precision / positives.max(1.0) }, curves)
}

/// Points of a curve that are [`STEP`] apart, and its last.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for point in points {
        let is_far = kept
            .last()
            .is_none_or(|last| STEP <= (point[0] - last[0]).abs() + (point[1] - last[1]).abs());
        if is_far {
            kept.push(*point);
        }
    }
    kept.extend(points.last().filter(|last| kept.last() != Some(last)));
    kept
}

/// The lowest score above which at most `allowed` kinds of benign rows lie; rows must exceed it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "alerts of a few hundred agent-days"
)]
fn threshold(scored: &[Scored<'_>], kinds: usize, allowed: f64) -> f64 {
    let mut highest = vec![f64::MIN; kinds];
    for one in scored.iter().filter(|one| !one.is_malicious) {
        highest[one.kind] = highest[one.kind].max(one.score);
    }
    highest.sort_by(|a, b| b.total_cmp(a));
    highest.get(allowed as usize).copied().unwrap_or(f64::MIN)
}

/// The rows in order, each with whether an alert of its kind is open when it is over.
fn alerted<'a>(
    scored: &'a [Scored<'a>],
    threshold: f64,
) -> impl Iterator<Item = (&'a Scored<'a>, bool)> {
    let mut open = std::collections::HashSet::new();
    scored.iter().map(move |one| {
        if threshold < one.score {
            open.insert(one.kind);
        }
        (one, open.contains(&one.kind))
    })
}

/// Share of attacked sessions with an alerted malicious call.
#[expect(clippy::cast_precision_loss, reason = "counts of sessions")]
fn recall(scored: &[Scored<'_>], threshold: f64) -> f64 {
    let mut sessions: HashMap<u32, bool> = HashMap::new();
    for (one, is_alerted) in alerted(scored, threshold).filter(|(one, _)| one.is_malicious) {
        *sessions.entry(one.row.session).or_default() |= is_alerted;
    }
    let found = sessions.values().filter(|is_found| **is_found).count();
    found as f64 / sessions.len().max(1) as f64
}

/// What happened to each attacked agent before it was found.
struct FirstCalls {
    caught: f64,
    seconds: Option<f64>,
    money_before: f64,
    money_with: f64,
}

#[derive(Default)]
struct Victim {
    first: Option<f64>,
    found: Option<f64>,
    calls: usize,
    money_before: f64,
    money_with: f64,
}

impl FirstCalls {
    #[expect(clippy::cast_precision_loss, reason = "counts of agents")]
    fn of(scored: &[Scored<'_>], threshold: f64) -> Self {
        let mut victims: HashMap<u32, Victim> = HashMap::new();
        for (one, is_alerted) in alerted(scored, threshold).filter(|(one, _)| one.is_malicious) {
            let victim = victims.entry(one.row.agent).or_default();
            victim.first.get_or_insert(one.row.second);
            if victim.found.is_some() {
                continue;
            }
            victim.calls += 1;
            let money = one.row.amount.max(0.0);
            victim.money_with += money;
            if is_alerted {
                victim.found = Some(one.row.second);
            } else {
                victim.money_before += money;
            }
        }
        let all = victims.len().max(1) as f64;
        let at_first = |victim: &&Victim| victim.calls == 1 && victim.found.is_some();
        let mut waits: Vec<f64> =
            victims.values().filter_map(|victim| Some(victim.found? - victim.first?)).collect();
        waits.sort_by(f64::total_cmp);
        Self {
            caught: victims.values().filter(at_first).count() as f64 / all,
            seconds: waits.get(waits.len() / 2).copied(),
            money_before: victims.values().map(|victim| victim.money_before).sum(),
            money_with: victims.values().map(|victim| victim.money_with).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: f64, session: u32, kind: u32, label: i32) -> Fact {
        Fact { second: 86_400.0 * day, label, agent: 1, session, kind, amount: 5.0 }
    }

    #[test]
    fn alerts_are_unique_and_an_open_one_catches_what_follows() {
        let (early, friend, thief) = (0, 1, 2);
        let rows = [
            row(1.0, 0, early, 0),
            row(8.0, 1, friend, 0),
            row(9.0, 2, thief, 1),
            row(10.0, 3, thief, 1),
            row(11.0, 3, friend, 0),
            row(17.0, 4, friend, -1),
        ];

        let told = report(
            &rows,
            &[9.0, 1.0, 5.0, 0.5, 2.0, 9.0],
            &[1.0; 6],
            &[(DetectorKind::UnusualVolume, 2), (DetectorKind::UnusualVolume, 0)],
            WARM_UP_SECONDS,
        );

        assert_eq!((told.rows, told.scored, told.malicious), (6, 4, 2));
        assert!((told.auc - 0.5).abs() < 1e-9 && (told.agent_days - 10.0).abs() < 1e-9);
        // One false alert in ten agent-days is allowed, so everything may be alerted.
        assert!((told.recall.review - 1.0).abs() < 1e-9);
        assert!((told.recall.block - 1.0).abs() < 1e-9, "the second call has an open alert");
        assert!((told.caught_at_first_call - 1.0).abs() < 1e-9);
        assert!(told.money_before_first_finding.abs() < 1e-9);
        assert!((told.money_with_first_finding - 5.0).abs() < 1e-9);
        // Sessions 2 and 3 are attacked: 5 and 2 against 1.
        let session = told.session.unwrap();
        assert!((session.auc - 1.0).abs() < 1e-9, "{session:?}");
        assert!((session.average_precision - 1.0).abs() < 1e-9, "{session:?}");
        // Best first: a malicious row, two benign ones, a malicious row. The row of the warm-up is none.
        let curves = told.curves;
        assert_eq!(curves.roc, [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [1.0, 0.5], [1.0, 1.0]]);
        assert_eq!(curves.precision_recall, [[0.5, 1.0], [0.5, 0.5], [0.5, 1.0 / 3.0], [1.0, 0.5]]);
        assert_eq!(curves.findings, BTreeMap::from([("unusual_volume", [1, 0])]));
        assert_eq!(curves.calibration, [[1.0, 0.1]], "one kind of benign rows in ten agent-days");
    }
}
