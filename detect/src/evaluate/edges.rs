//! [`Edges`]: how unusual an edge of a network is, by bursts of its pair, its source and its target.
//!
//! A part for benchmarks of networks alone: the shortest window of the detector is five minutes, and
//! its baselines follow an agent for months. Five counts are compared with their own past by the
//! deviance of a Poisson count whose rate is Gamma: edges of the pair, of the source, of the target,
//! and different targets of the source, different sources of the target. Each is as rare as it was
//! seldom so large in a minute of a key before; the rarest counts.
//!
//! Invariant: one pass, constant state per key. What is judged wild is not learned as usual, and an
//! edge is judged before what it adds can be.
//!
//! Source: Bhatia et al.: *Real-time anomaly detection in edge streams* (MIDAS-F, 2022): counts that
//! fade with time, the largest of edge, source and target, anomalous minutes not merged.

use crate::hash::{KeyMap, join};

/// What is left of a count after a minute.
const KEPT: f64 = 0.95;
/// What is known of a rate beforehand: so many in so many minutes.
const PRIOR_COUNT: f64 = 2.0;
const PRIOR_MINUTES: f64 = 4.0;
/// A deviance above which a minute is not learned.
const WILD: f64 = 1_000.0;
/// What a standard deviation (the root of the deviance) adds to a rarity: ranks end, floods do not.
const PER_DEVIATION: f64 = 0.025;

/// Bins of a deviance: 32 for each doubling of one and it.
const BINS: usize = 1_024;
/// Bits of a single-precision number that are below a bin.
const BIN_SHIFT: u32 = 18;

/// The counts of all keys, and how rare each was.
#[derive(Debug, Default)]
pub(super) struct Edges {
    nodes: KeyMap<u32>,
    pairs: KeyMap<u32>,
    /// Of each pair, the number of its latest minute among those of all pairs.
    pair_minutes: Vec<u32>,
    pair_minutes_begun: u32,
    minute: i64,
    /// Minutes in which there was an edge.
    ticks: u32,
    of_pair: Counts,
    of_source: Counts,
    of_target: Counts,
    targets: Counts,
    sources: Counts,
}

/// An edge that was judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct JudgedEdge {
    pub(super) score: f64,
    /// Numbers, from 0.
    pub(super) source: u32,
    pub(super) pair: u32,
    pub(super) pair_minute: u32,
}

impl Edges {
    /// How unusual the edge is; then learns it. Time does not go back: what is late happens now.
    pub(super) fn push(&mut self, source: u64, target: u64, minute: i64) -> JudgedEdge {
        if self.ticks == 0 || self.minute < minute {
            self.minute = minute;
            self.ticks += 1;
        }
        let number = |map: &mut KeyMap<u32>, key| {
            let next = u32::try_from(map.len()).expect("nodes and pairs in memory are fewer");
            *map.entry(key).or_insert(next)
        };
        let source_number = number(&mut self.nodes, source);
        let target_number = number(&mut self.nodes, target);
        let pair_number = number(&mut self.pairs, join(source, target));
        let [from, to, pair] =
            [source_number, target_number, pair_number].map(|number| number as usize);
        let tick = self.ticks;
        let is_first = !self.of_pair.is_open(pair, tick);
        if is_first {
            self.pair_minutes.resize(self.pairs.len(), 0);
            self.pair_minutes[pair] = self.pair_minutes_begun;
            self.pair_minutes_begun += 1;
        }
        let counts = [
            self.of_pair.add(pair, tick),
            self.of_source.add(from, tick),
            self.of_target.add(to, tick),
            if is_first { self.targets.add(from, tick) } else { self.targets.latest(from) },
            if is_first { self.sources.add(to, tick) } else { self.sources.latest(to) },
        ];
        JudgedEdge {
            score: counts.into_iter().fold(0.0, f64::max),
            source: source_number,
            pair: pair_number,
            pair_minute: self.pair_minutes[pair],
        }
    }
}

/// A count of each key.
#[derive(Debug, Default)]
struct Counts {
    paces: Vec<Pace>,
    curve: Curve,
}

/// How often, of one key.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The minute that is open; 0 before the first.
    tick: u32,
    /// Of late, fading.
    count: f64,
    /// Sums of minutes that are over: the rate is one by the other.
    counts: f64,
    minutes: f64,
    /// Largest deviance of the open minute, and the latest score.
    largest: f64,
    score: f64,
}

const UNKNOWN: Pace = Pace {
    tick: 0,
    count: 0.0,
    counts: PRIOR_COUNT,
    minutes: PRIOR_MINUTES,
    largest: 0.0,
    score: 0.0,
};

impl Counts {
    /// Whether the key has an edge in this minute already.
    fn is_open(&self, key: usize, tick: u32) -> bool {
        self.paces.get(key).is_some_and(|pace| pace.tick == tick)
    }

