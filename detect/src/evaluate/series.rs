//! [`Series`]: how rare a value of a series is, by its nearest neighbours among those before it.
//!
//! A part for benchmarks of series alone: the detector knows amounts and volumes of agents, and no
//! shape of a curve. Three views of each value (itself, its distance from what is usual at that time
//! of day, the spread of the latest twelve) are each as unusual as they are far from the five nearest
//! of all earlier ones; how far is ranked among how far it was before, and the rarest view counts.
//!
//! Invariant: one pass. A value is judged by those before it alone, then learned; no limit and no
//! scale comes from the series, and the same constants serve all.
//!
//! Source: Ramaswamy, Rastogi, Shim: *Efficient algorithms for mining outliers from large data sets*
//! (2000), distances to neighbours; Burnaev, Ishimtsev: *Conformalized density- and distance-based
//! anomaly detection in time-series data* (2016), ranks of such distances among earlier ones.

use std::collections::VecDeque;

/// Neighbours whose mean distance counts.
const NEIGHBOURS: usize = 5;
/// Values before one can be far from them.
const HISTORY_MIN: usize = NEIGHBOURS + 8;
/// Values whose standard deviation is the spread.
const SPREAD_OF: usize = 12;
/// Quarters of an hour.
const TIMES_OF_DAY: usize = 96;
/// What is usual at a time of day: at most so many latest values count, and the mean of all counts two.
const USUAL_MAX: f64 = 12.0;
const USUAL_PRIOR: f64 = 2.0;
/// The mean of all follows so many latest values.
const MEAN_MAX: f64 = 2_000.0;
/// A stretch within which an anomaly is told once: so much of what was seen, so many values at least.
const STRETCH: f64 = 0.05;
const STRETCH_MIN: usize = 32;

/// Three views of a series.
#[derive(Debug, Default)]
pub(super) struct Series {
    usual: Usual,
    latest: VecDeque<f64>,
    value: View,
    apart: View,
    spread: View,
}

impl Series {
    /// How rare the value is (minus the decimal logarithm of a share); then learns it.
    pub(super) fn push(&mut self, second: f64, value: f64) -> f64 {
        if self.latest.len() == SPREAD_OF {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
        let apart = value - self.usual.at(second, value);
        let views = [
            self.value.push(value),
            self.apart.push(apart),
            self.spread.push(deviation(&self.latest)),
        ];
        views.into_iter().fold(0.0, f64::max)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a dozen")]
fn deviation(values: &VecDeque<f64>) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// What is usual at a time of day.
#[derive(Debug)]
struct Usual {
    means: [f64; TIMES_OF_DAY],
    counts: [f64; TIMES_OF_DAY],
    mean: f64,
    count: f64,
}

impl Default for Usual {
    fn default() -> Self {
        Self { means: [0.0; TIMES_OF_DAY], counts: [0.0; TIMES_OF_DAY], mean: 0.0, count: 0.0 }
    }
}

impl Usual {
    /// What was usual at this time; then learns the value.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a part of a day"
    )]
    fn at(&mut self, second: f64, value: f64) -> f64 {
        let part = second.rem_euclid(86_400.0) / 86_400.0 * TIMES_OF_DAY as f64;
        let at = (part as usize).min(TIMES_OF_DAY - 1);
        if self.count == 0.0 {
            self.mean = value;
        }
        let (mean, count) = (&mut self.means[at], &mut self.counts[at]);
        let usual = (*mean * *count + self.mean * USUAL_PRIOR) / (*count + USUAL_PRIOR);
        *count = (*count + 1.0).min(USUAL_MAX);
        *mean += (value - *mean) / *count;
        self.count = (self.count + 1.0).min(MEAN_MAX);
        self.mean += (value - self.mean) / self.count;
        usual
    }
}

/// All earlier values and how far each was from those before it, both sorted.
#[derive(Debug, Default)]
struct View {
    values: Vec<f64>,
    ranks: Ranks,
}

impl View {
    fn push(&mut self, value: f64) -> f64 {
        let at = self.values.partition_point(|one| *one < value);
        let rarity = self.ranks.push(self.distance(at, value));
        self.values.insert(at, value);
        rarity
    }

