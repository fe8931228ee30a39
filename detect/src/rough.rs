//! [`Rough`]: a count in 16 bits, exact up to 2,047 and then to one part in 2,000.
//!
//! Invariant: what comes back is never more than what went in, and larger counts never come back
//! smaller; beyond 8.7 million million it stays there.

use crate::pack::pack_struct;

/// Eleven bits of the number, five of how far it was shifted.
const BITS: u32 = 11;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rough {
    bits: u16,
}

pack_struct!(Rough { bits });

impl Rough {
    #[expect(clippy::cast_possible_truncation, reason = "twelve bits are left, the highest is 1")]
    pub(crate) fn of(count: u64) -> Self {
        let wide = 64 - count.leading_zeros();
        if wide <= BITS {
            return Self { bits: count as u16 };
        }
        let shift = wide - BITS - 1;
        if 30 < shift {
            return Self { bits: u16::MAX };
        }
        Self { bits: ((shift as u16 + 1) << BITS) | ((count >> shift) as u16 & 0x7ff) }
    }

    pub(crate) fn get(self) -> u64 {
        // Most counts are small, and are their own bits.
        if self.bits < 1 << BITS {
            return u64::from(self.bits);
        }
        u64::from(self.bits & 0x7ff | 0x800) << ((self.bits >> BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_exactly_while_small_and_closely_beyond() {
        for count in 0..4_096 {
            assert_eq!(Rough::of(count).get(), count);
        }
        let mut last = 0;
        for power in 12..42_u32 {
            for count in [1_u64 << power, (1 << power) + (1 << (power - 1)) + 345] {
                let back = Rough::of(count).get();
                assert!(last < back && back <= count && count - back <= count / 2_000, "{count}");
                last = back;
            }
        }
        assert_eq!(Rough::of(u64::MAX).get(), Rough::of(1 << 50).get());
    }
}
