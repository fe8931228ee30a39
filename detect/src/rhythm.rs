//! [`Rhythm`]: at which hours of the day an agent works, and how long it is silent between.
//!
//! Invariant: an hour is odd, and a silence long, by what the agent did before and by its class's
//! rhythm, each as far as it is known; neither is said of an agent of which nothing is known.

use crate::class::{ClassSums, Prior, quantised};
use crate::pack::pack_struct;
use crate::tails::{Deviation, student_upper, surprise};

/// An hour is odd if fewer than one in ten is active.
const ODD_HOUR: f64 = 0.1;
/// What the class's week is worth beside the agent's own hours, in active hours.
/// Source: detection.md section 6, `D_a`: 50 pseudo-counts beside counts up to 255; these end at 15.
const CLASS_HOURS: f64 = 20.0;
/// A silence that is no night and no weekend, in hours.
const SILENCE_MIN: f64 = 72.0;
/// Pauses shorter than this are within a session, in seconds.
const PAUSE_SECONDS: u32 = 3_600;
/// Pauses of agent and class together before a silence can be long.
const HISTORY_MIN: f64 = 8.0;
/// What the class's pauses are worth, in pauses; and its variance, in degrees of freedom.
const PRIOR_MEAN: f64 = 4.0;
const PRIOR_FREEDOM: f64 = 6.0;
/// An agent's pauses count as this many at most.
const PAUSES_MAX: f32 = 128.0;
/// Spread of ln(pause) at least: a third up or down is nothing.
const SPREAD_MIN: f64 = 0.3;

/// 24 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rhythm {
    /// Active hours by hour of the day, four bits each; all are halved when one is full.
    hours: [u8; 12],
    /// Pauses, mean of ln(hours) and sum of squared deviations.
    pauses: [f32; 3],
}

pack_struct!(Rhythm { hours, pauses });

impl Rhythm {
    fn active(&self, hour: usize) -> u8 {
        (self.hours[hour / 2] >> (4 * (hour % 2))) & 15
    }

    /// Learns that an hour of the day was active.
    pub(crate) fn learn_hour(&mut self, hour: usize) {
        if self.active(hour) == 15 {
            for two in &mut self.hours {
                *two = (*two >> 1) & 0x77;
            }
        }
        self.hours[hour / 2] += 1 << (4 * (hour % 2));
    }

    /// How odd it is to work now. `expected` is the share of such hours that are active.
    pub(crate) fn judge_hour(&self, hour_of_week: usize, prior: &Prior) -> Deviation {
        let of_class = prior.activity[hour_of_week];
        let now = hour_of_week % 24;
        // Two of fifteen are more than a tenth already, and so is what lies between two such shares.
        if ODD_HOUR <= of_class && 2 <= self.active(now) {
            return Deviation::default();
        }
        let all: u32 = self.hours.iter().map(|two| u32::from(two & 15) + u32::from(two >> 4)).sum();
        let busiest = (0..24).map(|hour| self.active(hour)).max().unwrap_or(0);
        // Beside its own busiest hour; a neighbouring hour vouches by half.
        let beside = self.active((now + 23) % 24).max(self.active((now + 1) % 24)) / 2;
        let own = (f64::from(self.active(now).max(beside)) + 0.5) / (f64::from(busiest) + 0.5);
        if ODD_HOUR <= of_class.min(own) {
            return Deviation::default();
        }
        let weight = f64::from(all) / (f64::from(all) + CLASS_HOURS);
        let expected = (of_class.ln() * (1.0 - weight) + own.ln() * weight).exp();
        if ODD_HOUR <= expected {
            return Deviation::default();
        }
        Deviation { surprise: surprise(expected), expected, seen: 1.0 }
    }