    /// Mean distance of the value, whose place is `at`, from its nearest.
    #[expect(clippy::cast_precision_loss, reason = "five")]
    fn distance(&self, at: usize, value: f64) -> f64 {
        if self.values.len() < HISTORY_MIN {
            return 0.0;
        }
        let (mut below, mut above, mut sum) = (at, at, 0.0);
        for _ in 0..NEIGHBOURS {
            let down = below.checked_sub(1).map_or(f64::INFINITY, |one| value - self.values[one]);
            let up = self.values.get(above).map_or(f64::INFINITY, |one| one - value);
            if down <= up {
                below -= 1;
            } else {
                above += 1;
            }
            sum += down.min(up);
        }
        sum / NEIGHBOURS as f64
    }
}

/// Surprises so far, sorted.
#[derive(Debug, Default)]
pub(super) struct Ranks(Vec<f64>);

impl Ranks {
    /// How rare so large a surprise is among those before it (minus the decimal logarithm of the
    /// share, this one included), 0 for none; then learns it.
    #[expect(clippy::cast_precision_loss, reason = "rows of a file")]
    pub(super) fn push(&mut self, surprise: f64) -> f64 {
        let below = self.0.partition_point(|one| *one < surprise);
        let (as_large, all) = (self.0.len() - below + 1, self.0.len() + 1);
        self.0.insert(below, surprise);
        if surprise <= 0.0 { 0.0 } else { -(as_large as f64 / all as f64).log10() }
    }
}

/// The rarities, 0 within a stretch that was told already unless it gets worse.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rows of a file"
)]
pub(super) fn told_once(rarities: &[f64]) -> Vec<f64> {
    let told = rarities.iter().enumerate().map(|(at, rarity)| {
        let stretch = STRETCH_MIN.max((STRETCH * at as f64) as usize);
        let recent = &rarities[at.saturating_sub(stretch)..at];
        if recent.iter().all(|one| one < rarity) { *rarity } else { 0.0 }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of five minutes each: high by day, low by night, a little noise.
    fn usual(row: u32) -> f64 {
        let is_day = (96..192).contains(&(row % 288));
        let level = if is_day { 80.0 } else { 20.0 };
        level + f64::from(row * 7 % 5)
    }

    fn rarities(value: impl Fn(u32) -> f64) -> Vec<f64> {
        let mut series = Series::default();
        (0..3_000).map(|row| series.push(300.0 * f64::from(row), value(row))).collect()
    }

    /// The highest after the first 450 values.
    fn rarest(rarities: &[f64]) -> usize {
        (450..rarities.len()).max_by(|a, b| rarities[*a].total_cmp(&rarities[*b])).unwrap()
    }

    #[test]
    fn a_value_that_never_was_is_the_rarest() {
        let found = rarities(|row| if row == 2_000 { 50.0 } else { usual(row) });

        assert_eq!(rarest(&found), 2_000);
        assert!(2.5 < found[2_000], "{}", found[2_000]);
    }

    #[test]
    fn a_usual_value_at_an_unusual_time_is_rare() {
        // Half an hour of day in the middle of the night.
        let night = 2_016..2_022;
        let found = rarities(|row| if night.contains(&row) { 82.0 } else { usual(row) });
        let without = rarities(usual);

        let highest = found[2_016..2_022].iter().copied().fold(0.0, f64::max);
        let usual = without[2_016..2_022].iter().copied().fold(0.0, f64::max);
        assert!(usual + 1.0 < highest, "{usual} {highest}");
    }

    #[test]
    fn a_flat_line_in_noise_is_rare() {
        let noise = |row: u32| f64::from(row.wrapping_mul(2_654_435_761) >> 20) / 40.96;
        let flat = 2_000..2_030;
        let found = rarities(|row| if flat.contains(&row) { 50.0 } else { noise(row) });

        let highest = found[2_000..2_030].iter().copied().fold(0.0, f64::max);
        assert!(2.5 < highest, "{highest}");
    }

    #[test]
    fn a_stretch_is_told_once_and_again_when_it_gets_worse() {
        let mut rarities = vec![0.5; 600];
        rarities[500..520].fill(3.0);
        rarities[510] = 3.2;

        let told = told_once(&rarities);

        let found: Vec<usize> = (1..600).filter(|at| 0.0 < told[*at]).collect();
        assert_eq!(found[found.len() - 2..], [500, 510]);
    }
}
