//! [`Curve`]: from a raw surprise to how often agents of the class have it.
//!
//! What is counted is the largest surprise of each agent in each hour with events (a block). So a
//! long burst counts once, an attacker shifts a curve by at most one block an hour, and the tail is
//! at once what people care about: probability per agent-hour, and times hours a day, false findings
//! per agent-day. What a finding named already (a counterparty or an action not trusted since) is not
//! counted again: it would come a second time, but is no second mistake.
//!
//! Invariant: a curve never falls, starts at 0 and never claims more than [`REACH`] times as much as
//! was seen: a class of `n` blocks knows no probability under 1/(4 (n + 10)). Only inside the score,
//! where features are compared with each other, the tail may go on to [`REACH_OF_FEATURES`] times.

#![expect(clippy::cast_precision_loss, reason = "bins are few")]

use std::sync::LazyLock;

use crate::class::SCALES;
use crate::pack::pack_struct;

/// Bins of a histogram; each is a quarter of a decade wide, the last is open.
pub(crate) const BINS: usize = 64;
const BINS_PER_DECADE: f64 = 4.0;
/// What all agents together tell a class, in blocks.
const WEIGHT_OF_ALL: f64 = 30.0;
/// What the assumption "surprises are what they say" is worth, in blocks.
const WEIGHT_OF_THEORY: f64 = 10.0;
/// How far a tail is believed beyond what was seen, where a rate of false findings is told.
pub(crate) const REACH: f64 = 4.0;
/// And where surprises are put on one scale.
pub(crate) const REACH_OF_FEATURES: f64 = 100.0;
/// A generalised Pareto tail is fitted above this quantile, its shape clamped: a free shape makes
/// peaks over threshold useless (detection.md section 5, SPOT).
const TAIL_STARTS_AT: f64 = 0.02;
const SHAPE_MAX: f64 = 0.25;

/// The bin of a surprise.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 63")]
pub(crate) fn bin_of(surprise: f64) -> u8 {
    (surprise * BINS_PER_DECADE).clamp(0.0, (BINS - 1) as f64) as u8
}

/// The largest surprise on each scale in an agent's open hour, as a bin: six bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Block {
    words: [u32; SCALES / PER_WORD],
}

pack_struct!(Block { words });

/// Bins in a word.
const PER_WORD: usize = 5;
const BIN_BITS: usize = 6;
const BIN_MASK: u32 = (1 << BIN_BITS) - 1;
const _: () = assert!(SCALES.is_multiple_of(PER_WORD) && BINS <= 1 << BIN_BITS);

impl Block {
    pub(crate) fn bin(self, scale: usize) -> u8 {
        let bin = (self.words[scale / PER_WORD] >> (scale % PER_WORD * BIN_BITS)) & BIN_MASK;
        bin.to_le_bytes()[0]
    }

    pub(crate) fn set(&mut self, scale: usize, bin: u8) {
        let (word, shift) = (&mut self.words[scale / PER_WORD], scale % PER_WORD * BIN_BITS);
        *word = (*word & !(BIN_MASK << shift)) | (u32::from(bin) << shift);
    }
}

/// Blocks by their largest surprise.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    blocks: f64,
    counts: [f64; BINS],
}

/// Surprises that are what they say: 10^-u of them reach u.
static THEORY: LazyLock<Histogram> = LazyLock::new(|| {
    let reach = |bin: usize| WEIGHT_OF_THEORY * 10_f64.powf(-(bin as f64) / BINS_PER_DECADE);
    Histogram {
        blocks: WEIGHT_OF_THEORY,
        counts: std::array::from_fn(|bin| reach(bin) - reach(bin + 1)),
    }
});

impl Histogram {
    /// Blocks that are in no bin above 0 are in bin 0.
    pub(crate) fn new(blocks: f64, mut counts: [f64; BINS]) -> Self {
        counts[0] = (blocks - counts[1..].iter().sum::<f64>()).max(0.0);
        Self { blocks, counts }
    }

    fn blend(&mut self, other: &Self, weight: f64) {
        let weight = weight.min(other.blocks) / other.blocks.max(1e-9);
        for (one, more) in self.counts.iter_mut().zip(&other.counts) {
            *one += weight * more;
        }
        self.blocks += weight * other.blocks;
    }
}

/// Raw surprise to calibrated surprise, both minus decimal logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    /// At each bin's lower edge, and at the end of the last.
    points: Vec<f32>,
}

pack_struct!(Curve { points });

impl Default for Curve {
    fn default() -> Self {
        Self::fit(&Histogram::new(0.0, [0.0; BINS]), None, REACH)
    }
}

