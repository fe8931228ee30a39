//! [`NabScore`]: the score of the Numenta Anomaly Benchmark.
//!
//! Invariant: one threshold for all series and each profile, the one that scores best, as NAB's own
//! optimiser chooses it; rows of the probationary period neither cost nor earn.
//!
//! Source: Lavin, Ahmad: *Evaluating real-time anomaly detection algorithms: the Numenta Anomaly
//! Benchmark* (2015), sections II.B and II.C. Written anew from it; `--results` writes what NAB's own
//! scorer reads.

use serde::Serialize;

/// What a row of a window earns at most, a row outside costs at most, a window that was missed costs.
struct Profile {
    found: f64,
    wrong: f64,
    missed: f64,
}

const STANDARD: Profile = Profile { found: 1.0, wrong: 0.11, missed: 1.0 };
const LOW_FP: Profile = Profile { found: 1.0, wrong: 0.22, missed: 1.0 };
const LOW_FN: Profile = Profile { found: 1.0, wrong: 0.11, missed: 2.0 };
/// Windows behind a row after which it costs all.
const FAR: f64 = 3.0;

/// Of 100: 0 is who finds nothing, 100 who finds all at the first row and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NabScore {
    pub standard: f64,
    pub low_fp: f64,
    pub low_fn: f64,
}

/// A series that was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    pub(super) scores: Vec<f64>,
    /// First and last row of each window.
    pub(super) windows: Vec<(usize, usize)>,
    /// Rows of the probationary period.
    pub(super) probation: usize,
}

/// A row above every threshold up to its score.
struct Told {
    score: f64,
    /// Number of its window among those of all series.
    window: Option<usize>,
    /// Between -1 and 1.
    worth: f64,
}

impl NabScore {
    pub fn of(series: &[&Judged]) -> Self {
        let mut told = Vec::new();
        let mut windows = 0;
        for one in series {
            one.told(windows, &mut told);
            windows += one.windows.len();
        }
        told.sort_by(|a, b| b.score.total_cmp(&a.score));
        let [standard, low_fp, low_fn] =
            [STANDARD, LOW_FP, LOW_FN].map(|profile| profile.best(&told, windows));
        Self { standard, low_fp, low_fn }
    }
}

impl Judged {
    #[expect(clippy::cast_precision_loss, reason = "rows of a file")]
    fn told(&self, numbers_from: usize, told: &mut Vec<Told>) {
        for (row, score) in self.scores.iter().enumerate().skip(self.probation) {
            if *score <= 0.0 {
                continue;
            }
            // The latest window that has begun.
            let begun = self.windows.iter().rposition(|(first, _)| *first <= row);
            let (window, worth) = match begun.map(|at| (at, self.windows[at])) {
                None => (None, -1.0),
                Some((at, (first, last))) if row <= last => {
                    let left = (last - row + 1) as f64 / (last - first + 1) as f64;
                    (Some(numbers_from + at), sigmoid(-left) / sigmoid(-1.0))
                }
                Some((_, (first, last))) => {
                    let behind = (row - last) as f64 / (last - first).max(1) as f64;
                    (None, if FAR < behind { -1.0 } else { sigmoid(behind) })
                }
            };
            told.push(Told { score: *score, window, worth });
        }
    }
}

fn sigmoid(position: f64) -> f64 {
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

impl Profile {
    /// The score at the best threshold, of rows that are sorted by score.
    #[expect(clippy::cast_precision_loss, reason = "windows of a corpus")]
    fn best(&self, told: &[Told], windows: usize) -> f64 {
        let mut earned: Vec<Option<f64>> = vec![None; windows];
        let (mut sum, mut best) = (0.0_f64, 0.0_f64);
        for tied in told.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
            for row in tied {
                let Some(window) = row.window else {
                    sum += self.wrong * row.worth;
                    continue;
                };
                let before = earned[window].unwrap_or(-self.missed);
                let now = earned[window]
                    .map_or(self.found * row.worth, |earned| earned.max(self.found * row.worth));
                earned[window] = Some(now);
                sum += now - before;
            }
            best = best.max(sum);
        }
        100.0 * best / ((self.found + self.missed) * windows.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &[(usize, f64)]) -> Judged {
        let mut scores = vec![0.0; 1_000];
        for (row, score) in rows {
            scores[*row] = *score;
        }
        Judged { scores, windows: vec![(500, 599)], probation: 150 }
    }

    #[test]
    fn who_finds_each_window_at_once_has_100_and_who_finds_nothing_0() {
        let perfect = NabScore::of(&[&judged(&[(500, 3.0)]), &judged(&[(500, 2.0)])]);
        let nothing = NabScore::of(&[&judged(&[(700, 3.0)])]);

        for score in [perfect.standard, perfect.low_fp, perfect.low_fn] {
            assert!((score - 100.0).abs() < 1e-9, "{perfect:?}");
        }
        assert!(nothing.standard.abs() < 1e-9, "{nothing:?}");
    }

    #[test]
    fn what_is_wrong_costs_by_the_profile_and_probation_nothing() {
        // The wrong row is above every threshold that finds the window.
        let score = NabScore::of(&[&judged(&[(20, 9.0), (300, 5.0), (500, 3.0)])]);

        assert!((score.standard - (100.0 - 5.5)).abs() < 1e-9, "{score:?}");
        assert!((score.low_fp - (100.0 - 11.0)).abs() < 1e-9, "{score:?}");
        assert!((score.low_fn - (100.0 - 11.0 / 3.0)).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn late_is_worth_less_and_just_behind_costs_little() {
        let late = NabScore::of(&[&judged(&[(590, 3.0)])]);
        let behind = NabScore::of(&[&judged(&[(500, 3.0), (601, 4.0)])]);

        assert!(60.0 < late.standard && late.standard < 64.0, "{late:?}");
        assert!(99.0 < behind.standard && behind.standard < 100.0, "{behind:?}");
    }
}
