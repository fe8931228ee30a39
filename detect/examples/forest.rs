//! What a joint density would add: half-space trees over seven log counts, one forest per purpose,
//! beside the detector's score. Decision 0012 rests on it.
//!
//! `cargo run -p detect --release --example forest FILE...`, agent streams as JSON Lines.
//!
//! Source: Tan, Ting, Liu: *Fast anomaly detection for streaming data* (2011); detection.md section 6:
//! 25 trees of depth 8, limits fixed beforehand, rank tail of the score + 0.5 x rank tail of the forest.

#![expect(clippy::print_stdout, reason = "an example talks to a terminal")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of a file"
)]

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Instant;

use detect::Config;
use detect::evaluate::{Evaluation, Kind, Report};
use serde_json::Value;

const TREES: usize = 25;
const DEPTH: usize = 8;
const NODES: usize = 1 << DEPTH;
const FEATURES: usize = 7;
/// Decimal logarithms at which a feature ends: 300 calls, 10,000 a day, a million units, ...
const LIMITS: [f64; FEATURES] = [2.5, 4.0, 2.5, 2.0, 3.0, 3.0, 6.0];
/// Events between two swaps of the masses.
const WINDOW: u32 = 250;
/// A node with less mass than this is not looked into.
const MASS_MIN: u16 = 25;

struct Tree {
    features: [u8; NODES],
    thresholds: [f32; NODES],
    reference: [u16; NODES],
    latest: [u16; NODES],
}

struct Forest {
    trees: Vec<Tree>,
    seen: u32,
}

struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

impl Tree {
    fn grown(dice: &mut Dice) -> Self {
        let mut tree = Self {
            features: [0; NODES],
            thresholds: [0.0; NODES],
            reference: [0; NODES],
            latest: [0; NODES],
        };
        let mut space = [(0.0, 1.0); FEATURES];
        for one in &mut space {
            // A random range around the middle, as the paper has it.
            let middle = dice.unit();
            let half = 2.0 * middle.max(1.0 - middle);
            *one = (middle - half, middle + half);
        }
        tree.grow(1, space, dice);
        tree
    }

    fn grow(&mut self, node: usize, space: [(f64, f64); FEATURES], dice: &mut Dice) {
        if NODES <= node {
            return;
        }
        let feature = ((dice.unit() * FEATURES as f64) as usize).min(FEATURES - 1);
        let (low, high) = space[feature];
        let middle = f64::midpoint(low, high);
        self.features[node] = feature as u8;
        self.thresholds[node] = middle as f32;
        let (mut left, mut right) = (space, space);
        left[feature] = (low, middle);
        right[feature] = (middle, high);
        self.grow(2 * node, left, dice);
        self.grow(2 * node + 1, right, dice);
    }
}

impl Forest {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        Self { trees: (0..TREES).map(|_| Tree::grown(&mut dice)).collect(), seen: 0 }
    }

    /// The lower, the fewer events lie around; then learns the event.
    fn score(&mut self, point: &[f64; FEATURES]) -> f64 {
        let mut score = 0.0;
        for tree in &mut self.trees {
            let (mut node, mut weight, mut is_done) = (1, 1.0, false);
            while node < NODES {
                let mass = tree.reference[node];
                if !is_done {
                    is_done = mass < MASS_MIN || NODES <= 2 * node;
                    if is_done {
                        score += f64::from(mass) * weight;
                    }
                }
                tree.latest[node] = tree.latest[node].saturating_add(1);
                let is_right =
                    f64::from(tree.thresholds[node]) <= point[usize::from(tree.features[node])];
                node = 2 * node + usize::from(is_right);
                weight *= 2.0;
            }
        }
        self.seen += 1;
        if self.seen.is_multiple_of(WINDOW) {
            for tree in &mut self.trees {
                tree.reference = std::mem::replace(&mut tree.latest, [0; NODES]);
            }
        }
        score
    }
}

/// What is counted of an agent.
#[derive(Default)]
struct Counts {
    calls: VecDeque<(f64, bool)>,
    others: BTreeMap<String, u32>,
    tools: BTreeMap<String, u32>,
    recent: VecDeque<(f64, String)>,
}

