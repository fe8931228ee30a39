//! Tail probabilities: how unlikely something at least so large is.
//!
//! Invariant: every function is total over the finite floats, returns a probability in
//! [`LEAST`]`..=1`, and never grows with the observation; but where the negative binomial changes
//! from the exact tail to the deviance, it may step by what the two differ, and where it changes from
//! a sum to beta functions, by a rounding.

use std::f64::consts::{LN_10, LOG10_E};

use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::ln_gamma;

/// Something with how unlikely it is: 0 if it is not unusual at all, and then nothing else is told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Deviation {
    /// Minus the decimal logarithm of its probability.
    pub surprise: f64,
    pub expected: f64,
    pub seen: f64,
}

/// The smallest probability told. Smaller ones cannot be checked against anything.
pub(crate) const LEAST: f64 = 1e-16;

/// Above this count the incomplete beta function's continued fraction loses digits.
const EXACT_COUNT_MAX: f64 = 2_000.0;

/// A probability brought into `LEAST..=1`; what is not a number says nothing, so 1.
fn sane(probability: f64) -> f64 {
    if probability.is_nan() { 1.0 } else { probability.clamp(LEAST, 1.0) }
}

/// P(X > x) + P(X = x)/2 for a negative binomial X with this mean and dispersion `k`
/// (variance = mean + mean^2 / k).
///
/// Source: detection.md section 6: P(X >= x) = I_{m/(m+k)}(x, k); mid-p.
pub(crate) fn negative_binomial_upper(x: f64, mean: f64, k: f64) -> f64 {
    if x <= 0.0 || mean <= 0.0 || k <= 0.0 {
        return 1.0;
    }
    if EXACT_COUNT_MAX < x {
        return normal_upper_of_deviance(x, mean, k);
    }
    if let Some(tail) = summed_up(x, mean, k) {
        return sane(tail);
    }
    let p = mean / (mean + k);
    let at_least = checked_beta_reg(x, k, p).unwrap_or(1.0);
    sane(at_least - probability_at(x, mean, k).min(at_least) / 2.0)
}

/// P(X = x), which two incomplete beta functions differ by: a quarter of what the second would cost.
///
/// Source: P(X = x) = Γ(x + k) / (Γ(x + 1) Γ(k)) p^x q^k.
fn probability_at(x: f64, mean: f64, k: f64) -> f64 {
    let ways = ln_gamma(x + k) - ln_gamma(x + 1.0) - ln_gamma(k);
    (ways + x * (mean / (mean + k)).ln() + k * (k / (mean + k)).ln()).exp()
}

/// The same by adding up, for the small whole counts that most windows have: what is less than `x`, where
/// that leaves enough digits, or else what may come. `None` where the sum has too many terms.
///
/// Source: P(X = x) = prod p (k + i) / (i + 1) q^k over i < x, and P(X = x + 1) = P(X = x) p (k + x) / (x + 1).
fn summed_up(x: f64, mean: f64, k: f64) -> Option<f64> {
    /// The counts, and the terms after them, that are added up; with `k` below this, none of the products
    /// leaves the range of floats.
    const COUNT_MAX: f64 = 64.0;
    const TERMS_MAX: u32 = 64;
    const K_MAX: f64 = 1e4;
    /// A difference from 1 that is not smaller has ten digits: a power of `k` may have lost four.
    const REST_MIN: f64 = 1e-2;
    let is_small = x <= COUNT_MAX && x.fract() == 0.0 && k <= K_MAX;
    if !is_small {
        return None;
    }
    let p = mean / (mean + k);
    let (mut product, mut less, mut n) = (1.0, 0.0, 0.0);
    while n < x {
        less += product;
        product *= p * (k + n) / (n + 1.0);
        n += 1.0;
    }
    let none = (k / (mean + k)).powf(k);
    let rest = 1.0 - none * (less + product / 2.0);
    if REST_MIN <= rest {
        return Some(rest);
    }
    // Of P(X = x): itself by half, and all that come after.
    let (mut sum, mut term) = (0.5, 1.0);
    for _ in 0..TERMS_MAX {
        let ratio = p * (k + n) / (n + 1.0);
        term *= ratio;
        sum += term;
        n += 1.0;
        // Ratios approach p from either side: the rest is a geometric series at the most.
        let ratio = ratio.max(p);
        if ratio < 1.0 && term * ratio < f64::EPSILON / 4.0 * sum * (1.0 - ratio) {
            return Some(product * none * sum);
        }
    }
    None
}

/// The same by the signed root of the deviance, for large counts.
fn normal_upper_of_deviance(x: f64, mean: f64, k: f64) -> f64 {
    if x <= mean {
        return 1.0;
    }
    let deviance = 2.0 * (x * (x / mean).ln() - (x + k) * ((x + k) / (mean + k)).ln());
    sane(statrs::function::erf::erfc((deviance.max(0.0) / 2.0).sqrt()) / 2.0)
}

/// P(T > t) for Student's t with `freedom` degrees of freedom.
pub(crate) fn student_upper(t: f64, freedom: f64) -> f64 {
    if t <= 0.0 || freedom <= 0.0 {
        return 1.0;
    }
    let x = freedom / (freedom + t * t);
    sane(checked_beta_reg(freedom / 2.0, 0.5, x).unwrap_or(1.0) / 2.0)
}

