//! [`Exposure`]: money that went to counterparties that the agent does not trust yet, added up.
//!
//! One payment is an amount; ten small ones to ten strangers are none of them unusual. What is judged
//! is the sum after a payment, by what such sums are in the class (normal in the logarithm).
//!
//! Invariant: it fades by half in three days, so it is about a few days; currencies are added up as
//! they are, since the sums are told apart by their logarithm only.

use crate::class::{ClassSums, quantised};
use crate::pack::pack_struct;
use crate::tails::{Deviation, student_upper, surprise};

/// Half-life. Source: trust takes three days (`memory.rs`).
const HALF_LIFE_HOURS: f64 = 72.0;
/// Such payments of the class before their sum can be unusual.
const HISTORY_MIN: f64 = 12.0;
/// Degrees of freedom at most; spread of the logarithm at least.
const FREEDOM_MAX: f64 = 30.0;
const SPREAD_MIN: f64 = 0.3;
/// The sum must be so many times the payment: one alone is judged as an amount.
const SEVERAL: f64 = 1.5;

/// 8 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exposure {
    units: f32,
    /// The hour (since 1970) that they stand for.
    hour: u32,
}

pack_struct!(Exposure { units, hour });

impl Exposure {
    /// The sum in an hour.
    fn at(&self, hour: u32) -> f64 {
        let hours = f64::from(hour.saturating_sub(self.hour));
        f64::from(self.units) * (-hours / HALF_LIFE_HOURS).exp2()
    }

    /// Judges a payment of `units` to somebody who is not trusted yet.
    pub(crate) fn judge(&self, units: f64, hour: u32, class: &ClassSums) -> Deviation {
        let [payments, sum, squares] = class.exposures;
        let seen = self.at(hour) + units;
        if payments < HISTORY_MIN || seen < SEVERAL * units {
            return Deviation::default();
        }
        let mean = sum / payments;
        let variance = (squares / payments - mean * mean).max(SPREAD_MIN * SPREAD_MIN);
        let t = (seen.max(0.01).ln() - mean) / (variance * (1.0 + 1.0 / payments)).sqrt();
        if t < 1.0 {
            return Deviation::default();
        }
        let tail = student_upper(t, payments.min(FREEDOM_MAX));
        Deviation { surprise: surprise(tail), expected: mean.exp(), seen }
    }

    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    pub(crate) fn learn(&mut self, units: f64, hour: u32, class: &mut ClassSums) {
        let after = self.at(hour) + units;
        self.units = after as f32;
        self.hour = hour;
        let ln = quantised(after.max(0.01).ln());
        for (sum, more) in class.exposures.iter_mut().zip([1.0, ln, quantised(ln * ln)]) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> ClassSums {
        let mut sums = ClassSums::default();
        for n in 0..100 {
            let mut one = Exposure::default();
            one.learn(f64::from(500 + 10 * (n % 40)), 1_000, &mut sums);
        }
        sums
    }

    #[test]
    fn many_small_payments_to_strangers_add_up_and_one_a_month_does_not() {
        let class = class();
        let (mut splitting, mut seldom) = (Exposure::default(), Exposure::default());
        let mut last = [0.0; 2];
        for n in 0..30 {
            last[0] = splitting.judge(600.0, 2_000 + n, &class).surprise;
            splitting.learn(600.0, 2_000 + n, &mut ClassSums::default());
            last[1] = seldom.judge(600.0, 2_000 + 720 * n, &class).surprise;
            seldom.learn(600.0, 2_000 + 720 * n, &mut ClassSums::default());
        }

        assert!(4.0 < last[0], "{last:?}");
        assert!(last[1] <= 0.0, "{last:?}");
    }

    #[test]
    fn a_class_without_a_history_says_nothing() {
        let mut exposure = Exposure::default();
        exposure.learn(1e6, 5, &mut ClassSums::default());

        assert!(exposure.judge(1e6, 6, &ClassSums::default()).surprise <= 0.0);
    }
}