impl Curve {
    /// The curve of a class, shrunk towards that of `all` agents and towards theory, that goes on
    /// beyond what was seen by the factor `reach`.
    #[expect(clippy::cast_possible_truncation, reason = "three digits are wanted")]
    pub(crate) fn fit(own: &Histogram, all: Option<&Histogram>, reach: f64) -> Self {
        let mut counts = own.clone();
        if let Some(all) = all {
            counts.blend(all, WEIGHT_OF_ALL);
        }
        counts.blend(&THEORY, WEIGHT_OF_THEORY);

        let mut survival = [0.0; BINS + 1];
        for bin in (0..BINS).rev() {
            survival[bin] = survival[bin + 1] + counts.counts[bin] / counts.blocks;
        }
        let borrowed = all.map_or(0.0, |all| all.blocks.min(WEIGHT_OF_ALL));
        let least = 1.0 / (reach * (own.blocks + borrowed + WEIGHT_OF_THEORY));
        let tail = Tail::fit(&counts.counts, &survival);
        let mut points = Vec::with_capacity(BINS + 1);
        let mut last = 0.0_f64;
        for (bin, reach) in survival.iter().enumerate() {
            let p = if bin <= tail.starts { *reach } else { tail.survival(bin) };
            last = last.max(-p.clamp(least, 1.0).log10());
            points.push(last as f32);
        }
        Self { points }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 63")]
    pub(crate) fn at(&self, surprise: f64) -> f64 {
        let x = (surprise * BINS_PER_DECADE).clamp(0.0, BINS as f64);
        let below = (x as usize).min(BINS - 1);
        let [low, high] = [self.points[below], self.points[below + 1]].map(f64::from);
        low + (high - low) * (x - below as f64)
    }
}

/// A generalised Pareto tail over bins.
struct Tail {
    /// The bin whose lower edge is the threshold.
    starts: usize,
    share: f64,
    shape: f64,
    scale: f64,
}

impl Tail {
    /// By moments: shape = (1 - mean^2/variance)/2, scale = mean (1 - shape).
    fn fit(counts: &[f64; BINS], survival: &[f64; BINS + 1]) -> Self {
        let starts = survival.iter().position(|reach| *reach < TAIL_STARTS_AT).unwrap_or(BINS);
        let (mut weight, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (bin, count) in counts.iter().enumerate().skip(starts) {
            let excess = (bin - starts) as f64 + 0.5;
            weight += count;
            sum += count * excess;
            squares += count * excess * excess;
        }
        let mean = (sum / weight.max(1e-12)).max(0.5);
        let variance = (squares / weight.max(1e-12) - mean * mean).max(1e-9);
        let shape = ((1.0 - mean * mean / variance) / 2.0).clamp(0.0, SHAPE_MAX);
        Self { starts, share: survival[starts], shape, scale: mean * (1.0 - shape) }
    }

    fn survival(&self, bin: usize) -> f64 {
        let excess = (bin - self.starts) as f64 / self.scale;
        if self.shape < 1e-3 {
            self.share * (-excess).exp()
        } else {
            self.share * (1.0 + self.shape * excess).powf(-1.0 / self.shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometric(blocks: f64, per_decade: f64) -> Histogram {
        let reach = |bin: usize| 10_f64.powf(-(bin as f64) / BINS_PER_DECADE * per_decade);
        let counts = std::array::from_fn(|bin| blocks * (reach(bin) - reach(bin + 1)));
        Histogram::new(blocks, counts)
    }

    #[test]
    fn each_scale_of_a_block_keeps_its_own_bin() {
        let mut block = Block::default();
        for round in [7, 40] {
            for scale in 0..SCALES {
                block.set(scale, u8::try_from((scale * round + 63) % BINS).unwrap());
            }
            for scale in 0..SCALES {
                assert_eq!(usize::from(block.bin(scale)), (scale * round + 63) % BINS);
            }
        }
    }

    #[test]
    fn a_surprise_that_is_exaggerated_twofold_is_halved() {
        let curve = Curve::fit(&geometric(100_000.0, 0.5), None, REACH);

        for raw in [1.0, 2.0, 4.0, 6.0, 8.0] {
            assert!((curve.at(raw) - raw / 2.0).abs() < 0.15, "{raw}: {}", curve.at(raw));
        }
    }

    #[test]
    fn a_curve_never_falls_and_never_claims_more_than_was_seen() {
        for blocks in [0.0, 1.0, 50.0, 1e6] {
            let curve = Curve::fit(&geometric(blocks, 1.3), None, REACH);
            let at: Vec<f64> = (0..200).map(|n| curve.at(f64::from(n) / 10.0)).collect();

            assert!(at.is_sorted(), "{at:?}");
            assert!(at[199] <= (4.0 * (blocks + 10.0)).log10() + 1e-6);
        }
    }
}