    fn latest(&self, key: usize) -> f64 {
        self.paces[key].score
    }

    fn add(&mut self, key: usize, tick: u32) -> f64 {
        if self.paces.len() <= key {
            self.paces.resize(key + 1, UNKNOWN);
        }
        let pace = &mut self.paces[key];
        if pace.tick != tick {
            if pace.tick != 0 {
                self.curve.learn(pace.largest);
                pace.close(tick - pace.tick);
            }
            pace.tick = tick;
        }
        pace.count += 1.0;
        let deviance = pace.deviance();
        pace.largest = pace.largest.max(deviance);
        pace.score = self.curve.rarity(deviance) + PER_DEVIATION * deviance.sqrt();
        pace.score
    }
}

impl Pace {
    /// Learns the open minute and those without an edge after it, `minutes` together.
    fn close(&mut self, minutes: u32) {
        if self.largest <= WILD {
            self.counts += self.count;
        }
        self.minutes += f64::from(minutes);
        self.count *= KEPT.powf(f64::from(minutes));
        self.largest = 0.0;
    }

    /// Twice the logarithm of how much likelier the count is at a rate of its own.
    fn deviance(&self) -> f64 {
        let expected = self.counts / self.minutes;
        if self.count <= expected {
            return 0.0;
        }
        2.0 * (self.count * (self.count / expected).ln() - (self.count - expected))
    }
}

/// How often the largest deviance of a key's minute was how large, of all keys together.
#[derive(Debug)]
struct Curve {
    bins: Box<[u32; BINS]>,
    learned: u32,
    /// Rarity of a deviance in each bin, as of `tabled` minutes.
    rarities: Box<[f64; BINS]>,
    tabled: u32,
}

impl Default for Curve {
    fn default() -> Self {
        Self { bins: Box::new([0; BINS]), learned: 0, rarities: Box::new([0.0; BINS]), tabled: 0 }
    }
}

impl Curve {
    fn learn(&mut self, deviance: f64) {
        self.bins[bin(deviance)] += 1;
        self.learned += 1;
        // A table that is a 64th older than what is known is as good.
        if self.tabled + self.tabled / 64 < self.learned {
            let all = f64::from(self.learned) + 1.0;
            let mut as_large = 1.0;
            for (at, count) in self.bins.iter().enumerate().rev() {
                as_large += f64::from(*count);
                self.rarities[at] = -(as_large / all).log10();
            }
            self.tabled = self.learned;
        }
    }

    fn rarity(&self, deviance: f64) -> f64 {
        self.rarities[bin(deviance)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bins are coarse")]
fn bin(deviance: f64) -> usize {
    let above = ((1.0 + deviance) as f32).to_bits() - 1.0_f32.to_bits();
    ((above >> BIN_SHIFT) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 nodes that each meet one of three neighbours a minute, for ten hours.
    fn quiet() -> Edges {
        let mut edges = Edges::default();
        for minute in 0..600 {
            for node in 0..40_u64 {
                edges.push(node, (node + 1 + u64::from(minute % 3 == 0)) % 40, minute);
            }
        }
        edges
    }

    #[test]
    fn a_flood_is_rarer_than_any_usual_edge() {
        let mut edges = quiet();
        let usual = (0..40).map(|node| edges.push(node, (node + 1) % 40, 600).score);
        let usual = usual.fold(0.0, f64::max);
        let flood = (0..500).map(|_| edges.push(3, 4, 601).score).fold(0.0, f64::max);

        assert!(usual + 1.0 < flood, "{usual} {flood}");
    }

    #[test]
    fn a_sweep_of_single_edges_is_found_by_its_targets() {
        let mut edges = quiet();
        let usual = (0..40).map(|node| edges.push(node, (node + 1) % 40, 600).score);
        let usual = usual.fold(0.0, f64::max);
        let swept = (0..60).map(|target| edges.push(3, 1_000 + target, 601)).last().unwrap();

        assert!(usual + 0.5 < swept.score, "{usual} {}", swept.score);
        assert_eq!(edges.targets.paces[3].tick, edges.ticks);
    }

    #[test]
    fn a_wild_minute_is_not_learned_and_time_does_not_go_back() {
        let mut edges = quiet();
        let pair = edges.push(0, 1, 601).pair as usize;
        let before = edges.of_pair.paces[pair].counts;
        for _ in 0..5_000 {
            edges.push(0, 1, 600);
        }
        edges.push(0, 1, 602);

        let [late, next] = [601, 602].map(|minute| edges.push(0, 1, minute).pair_minute);
        assert_eq!(late, next, "what is late happens now");
        assert!(edges.of_pair.paces[pair].counts < before + 100.0);
        assert_eq!(edges.ticks, 602);
    }
}
