//! [`Index`]: the numbers of a shard's agents, by key.
//!
//! Invariant: every entry lies between the home that its tag names and the next empty place, so that a
//! search may end there. At most four fifths of the places are taken, and the table grows by a quarter:
//! an agent takes 10 to 13 bytes.
//!
//! A tag is 32 bits of a key, so a search gives candidates: whoever asks compares the agent's own key,
//! which lies in the cache lines that are read anyway. Eight entries share a line, so that an agent that is in
//! no cache costs one miss to find instead of three (control bytes, number, key).
//!
//! Source: Knuth, *The Art of Computer Programming* 3, section 6.4, linear probing (algorithms L and R).

/// Places at least.
const PLACES_MIN: usize = 16;

/// Numbers by key, 8 bytes for each place.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The upper half is the tag, the lower the number plus one; 0 is an empty place.
    places: Vec<u64>,
    len: usize,
}

impl Index {
    /// One with room for `len` entries.
    pub(crate) fn with_room(len: usize) -> Self {
        Self { places: vec![0; places_for(len)], len: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u64>()
    }

    /// Tells the processor that a key is about to be looked for.
    pub(crate) fn prefetch(&self, key: u64) {
        if !self.places.is_empty() {
            let home = self.places.as_ptr().addr() + self.home(key >> 32) * size_of::<u64>();
            crate::prefetch::lines(home, 1);
        }
    }

    /// The first number of a key with this tag of which `is_it`.
    pub(crate) fn find(&self, key: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        self.place_of(key, is_it).map(|at| number_of(self.places[at]))
    }

    /// Adds the number of a key that is not there yet.
    pub(crate) fn insert(&mut self, key: u64, number: usize) {
        if self.places.len() < places_for(self.len + 1) {
            self.grow();
        }
        let number = u32::try_from(number + 1).expect("100,000,000 agents at most");
        self.put((key >> 32 << 32) | u64::from(number));
        self.len += 1;
    }

    /// Takes out the key with this number.
    pub(crate) fn remove(&mut self, key: u64, number: usize) {
        let Some(mut hole) = self.place_of(key, |found| found == number) else { return };
        self.len -= 1;
        let all = self.places.len();
        let apart = |from: usize, to: usize| if from <= to { to - from } else { to + all - from };
        let mut at = hole;
        loop {
            at = self.next(at);
            let entry = self.places[at];
            if entry == 0 {
                break;
            }
            // It may move back if that is no further than its home.
            if apart(hole, at) <= apart(self.home(entry >> 32), at) {
                self.places[hole] = entry;
                hole = at;
            }
        }
        self.places[hole] = 0;
    }

    fn place_of(&self, key: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let tag = key >> 32;
        let mut at = self.home(tag);
        loop {
            let entry = self.places[at];
            if entry == 0 {
                return None;
            }
            if entry >> 32 == tag && is_it(number_of(entry)) {
                return Some(at);
            }
            at = self.next(at);
        }
    }

    fn put(&mut self, entry: u64) {
        let mut at = self.home(entry >> 32);
        while self.places[at] != 0 {
            at = self.next(at);
        }
        self.places[at] = entry;
    }

    fn grow(&mut self) {
        let larger = self.places.len() + (self.places.len() / 4).max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![0; larger]);
        for entry in before.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }

    /// Where the search for a tag begins: tags are spread evenly over the places.
    fn home(&self, tag: u64) -> usize {
        ((tag * self.places.len() as u64) >> 32) as usize
    }

    fn next(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }
}

/// Places that are at most four fifths full with so many entries.
fn places_for(len: usize) -> usize {
    (len + len / 4 + 1).max(PLACES_MIN)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn number_of(entry: u64) -> usize {
    entry as u32 as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::join;

    /// Keys, many of which share a home or a whole tag.
    fn key(n: u64) -> u64 {
        match n % 4 {
            0 => join(1, n),
            1 => (join(1, n) & 0xff00_0000_0000_0000) | n,
            2 => u64::MAX - n,
            _ => n,
        }
    }

    #[test]
    fn it_holds_what_a_map_would_hold_whatever_is_added_and_taken_out() {
        let mut keys: Vec<u64> = Vec::new();
        let mut map = std::collections::BTreeMap::new();
        let mut index = Index::default();
        for n in 0..6_000_u64 {
            // Every third step takes out one of those that are there, and gives its number to another.
            let number = if n % 3 == 2 {
                let number = usize::try_from(join(2, n) % keys.len() as u64).unwrap();
                index.remove(keys[number], number);
                map.remove(&keys[number]);
                number
            } else {
                keys.push(0);
                keys.len() - 1
            };
            keys[number] = key(n);
            index.insert(key(n), number);
            map.insert(key(n), number);
            if n % 97 == 0 {
                for n in 0..n + 20 {
                    let found = index.find(key(n), |number| keys[number] == key(n));
                    assert_eq!(found, map.get(&key(n)).copied(), "{n}");
                }
            }
        }
        assert_eq!(index.len, map.len());
    }

    #[test]
    fn an_agent_takes_ten_to_thirteen_bytes() {
        let mut index = Index::default();
        for n in 0..40_000 {
            index.insert(join(1, n), usize::try_from(n).unwrap());
            let bytes = index.bytes() / index.len;
            assert!(n < 1_000 || (9..13).contains(&bytes), "{n}: {bytes}");
        }
    }
}
