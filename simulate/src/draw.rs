//! [`Draw`]: random numbers that are the same on every machine.
//!
//! Invariant: what is drawn is a function of (seed, purpose, subject, moment) alone. So nothing
//! that is added to a company changes what its other agents do, and any hour can be made without
//! the hours before it. Only additions, multiplications, divisions and square roots are used, which
//! IEEE 754 fixes to the last bit; `ln` and `exp` of the platform's C library are not.

use std::f64::consts::{LN_2, LOG2_E};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What numbers are drawn for: each purpose has streams of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Agent = 1,
    Session = 2,
    Attack = 3,
    Bench = 4,
}

/// One stream of random numbers.
#[derive(Debug)]
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64, purpose: Purpose, subject: u64, moment: u64) -> Self {
        let mut key = [0; 32];
        let words = [seed, purpose as u64, subject, moment];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in 0 <= x < 1, in steps of 2^-32.
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.0.next_u32())
    }

    /// Uniform in `0..limit`; 0 if there is no choice.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(limit);
        u32::try_from(product >> 32).expect("the upper half of a product is 32 bits")
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u8) -> bool {
        100 <= percent || self.below(100) < u32::from(percent)
    }

    /// Standard normal.
    ///
    /// Source: Marsaglia and Bray, *A Convenient Method for Generating Normal Variables* (1964).
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if 0.0 < square && square < 1.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// Log-normal: `sigma` is the standard deviation of the natural logarithm.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * exp(sigma * self.normal())
    }

    /// How often something happens that goes on with probability 1 - 1/`mean` after each time; at
    /// least once and at most `max` times.
    pub(crate) fn geometric(&mut self, mean: f64, max: u32) -> u32 {
        let mut times = 1;
        while times < max && self.unit() * mean < mean - 1.0 {
            times += 1;
        }
        times
    }

    /// As [`Draw::geometric`], of a mean that itself is drawn by Pareto's law with exponent 2 around
    /// `mean`: mostly little, now and then very much.
    pub(crate) fn pareto(&mut self, mean: f64, max: u32) -> u32 {
        // 1/2 is the least of the numbers by Pareto's law whose mean is 1.
        let factor = 0.5 / (1.0 - self.unit()).sqrt();
        self.geometric(1.0 + (mean - 1.0) * factor, max)
    }

    /// A rank in `0..ranks` by Zipf's law with exponent 1: rank r is drawn about 1/(r+1) as often
    /// as rank 0.
    pub(crate) fn rank(&mut self, ranks: u32) -> u32 {
        rank(self.unit(), ranks)
    }

    /// An entry of `choices`.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let limit = u32::try_from(choices.len()).expect("tables are short");
        &choices[self.below(limit) as usize]
    }
}

/// Mixes two numbers into one that looks random.
///
/// Source: Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators* (2014), with
/// Stafford's variant 13 of the finaliser.
pub(crate) const fn mix(one: u64, other: u64) -> u64 {
    let mut z = one.wrapping_add(other.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The upper half of `bits` as a fraction, 0 <= x < 1.
pub(crate) fn fraction(bits: u64) -> f64 {
    unit(u32::try_from(bits >> 32).expect("32 bits are left"))
}

/// A number in `0..limit` made of `bits`.
pub(crate) fn choice(bits: u64, limit: u32) -> u32 {
    u32::try_from(((bits >> 32) * u64::from(limit)) >> 32).expect("32 bits are left")
}

fn unit(bits: u32) -> f64 {
    f64::from(bits) / 4_294_967_296.0
}

/// Zipf's law with exponent 1 over `0..ranks`, by inversion of its continuous form.
pub(crate) fn rank(unit: f64, ranks: u32) -> u32 {
    let rank = exp(unit * ln(f64::from(ranks) + 1.0)) - 1.0;
    whole(rank).min(ranks.saturating_sub(1))
}

/// How many events there are if `mean` are expected. `unit` is uniform in 0 to 1.
///
/// Source: Devroye, *Non-Uniform Random Variate Generation* (1986), section X.3: inversion.
pub(crate) fn poisson(unit: f64, mean: f64) -> u32 {
    const EVENTS_MAX: u32 = 100;
    let mut probability = exp(-mean);
    let mut cumulated = probability;
    let mut events = 0;
    while cumulated < unit && events < EVENTS_MAX {
        events += 1;
        probability *= mean / f64::from(events);
        cumulated += probability;
    }
    events
}

/// The whole part of a number that is not negative, at most `u32::MAX`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn whole(number: f64) -> u32 {
    number as u32
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub(crate) fn nearest(number: f64) -> i64 {
    (number + 0.5).floor() as i64
}

/// The natural logarithm of a positive number, to 9 digits.
pub(crate) fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).expect("11 bits") - 1023;
    let mantissa = f64::from_bits((bits & MANTISSA) | (1023 << 52));
    // ln m = 2 artanh((m - 1)/(m + 1)); its argument is at most 1/3 here.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let mut series = 0.0;
    for n in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * square + 1.0 / n;
    }
    f64::from(exponent) * LN_2 + 2.0 * t * series
}

