//! [`Memory`]: what an agent is used to (counterparties, actions, networks, devices), and how far
//! each is trusted.
//!
//! Invariant: at most `N` things are known; nothing is ever refused entry, and nothing is trusted
//! before it was seen on several days or in several hours: learning is slowed, never stopped.
//! (Not learning from what was flagged takes the average precision from .28 to .018: detection.md
//! section 0.)

use std::sync::LazyLock;

use crate::facts::LOWER_BITS;
use crate::hash::fingerprint;
use crate::pack::{Pack, Unpacker};
use crate::tails::rounded;

/// Distinct days after which a thing is trusted. Source: detection.md section 6.
const TRUST_DAYS: f32 = 3.0;
/// Distinct hours (the stand-in for sessions, whose ids an attacker chooses) after which it is.
const TRUST_HOURS: f32 = 6.0;

const HOURS_MASK: u8 = 0b0000_1111;
const DAYS_MASK: u8 = 0b0111_0000;
const DAYS_SHIFT: u8 = 4;
const PACE_MASK: u8 = 0b0001_1111;
/// Set once a finding named this thing: it then needs twice as long to be trusted.
const ALERTED: u8 = 0b1000_0000;

/// What the bits of a trust stand for: 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "eight bits")]
static TRUSTS: [f32; 256] = {
    let mut trusts = [0.0; 256];
    let mut bits = 0;
    while bits < trusts.len() {
        let doubt = if bits & ALERTED as usize == 0 { 1.0 } else { 2.0 };
        let days = (bits & DAYS_MASK as usize) >> DAYS_SHIFT;
        let hours = bits & HOURS_MASK as usize;
        let by_days = days as f32 / (TRUST_DAYS * doubt);
        let by_hours = hours as f32 / (TRUST_HOURS * doubt);
        trusts[bits] = by_days.max(by_hours).min(1.0);
        bits += 1;
    }
    trusts
};

/// What the bits of a pace stand for.
static PACES: LazyLock<[f64; 32]> = LazyLock::new(|| {
    let halves = |bits: usize| f64::from(u8::try_from(bits).expect("five bits")) / 2.0;
    std::array::from_fn(|bits| halves(bits).exp2())
});

/// Up to `N` things with 8 bytes each; with 7 where no pace is kept (`P` is 0, otherwise `N`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory<const N: usize, const P: usize = N> {
    /// 0 is an empty place.
    fingerprints: [u32; N],
    /// Hour of the last dealing since 1970, modulo 2^16 (7.5 years).
    last_hours: [u16; N],
    /// Hours (4 bits), days (3 bits), alerted (1 bit).
    trusts: [u8; N],
    /// Dealings in an hour with dealings, averaged, in halves of a doubling (5 bits); what was noted
    /// in this hour (2 bits).
    paces: [u8; P],
}

/// A place in a [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Place {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// What can be noted of a thing, once an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// An action had a counterparty.
    Counterparty,
    /// It had a new one.
    NewCounterparty,
}

/// What one dealing changed.
#[expect(clippy::struct_excessive_bools, reason = "each is a first time of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dealing {
    pub place: Place,
    pub is_new: bool,
    /// It is the first dealing in its hour.
    pub is_new_hour: bool,
    /// It is the first dealing on its day.
    pub is_new_day: bool,
    /// It is the one that made the thing trusted.
    pub is_now_trusted: bool,
    pub is_trusted: bool,
    /// What had to go for it, if that had been seen more than once.
    pub evicted: Option<u32>,
}

impl<const N: usize, const P: usize> Default for Memory<N, P> {
    fn default() -> Self {
        const { assert!(P == 0 || P == N, "paces are kept of all or of none") };
        Self { fingerprints: [0; N], last_hours: [0; N], trusts: [0; N], paces: [0; P] }
    }
}

impl<const N: usize, const P: usize> Memory<N, P> {
    pub(crate) fn find(&self, key: u64) -> Option<Place> {
        let wanted = fingerprint(key);
        self.fingerprints.iter().position(|found| *found == wanted).map(Place)
    }

    /// The highest trust in anything that shares the upper bits of `key`; `None` if nothing does.
    pub(crate) fn trust_of_kin(&self, key: u64) -> Option<f32> {
        let upper = !u32::try_from(LOWER_BITS >> 32).expect("12 bits");
        let wanted = fingerprint(key) & upper;
        let kin = (0..N).filter(|at| self.fingerprints[*at] & upper == wanted);
        kin.filter(|at| self.fingerprints[*at] != 0)
            .map(|at| self.trust(Place(at)))
            .reduce(f32::max)
    }