/// A bound of P(at least `hits` of `trials`) when each hits with probability `p`.
///
/// Source: Chernoff: exp(-n KL(hits/n || p)).
pub(crate) fn binomial_upper(hits: f64, trials: f64, p: f64) -> f64 {
    if hits <= 0.0 || trials <= 0.0 || hits / trials <= p {
        return 1.0;
    }
    let share = (hits / trials).min(1.0);
    let misses = if share < 1.0 { (1.0 - share) * ((1.0 - share) / (1.0 - p)).ln() } else { 0.0 };
    sane((-trials * (share * (share / p).ln() + misses)).exp())
}

/// Processors convert signed numbers in one step, unsigned ones in six.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn as_float(count: u64) -> f64 {
    count.cast_signed() as f64
}

/// The nearest whole number, halves away from zero: as [`f64::round`], which is a call into the C library on
/// processors that a build for any x86-64 may meet.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^52")]
pub(crate) fn rounded(x: f64) -> f64 {
    /// From here on every float is whole.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    if x.abs() < WHOLE {
        let whole = x as i64 as f64;
        let rest = x - whole;
        whole + f64::from(i8::from(0.5 <= rest) - i8::from(rest <= -0.5))
    } else {
        x
    }
}

/// Minus the decimal logarithm of a probability: 0 for certain, at most 16.
///
/// By the natural one: of the C library's functions, decimal logarithms and powers take three times as long.
pub(crate) fn surprise(probability: f64) -> f64 {
    -sane(probability).ln() * LOG10_E
}

/// The probability of a [`surprise`].
pub(crate) fn probability_of(surprise: f64) -> f64 {
    (-surprise * LN_10).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_negative_binomial_tail_agrees_with_summing_it_up() {
        // With k = 1 it is geometric: P(X >= x) = (m / (m + 1))^x.
        let p = negative_binomial_upper(5.0, 3.0, 1.0);

        let exact = f64::midpoint(0.75_f64.powi(5), 0.75_f64.powi(6));
        assert!((p - exact).abs() < 1e-12, "{p} {exact}");
    }

    #[test]
    fn what_is_summed_up_agrees_with_the_incomplete_beta_function() {
        let mut summed = 0;
        for k in [0.25, 0.7, 1.0, 3.3, 8.0, 50.0, 9_999.0] {
            for mean in [0.001, 0.3, 1.0, 4.5, 20.0, 60.0] {
                for x in 1..=64 {
                    let x = f64::from(x);
                    let Some(tail) = summed_up(x, mean, k) else { continue };
                    let p = mean / (mean + k);
                    let beta = |x: f64| checked_beta_reg(x, k, p).unwrap();
                    let exact = f64::midpoint(beta(x), beta(x + 1.0));
                    let apart = (tail - exact).abs();
                    assert!(apart <= 1e-9 * exact + 1e-290, "{x} {mean} {k}: {tail} {exact}");
                    summed += 1;
                }
            }
        }
        assert!(1_500 < summed, "{summed}");
    }

    #[test]
    fn half_of_the_count_itself_is_between_two_incomplete_beta_functions() {
        for k in [0.25, 1.0, 8.0, 50.0, 9_999.0] {
            for (mean, x) in [(20.0, 65.0), (100.0, 150.0), (900.0, 1_000.0), (1.0, 80.0)] {
                let p = mean / (mean + k);
                let beta = |x: f64| checked_beta_reg(x, k, p).unwrap();
                let exact = sane(f64::midpoint(beta(x), beta(x + 1.0)));
                let tail = negative_binomial_upper(x, mean, k);
                assert!((tail - exact).abs() <= 1e-8 * exact, "{x} {mean} {k}: {tail} {exact}");
            }
        }
    }

    #[test]
    fn the_large_count_tail_continues_the_exact_one() {
        let below = surprise(negative_binomial_upper(2_000.0, 1_000.0, 8.0));
        let above = surprise(negative_binomial_upper(2_001.0, 1_000.0, 8.0));

        assert!((below - above).abs() < 0.15, "{below} {above}");
    }

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        let halves = (-9..10).map(|n| f64::from(n) / 2.0);
        let near = [0.499_999_999_999_999_94, 4_503_599_627_370_495.5, 1e300, -1e17, 65_536.499_99];
        for x in halves.chain(near).flat_map(|x| [x, -x, x.next_up(), x.next_down()]) {
            assert!((rounded(x) - x.round()).abs() <= 0.0, "{x:e}");
        }
        assert!(rounded(f64::NAN).is_nan());
    }

    #[test]
    fn students_tail_agrees_with_the_table() {
        // Two-sided 5 % point with 10 degrees of freedom: 2.228.
        assert!((student_upper(2.228_139, 10.0) - 0.025).abs() < 1e-6);
    }

    #[test]
    fn tails_never_grow_with_the_observation_and_stay_probabilities() {
        for k in [0.25, 1.0, 8.0, 50.0] {
            for mean in [0.01, 1.0, 40.0, 5_000.0] {
                let mut last = 1.0;
                for x in (0..3_000).step_by(7) {
                    let p = negative_binomial_upper(f64::from(x), mean, k);
                    let may_step = x == 2_002;
                    assert!((LEAST..=1.0).contains(&p), "{x} {mean} {k}");
                    assert!(p <= last + 1e-9 || may_step, "{x} {mean} {k}: {last} {p}");
                    last = p;
                }
            }
        }
        assert!((binomial_upper(1.0, 1.0, 0.05) - 0.05).abs() < 1e-12);
    }
}
