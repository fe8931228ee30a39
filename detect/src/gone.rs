//! [`Gone`]: the keys of agents that were forgotten, so that one that returns is not counted twice.
//!
//! Invariant: bounded by the agents a shard has room for; a key inserted among the last `room` is
//! held for certain, another is mistaken for one with probability under 6 % (a head counted too few).

use crate::hash::join;
use crate::pack::pack_struct;

/// Bits per key.
const BITS: usize = 8;

/// Two generations of a Bloom filter. Takes no memory before the first agent is forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gone {
    younger: Vec<u64>,
    older: Vec<u64>,
    entries: u32,
}

pack_struct!(Gone { younger, older, entries });

impl Gone {
    /// Notes a key, where the shard has room for `room` agents.
    pub(crate) fn insert(&mut self, key: u64, room: usize) {
        let words = (room * BITS).div_ceil(64).max(1);
        if self.younger.len() != words || room <= self.entries as usize {
            self.older = std::mem::replace(&mut self.younger, vec![0; words]);
            self.entries = 0;
        }
        for (word, bit) in places(key, words) {
            self.younger[word] |= bit;
        }
        self.entries += 1;
    }

    pub(crate) fn may_hold(&self, key: u64) -> bool {
        [&self.younger, &self.older].iter().any(|bits| {
            !bits.is_empty() && places(key, bits.len()).all(|(word, bit)| bits[word] & bit != 0)
        })
    }
}

/// The words and bits of a key.
fn places(key: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    (1..=3).map(move |n| {
        let spread = join(n, key);
        ((spread >> 8) as usize % words, 1 << (spread & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_held_and_others_seldom() {
        let mut gone = Gone::default();
        for key in 0..5_000_u64 {
            gone.insert(join(9, key), 1_000);
        }

        assert!((4_000..5_000).all(|key| gone.may_hold(join(9, key))));
        let mistaken = (0..10_000).filter(|key| gone.may_hold(join(8, *key))).count();
        assert!(mistaken < 800, "{mistaken}");
    }
}
