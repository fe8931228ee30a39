//! [`Fan`]: with how many different counterparties an agent deals in an hour.
//!
//! Invariant: 64 bits stand for the hour's counterparties, so the count is an estimate (linear
//! counting) that is off by a tenth at 100 and tells no more than [`Fan::SEEN_MAX`]; it never falls
//! within an hour.
//!
//! Source: Whang, Vander-Zanden, Taylor: *A linear-time probabilistic counting algorithm* (1990).

use std::sync::LazyLock;

use crate::class::{ClassSums, Prior};
use crate::pack::pack_struct;
use crate::tails::{Deviation, negative_binomial_upper, rounded, surprise};

/// Fewer counterparties are no fan.
const FAN_MIN: f64 = 6.0;
/// The agent's own hours count as this many at most.
const HOURS_MAX: f32 = 256.0;

/// 20 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fan {
    /// A bit for each counterparty of the open hour.
    bits: [u32; 2],
    /// Hours with dealings, sum and sum of squares of their counterparties.
    hours: [f32; 3],
}

pack_struct!(Fan { bits, hours });

/// By bits that are not set: how many were thrown, -64 ln(unset / 64).
static ESTIMATES: LazyLock<[f64; 65]> = LazyLock::new(|| {
    std::array::from_fn(|unset| {
        let unset = f64::from(u32::try_from(unset.max(1)).expect("64 at most"));
        (-64.0 * (unset / 64.0).ln()).round()
    })
});

impl Fan {
    /// All bits but one are set.
    pub(crate) const SEEN_MAX: f64 = 266.0;

    fn seen(&self) -> f64 {
        let unset: u32 = self.bits.iter().map(|word| word.count_zeros()).sum();
        ESTIMATES[unset as usize].min(Self::SEEN_MAX)
    }

    /// Learns the open hour and begins another.
    #[expect(clippy::cast_possible_truncation, reason = "baselines are kept in single precision")]
    pub(crate) fn roll(&mut self, class: &mut ClassSums) {
        if self.bits == [0; 2] {
            return;
        }
        let keep = if HOURS_MAX <= self.hours[0] { HOURS_MAX / (HOURS_MAX + 1.0) } else { 1.0 };
        // One wild hour is learned as a busy one, or the next would be usual.
        let [hours, sum, _] = self.hours.map(f64::from);
        let busy = if hours < 3.0 { f64::MAX } else { 4.0 * (sum / hours).max(1.0) };
        let seen = rounded(self.seen().min(busy));
        for ((own, of_class), more) in
            self.hours.iter_mut().zip(&mut class.fans).zip([1.0, seen, seen * seen])
        {
            *own = *own * keep + more as f32;
            *of_class += more;
        }
        self.bits = [0; 2];
    }

    /// Counts a dealing with the counterparty of this key in the open hour.
    pub(crate) fn touch(&mut self, counterparty: u64) {
        let place = counterparty >> 58;
        self.bits[usize::from(32 <= place)] |= 1 << (place & 31);
    }

    /// Judges the open hour.
    pub(crate) fn judge(&self, prior: &Prior) -> Deviation {
        let seen = self.seen();
        if seen < FAN_MIN {
            return Deviation::default();
        }
        let [hours, sum, squares] =
            std::array::from_fn(|at| f64::from(self.hours[at]) + prior.fans[at]);
        if hours < 3.0 || seen < 1.5 * sum / hours {
            return Deviation::default();
        }
        let mean = (sum / hours).max(1.0);
        let variance = (squares / hours - mean * mean).max(0.0);
        // As for other counts; the counting itself is wild by a tenth.
        let wildness = ((variance - mean) / (mean * mean)).clamp(0.05, 4.0);
        let tail = negative_binomial_upper(seen, mean, 1.0 / wildness);
        Deviation { surprise: surprise(tail), expected: mean, seen }
    }

    /// Forgets the open hour: the clock was wrong.
    pub(crate) fn rewind(&mut self) {
        self.bits = [0; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{join, key_of};

    fn used_to(counterparties: u64) -> (Fan, ClassSums) {
        let (mut fan, mut sums) = (Fan::default(), ClassSums::default());
        for hour in 0..40 {
            for n in 0..counterparties + hour % 3 {
                fan.touch(join(n, key_of("vendor")));
            }
            fan.roll(&mut sums);
        }
        (fan, sums)
    }

    fn hour_of(fan: &mut Fan, counterparties: u64) -> Deviation {
        for n in 0..counterparties {
            fan.touch(join(n, key_of("stranger")));
        }
        fan.judge(&Prior::default())
    }

    #[test]
    fn an_hour_with_ten_times_the_counterparties_is_a_fan_and_its_usual_ones_are_not() {
        let (mut fan, _) = used_to(4);
        let usual = hour_of(&mut fan, 5);
        let wild = hour_of(&mut fan, 50);

        assert!(usual.surprise <= 0.0, "{usual:?}");
        assert!(4.0 < wild.surprise && (40.0..60.0).contains(&wild.seen), "{wild:?}");
        assert!((4.0..6.0).contains(&wild.expected), "{wild:?}");
    }

    #[test]
    fn who_always_deals_with_many_is_not_told_of_it() {
        let (mut fan, sums) = used_to(60);
        let seen = hour_of(&mut fan, 70);

        assert!(seen.surprise < 1.0, "{seen:?}");
        assert!((sums.fans[0] - 40.0).abs() < f64::EPSILON);
    }
}
