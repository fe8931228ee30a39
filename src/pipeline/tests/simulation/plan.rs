//! [`Plan`]: what goes wrong in one seed.
//!
//! Invariant: a function of the seed; and every draw of it is one of its place, not of an order in time.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use lake::faults::Fate;

/// A number that depends on the seed and on what it is for, and on nothing else.
pub(super) fn draw(seed: u64, what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish()
}

/// When and how the operations of the storage go wrong, and what else does.
#[expect(clippy::struct_excessive_bools, reason = "each is a circumstance of its own")]
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) workers: usize,
    /// Whether the tables are there before the first commit.
    pub(super) has_tables: bool,
    /// Of a thousand operations so many...
    pub(super) failed: u64,
    pub(super) answers_lost: u64,
    pub(super) tried_twice: u64,
    pub(super) slow: u64,
    /// How long others take at most.
    pub(super) latency_ms_max: u64,
    pub(super) poll_ms_max: u64,
    /// Storage and workers are well from here on.
    pub(super) heals_at: Duration,
    /// Lives of each worker that end in the midst of something.
    pub(super) crashes: u64,
    /// The first life of worker 0 stands still from here on, for so long.
    pub(super) stands_still: Option<(Duration, Duration)>,
    /// Its workers do not hear of reassignments: an operator has assigned partitions twice.
    pub(super) is_deaf: bool,
    pub(super) reassigned_every: Option<Duration>,
    /// Of a hundred crashes so many leave damaged checkpoints.
    pub(super) damaged: u64,
    pub(super) records_max: usize,
    pub(super) rows_max: usize,
    pub(super) age_ms_max: u64,
    pub(super) checkpoint_ms: u64,
    /// Whether the log ends, as a file does.
    pub(super) ends: bool,
    /// A life that ends early does so within so many operations.
    pub(super) operations_max: u64,
    /// Of a hundred reads of the storage so many take no time.
    pub(super) quick_reads: u64,
    /// Only writes go wrong, nothing but a write takes time, which is the turn of its table, and records come
    /// when those before them are committed.
    pub(super) is_in_step: bool,
    /// In step: the first life ends with its write of this number, which is done or not.
    pub(super) ends_at_write: Option<(u64, bool)>,
}

impl Plan {
    /// Nothing goes wrong.
    pub(super) fn calm() -> Self {
        Self {
            seed: 0,
            workers: 1,
            has_tables: true,
            failed: 0,
            answers_lost: 0,
            tried_twice: 0,
            slow: 0,
            latency_ms_max: 2,
            poll_ms_max: 2,
            heals_at: Duration::ZERO,
            crashes: 0,
            stands_still: None,
            is_deaf: false,
            reassigned_every: None,
            damaged: 0,
            records_max: 40,
            rows_max: 200,
            age_ms_max: 1_000,
            checkpoint_ms: 10_000,
            ends: true,
            operations_max: 260,
            quick_reads: 0,
            is_in_step: false,
            ends_at_write: None,
        }
    }

    /// Nothing goes wrong but that the first life ends with its write of this number, which is done or not. The
    /// seed draws in which order tables are written that are written at once.
    pub(super) fn ending_at(seed: u64, write: u64, is_done: bool) -> Self {
        Self {
            seed,
            rows_max: 1,
            records_max: 15,
            checkpoint_ms: 1,
            is_in_step: true,
            ends_at_write: Some((write, is_done)),
            ..Self::calm()
        }
    }

    /// For a comparison of two storages.
    pub(super) fn in_step(seed: u64) -> Self {
        let below = |what: &str, end: u64| draw(seed, (what, "in step")) % end;
        Self {
            seed,
            failed: [0, 40, 120][usize::try_from(below("failed", 3)).unwrap()],
            answers_lost: 30 + below("lost", 120),
            tried_twice: 30 + below("twice", 120),
            crashes: below("crashes", 5),
            rows_max: 1,
            records_max: 15,
            checkpoint_ms: 1,
            is_in_step: true,
            ..Self::calm()
        }
    }

    /// For a model of a lake, whose lives need fewer operations and read fewer records.
    pub(super) fn of_model(seed: u64) -> Self {
        let below =
            |what: &str, end: usize| usize::try_from(draw(seed, what)).unwrap_or(usize::MAX) % end;
        let of = Self::of(seed);
        Self {
            records_max: 2 + below("records", 20),
            rows_max: 6 + below("rows", 40),
            reassigned_every: of.reassigned_every.map(|every| every * 8),
            checkpoint_ms: of.checkpoint_ms * 4,
            operations_max: 130,
            quick_reads: 90,
            ..of
        }
    }

    pub(super) fn of(seed: u64) -> Self {
        let below = |what: &str, end: u64| draw(seed, what) % end;
        let one_of = |what: &str, values: &[u64]| {
            let at = below(what, values.len() as u64);
            values[usize::try_from(at).unwrap()]
        };
        let workers = if below("workers", 5) < 2 { 2 } else { 1 };
        let stands_still = workers == 2 && below("stands still", 2) == 0;
        let is_deaf = workers == 2 && below("deaf", 4) == 0;
        Self {
            seed,
            workers,
            has_tables: below("tables", 4) != 0,
            failed: one_of("failed", &[0, 0, 10, 60, 200]),
            answers_lost: one_of("lost", &[0, 10, 60, 200]),
            tried_twice: one_of("twice", &[0, 0, 30, 100]),
            slow: one_of("slow", &[0, 0, 20]),
            latency_ms_max: one_of("latency", &[1, 3, 20]),
            poll_ms_max: one_of("poll", &[1, 5, 40]),
            heals_at: Duration::from_secs(5 + below("heals", 20)),
            crashes: below("crashes", 4),
            stands_still: stands_still.then(|| {
                let from = Duration::from_millis(5 + below("still from", 120));
                (from, Duration::from_millis(200 + below("still for", 4_000)))
            }),
            is_deaf,
            reassigned_every: (below("reassigned", 3) == 0)
                .then(|| Duration::from_millis(20 + below("every", 200))),
            damaged: one_of("damaged", &[0, 40, 90]),
            records_max: usize::try_from(3 + below("records", 60)).unwrap(),
            rows_max: usize::try_from(20 + below("rows", 120)).unwrap(),
            age_ms_max: one_of("age", &[20, 100, 1_000]),
            checkpoint_ms: one_of("checkpoint", &[1, 60, 400]),
            ends: workers == 1 && below("ends", 3) == 0,
            operations_max: 260,
            quick_reads: 0,
            is_in_step: false,
            ends_at_write: None,
        }
    }

    pub(super) fn chance(&self, what: impl Hash, of: u64, in_all: u64) -> bool {
        draw(self.seed, (what, "chance")) % in_all < of
    }

    /// What becomes of an operation of the storage, by chance. Only of what `writes` the answer can be wrong.
    pub(super) fn fate(&self, what: impl Hash + Copy, writes: bool) -> Fate {
        if writes && self.chance((what, "lost"), self.answers_lost, 1_000) {
            Fate::AnswerLost
        } else if writes && self.chance((what, "twice"), self.tried_twice, 1_000) {
            Fate::TriedTwice
        } else if self.chance((what, "failed"), self.failed, 1_000) {
            Fate::Failed
        } else {
            Fate::Done
        }
    }

    pub(super) fn ms_up_to(&self, what: impl Hash, most: u64) -> Duration {
        Duration::from_millis(1 + draw(self.seed, (what, "ms")) % most.max(1))
    }
}