/// e to the power of `x`, to 9 digits; `x` is held within +-700.
pub(crate) fn exp(x: f64) -> f64 {
    let binary = x.clamp(-700.0, 700.0) * LOG2_E;
    let exponent = binary.floor();
    let rest = (binary - exponent) * LN_2;
    // Taylor: the rest is below 0.7, so that the 13th term is below 1e-12.
    let mut series = 1.0;
    for n in [12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        series = 1.0 + series * rest / n;
    }
    let biased = u64::try_from(nearest(exponent) + 1023).expect("held above -1011");
    series * f64::from_bits(biased << 52)
}

/// `base` to the power of `exponent`, for a positive base.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_logarithm_and_power_agree_with_the_platform() {
        for n in 1..2_000 {
            let x = f64::from(n) * 0.37 - 300.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-9, "exp {x}");
            let y = f64::from(n) * 12.34;
            assert!((ln(y) - y.ln()).abs() < 1e-8, "ln {y}");
        }
        assert!((power(9.0, 0.5) - 3.0).abs() < 1e-8);
    }

    #[test]
    fn a_stream_depends_on_each_part_of_its_key() {
        let first = |key: [u64; 2], purpose| Draw::new(7, purpose, key[0], key[1]).bits();
        let base = first([1, 2], Purpose::Agent);

        assert_eq!(base, first([1, 2], Purpose::Agent));
        assert_ne!(base, first([2, 2], Purpose::Agent));
        assert_ne!(base, first([1, 1], Purpose::Agent));
        assert_ne!(base, first([1, 2], Purpose::Session));
    }

    #[test]
    fn draws_have_the_moments_they_should() {
        let mut draw = Draw::new(1, Purpose::Bench, 0, 0);
        let (mut normal, mut square, mut events, mut heads) = (0.0, 0.0, 0, 0);
        let (mut flows, mut many) = (0, 0);
        for _ in 0..20_000 {
            let x = draw.normal();
            normal += x;
            square += x * x;
            events += poisson(draw.unit(), 2.5);
            heads += u32::from(draw.rank(1_000) == 0);
            let times = draw.pareto(3.0, 1_000);
            flows += times;
            many += u32::from(20 < times);
        }

        assert!((normal / 20_000.0).abs() < 0.03);
        assert!((square / 20_000.0 - 1.0).abs() < 0.05);
        assert!((f64::from(events) / 20_000.0 - 2.5).abs() < 0.05);
        assert!((f64::from(flows) / 20_000.0 - 3.0).abs() < 0.15, "{flows}");
        // A geometric law would have (2/3)^20 of them: six.
        assert!((60..300).contains(&many), "{many}");
        // ln 2 / ln 1001 = 0.1003.
        assert!((f64::from(heads) / 20_000.0 - 0.1003).abs() < 0.01);
    }
}