    /// 0 (seen never) to 1 (trusted), linear in days and hours.
    pub(crate) fn trust(&self, place: Place) -> f32 {
        TRUSTS[usize::from(self.trusts[place.0])]
    }

    pub(crate) fn mark_alerted(&mut self, place: Place) {
        self.trusts[place.0] |= ALERTED;
    }

    pub(crate) fn is_alerted(&self, place: Place) -> bool {
        self.trusts[place.0] & ALERTED != 0
    }

    /// Distinct days of dealings, up to 7.
    pub(crate) fn days(&self, place: Place) -> u8 {
        (self.trusts[place.0] & DAYS_MASK) >> DAYS_SHIFT
    }

    /// Whether this is the first time in the hour that `note` is noted of the thing.
    pub(crate) fn is_first_of_hour(&mut self, place: Place, note: Note) -> bool {
        let bit = match note {
            Note::Counterparty => 0b0010_0000,
            Note::NewCounterparty => 0b0100_0000,
        };
        let is_first = self.paces[place.0] & bit == 0;
        self.paces[place.0] |= bit;
        is_first
    }

    /// Dealings expected in an hour with dealings.
    pub(crate) fn pace(&self, place: Place) -> f64 {
        PACES[usize::from(self.paces[place.0] & PACE_MASK)]
    }

    /// Learns that an hour had `dealings` dealings.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 31")]
    pub(crate) fn learn_pace(&mut self, place: Place, dealings: f64) {
        let pace = self.pace(place);
        // Most hours are as ever: one dealing where one is expected.
        if dealings.total_cmp(&pace).is_eq() {
            return;
        }
        let hours = f64::from((self.trusts[place.0] & HOURS_MASK).clamp(1, 4));
        let pace = pace + (dealings - pace) / hours;
        let bits = rounded(pace.max(1.0).log2() * 2.0).min(f64::from(PACE_MASK)) as u8;
        self.paces[place.0] = (self.paces[place.0] & !PACE_MASK) | bits;
    }

    /// Notes a dealing with `key` in `hour` (since 1970).
    #[expect(clippy::cast_possible_truncation, reason = "hours are kept modulo 2^16")]
    pub(crate) fn deal(&mut self, key: u64, hour: u32) -> Dealing {
        let Some(place) = self.find(key) else {
            let (place, evicted) = self.make_room(hour);
            self.fingerprints[place.0] = fingerprint(key);
            self.last_hours[place.0] = hour as u16;
            self.trusts[place.0] = 1 | (1 << DAYS_SHIFT);
            if let Some(pace) = self.paces.get_mut(place.0) {
                *pace = 0;
            }
            return Dealing {
                place,
                is_new: true,
                is_new_hour: true,
                is_new_day: true,
                is_now_trusted: false,
                is_trusted: false,
                evicted,
            };
        };
        let age = u32::from((hour as u16).wrapping_sub(self.last_hours[place.0]));
        let (is_new_hour, is_new_day) = (age != 0, hour % 24 < age);
        let before = self.trust(place);
        let trust = self.trusts[place.0];
        let hours = (trust & HOURS_MASK) + u8::from(is_new_hour);
        let days = ((trust & DAYS_MASK) >> DAYS_SHIFT) + u8::from(is_new_day);
        self.trusts[place.0] = (trust & ALERTED) | hours.min(15) | (days.min(7) << DAYS_SHIFT);
        self.last_hours[place.0] = hour as u16;
        let is_trusted = 1.0 <= self.trust(place);
        let is_now_trusted = before < 1.0 && is_trusted;
        if let Some(pace) = self.paces.get_mut(place.0).filter(|_| is_new_hour) {
            *pace &= PACE_MASK;
        }
        Dealing {
            place,
            is_new: false,
            is_new_hour,
            is_new_day,
            is_now_trusted,
            is_trusted,
            evicted: None,
        }
    }

    /// An empty place, or the place of what is longest unused for how well it is known.
    #[expect(clippy::cast_possible_truncation, reason = "hours are kept modulo 2^16")]
    fn make_room(&mut self, hour: u32) -> (Place, Option<u32>) {
        let mut worst = (0, 0);
        for at in 0..N {
            if self.fingerprints[at] == 0 {
                return (Place(at), None);
            }
            let age = u32::from((hour as u16).wrapping_sub(self.last_hours[at])).max(1);
            let trust = self.trusts[at];
            let days = u32::from((trust & DAYS_MASK) >> DAYS_SHIFT);
            // What is trusted is worth ten times what is not, at the same age.
            let worth = 1 + u32::from(trust & HOURS_MASK) + 2 * days;
            let worth = if 1.0 <= self.trust(Place(at)) { 10 * worth } else { worth };
            let staleness = age.saturating_mul(1_024) / worth;
            if worst.0 < staleness {
                worst = (staleness, at);
            }
        }
        let place = Place(worst.1);
        let is_known = 1 < self.trusts[place.0] & HOURS_MASK;
        let evicted = is_known.then(|| self.fingerprints[place.0]);
        (place, evicted)
    }
}