fn point(counts: &mut Counts, row: &Value) -> [f64; FEATURES] {
    let second = row[0].as_f64().unwrap_or(0.0);
    let tool = row[6].as_str().unwrap_or_default().to_owned();
    counts.calls.push_back((second, row[7].as_u64() == Some(1)));
    while counts.calls.front().is_some_and(|(at, _)| *at < second - 86_400.0) {
        counts.calls.pop_front();
    }
    while counts.recent.front().is_some_and(|(at, _)| *at < second - 86_400.0) {
        counts.recent.pop_front();
    }
    let within = |age: f64, writes: bool| {
        let late = counts.calls.iter().rev().take_while(|(at, _)| second - age < *at);
        late.filter(|(_, is_write)| !writes || *is_write).count() as f64
    };
    let (minutes, day, writes) =
        (within(300.0, false), within(86_400.0, false), within(3_600.0, true));
    let mut known = f64::MAX;
    for other in row[8].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let dealings = counts.others.entry(other.to_owned()).or_default();
        known = known.min(f64::from(*dealings));
        *dealings += 1;
        counts.recent.push_back((second, other.to_owned()));
    }
    let known = if known < f64::MAX { known } else { 10.0_f64.powf(LIMITS[4]) };
    let distinct: HashSet<&str> = counts.recent.iter().map(|(_, other)| other.as_str()).collect();
    let distinct = distinct.len() as f64;
    let of_tool = counts.tools.entry(tool).or_default();
    let done = f64::from(*of_tool);
    *of_tool += 1;
    let amount = row[9].as_f64().unwrap_or(0.0).max(0.0);
    let raw = [minutes, day, writes, distinct, known, done, amount];
    std::array::from_fn(|at| ((1.0 + raw[at]).log10() / LIMITS[at]).min(1.0))
}

/// Minus the decimal logarithm of the share of values before that were at least as high.
fn rank_tails(values: &[f64]) -> Vec<f64> {
    let mut before: Vec<f64> = Vec::with_capacity(values.len());
    let tail = |value: &f64| {
        let below = before.partition_point(|one| one < value);
        let tail = (before.len() - below + 1) as f64 / (before.len() + 1) as f64;
        before.insert(below, *value);
        -tail.log10()
    };
    values.iter().map(tail).collect()
}

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).expect("a file");
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
        let mut forests = BTreeMap::<String, Forest>::new();
        let mut agents = BTreeMap::<String, Counts>::new();
        let points: Vec<[f64; FEATURES]> = rows
            .iter()
            .map(|row| point(agents.entry(row[1].to_string()).or_default(), row))
            .collect();
        let began = Instant::now();
        let masses: Vec<f64> = rows
            .iter()
            .zip(&points)
            .map(|(row, point)| {
                let purpose = row[2].to_string();
                -forests.entry(purpose).or_insert_with(|| Forest::new(1)).score(point)
            })
            .collect();
        let nanoseconds = began.elapsed().as_nanos() / rows.len() as u128;
        println!("{path}: {nanoseconds} ns/event, {} bytes a class", size_of::<Tree>() * TREES);
        let of_forest = rank_tails(&masses);
        for weight in [0.0, 0.25, 0.5, 1.0] {
            let mut evaluation = Evaluation::new(Kind::AgentStream, Config::default());
            for line in text.lines() {
                evaluation.push(line).expect("a row");
            }
            let (_, report) = evaluation.finish_with(|scores| {
                if weight <= 0.0 {
                    return scores.to_vec();
                }
                let own = rank_tails(scores);
                own.iter().zip(&of_forest).map(|(own, forest)| own + weight * forest).collect()
            });
            tell(&format!("score + {weight} x forest"), &report);
        }
        let mut evaluation = Evaluation::new(Kind::AgentStream, Config::default());
        for line in text.lines() {
            evaluation.push(line).expect("a row");
        }
        tell("forest alone", &evaluation.finish_with(|_| of_forest.clone()).1);
    }
}

fn tell(what: &str, report: &Report) {
    let Report { auc, average_precision, recall, .. } = report;
    println!(
        "  {what}: AUC {auc:.3} AP {average_precision:.3} recall {:.3} {:.3} {:.3}",
        recall.review, recall.page, recall.block
    );
}