    /// Judges and learns the time since the event before, in seconds. Told in hours.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    pub(crate) fn pause(
        &mut self,
        seconds: u32,
        class: &ClassSums,
        delta: &mut ClassSums,
    ) -> Deviation {
        if seconds < PAUSE_SECONDS {
            return Deviation::default();
        }
        let hours = f64::from(seconds) / 3_600.0;
        let ln = quantised(hours.ln());
        let silence =
            if hours < SILENCE_MIN { Deviation::default() } else { self.judge(hours, class) };
        for (sum, more) in delta.pauses.iter_mut().zip([1.0, ln, quantised(ln * ln)]) {
            *sum += more;
        }
        let [count, mean, squares] = &mut self.pauses;
        if PAUSES_MAX <= *count {
            let keep = PAUSES_MAX / (PAUSES_MAX + 1.0);
            *count *= keep;
            *squares *= keep;
        }
        let deviation = ln as f32 - *mean;
        *count += 1.0;
        *mean += deviation / *count;
        *squares += deviation * (ln as f32 - *mean);
        silence
    }

    fn judge(&self, hours: f64, class: &ClassSums) -> Deviation {
        let [count, own_mean, own_squares] = self.pauses.map(f64::from);
        let [of_class, sum, squares] = class.pauses;
        if count + of_class < HISTORY_MIN {
            return Deviation::default();
        }
        let (prior_mean, prior_variance) = if 1.0 <= of_class {
            let mean = sum / of_class;
            (mean, (squares / of_class - mean * mean).max(SPREAD_MIN * SPREAD_MIN))
        } else {
            (own_mean, 1.0)
        };
        let worth = count + PRIOR_MEAN;
        let mean = (count * own_mean + PRIOR_MEAN * prior_mean) / worth;
        let apart = own_mean - prior_mean;
        let spread = own_squares
            + PRIOR_FREEDOM * prior_variance
            + apart * apart * count * PRIOR_MEAN / worth;
        let freedom = PRIOR_FREEDOM + count;
        let scale = (spread / freedom * (1.0 + 1.0 / worth)).sqrt().max(SPREAD_MIN);
        let t = (hours.ln() - mean) / scale;
        if t < 1.5 {
            return Deviation::default();
        }
        Deviation {
            surprise: surprise(student_upper(t, freedom)),
            expected: mean.exp(),
            seen: hours,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 3_600;

    fn at_work(pauses: impl IntoIterator<Item = u32>) -> (Rhythm, ClassSums) {
        let (mut rhythm, mut sums) = (Rhythm::default(), ClassSums::default());
        let nothing = ClassSums::default();
        for hours in pauses {
            rhythm.pause(hours * HOUR, &nothing, &mut sums);
        }
        (rhythm, sums)
    }

    #[test]
    fn a_month_of_silence_of_a_daily_worker_is_long_and_a_weekend_is_not() {
        let (mut rhythm, sums) = at_work((0..60).map(|n| if n % 7 == 6 { 62 } else { 15 + n % 3 }));
        let mut delta = ClassSums::default();
        let weekend = rhythm.clone().pause(64 * HOUR, &sums, &mut delta);
        let month = rhythm.pause(30 * 24 * HOUR, &sums, &mut delta);

        assert!(weekend.surprise <= 0.0, "{weekend:?}");
        assert!(3.0 < month.surprise && (month.seen - 720.0).abs() < 1e-9, "{month:?}");
    }

    #[test]
    fn who_works_once_a_month_may_be_silent_for_a_month() {
        let (mut rhythm, sums) = at_work((0..12).map(|n| 24 * (28 + n % 5)));
        let month = rhythm.pause(33 * 24 * HOUR, &sums, &mut ClassSums::default());

        assert!(month.surprise < 1.0, "{month:?}");
    }

    #[test]
    fn an_hour_is_odd_by_the_agents_own_day_once_it_has_one() {
        let prior = Prior { activity: vec![0.5; 168], ..Prior::default() };
        let mut night_watch = Rhythm::default();
        let unknown = night_watch.judge_hour(3, &prior);
        for _ in 0..60 {
            for hour in [1, 2, 3, 4] {
                night_watch.learn_hour(hour);
            }
        }

        assert!(unknown.surprise <= 0.0);
        assert!(night_watch.judge_hour(3, &prior).surprise <= 0.0);
        assert!(1.0 < night_watch.judge_hour(13, &prior).surprise);
        let asleep = Prior { activity: vec![0.01; 168], ..Prior::default() };
        let (stranger, regular) = (Rhythm::default(), night_watch);
        assert!(regular.judge_hour(3, &asleep).surprise < stranger.judge_hour(3, &asleep).surprise);
    }
}