impl<const N: usize, const P: usize> Pack for Memory<N, P> {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { fingerprints, last_hours, trusts, paces } = self;
        fingerprints.pack(out);
        last_hours.pack(out);
        trusts.pack(out);
        paces.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self {
            fingerprints: Pack::unpack(input)?,
            last_hours: Pack::unpack(input)?,
            trusts: Pack::unpack(input)?,
            paces: Pack::unpack(input)?,
        })
    }
}

/// Known things that had to leave a [`Memory`]: two generations of a Bloom filter.
///
/// At most 21 fingerprints lie in the younger generation; then it becomes the older one. With three
/// bits per fingerprint a stranger is taken for an old acquaintance with probability under 2 %.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bygone {
    younger: [u32; 8],
    older: [u32; 8],
}

crate::pack::pack_struct!(Bygone { younger, older });

impl Bygone {
    const ENTRIES_MAX: u8 = 21;

    fn bits(fingerprint: u32) -> [(usize, u32); 3] {
        let spread = u64::from(fingerprint).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        [spread[0], spread[1], spread[2]].map(|bit| (usize::from(bit / 32), 1 << (bit % 32)))
    }

    /// Remembers one more, where the younger generation has so many `entries`.
    pub(crate) fn insert(&mut self, fingerprint: u32, entries: &mut u8) {
        if *entries == Self::ENTRIES_MAX {
            self.older = std::mem::take(&mut self.younger);
            *entries = 0;
        }
        for (word, bit) in Self::bits(fingerprint) {
            self.younger[word] |= bit;
        }
        *entries += 1;
    }

    pub(crate) fn may_hold(&self, key: u64) -> bool {
        let bits = Self::bits(fingerprint(key));
        [&self.younger, &self.older]
            .iter()
            .any(|filter| bits.iter().all(|(word, bit)| filter[*word] & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::key_of;

    #[test]
    fn trust_takes_three_days_or_six_hours_and_twice_that_after_a_finding() {
        let key = key_of("vendor:a");
        let mut by_days = Memory::<4>::default();
        let mut by_hours = Memory::<4>::default();
        let mut alerted = Memory::<4>::default();

        let days: Vec<bool> =
            (0..4).map(|day| by_days.deal(key, day * 24).is_now_trusted).collect();
        let hours: Vec<bool> =
            (0..7).map(|hour| by_hours.deal(key, 240 + hour).is_now_trusted).collect();
        let place = alerted.deal(key, 0).place;
        alerted.mark_alerted(place);
        let doubted: Vec<bool> =
            (1..7).map(|day| alerted.deal(key, day * 24).is_now_trusted).collect();

        assert_eq!(days, [false, false, true, false]);
        assert_eq!(hours, [false, false, false, false, false, true, false]);
        assert_eq!(doubted, [false, false, false, false, true, false]);
    }

    #[test]
    fn many_dealings_in_one_hour_buy_no_trust() {
        let mut memory = Memory::<4>::default();
        for _ in 0..10_000 {
            memory.deal(7 << 32, 99);
        }

        let place = memory.find(7 << 32).unwrap();
        assert!(memory.trust(place) < 0.34);
    }

    #[test]
    fn a_flood_of_strangers_does_not_push_out_what_is_trusted() {
        let mut memory = Memory::<8>::default();
        for day in 0..5 {
            memory.deal(key_of("bank"), day * 24);
        }
        for n in 0..1_000 {
            memory.deal(key_of(&format!("stranger-{n}")), 4 * 24 + n / 100);
        }

        let place = memory.find(key_of("bank")).expect("still known");
        assert!(1.0 <= memory.trust(place));
    }

    #[test]
    fn bygones_are_remembered_and_strangers_seldom_mistaken() {
        let (mut bygone, mut entries) = (Bygone::default(), 0);
        for n in 0..21 {
            bygone.insert(fingerprint(key_of(&format!("old-{n}"))), &mut entries);
        }

        assert!((0..21).all(|n| bygone.may_hold(key_of(&format!("old-{n}")))));
        let mistaken = (0..10_000).filter(|n| bygone.may_hold(key_of(&format!("new-{n}")))).count();
        assert!(mistaken < 200, "{mistaken}");
    }
}
