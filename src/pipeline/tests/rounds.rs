//! How often a commit waits for the storage, and what it asks: what docs/performance.md tells of it.
//!
//! Invariant: each operation of the storage takes a second of a time that passes only when nothing else can, so
//! the seconds are the times that a commit waits.

use std::fmt::Write as _;
use std::sync::Mutex;

use lake::faults::{Decide, Fate, Memory, Operation};

use super::*;

/// What was asked in each second: what is done with which table's log or files, in the order of the alphabet.
type Asked = BTreeMap<u64, Vec<String>>;

fn told(asked: &Asked, from: u64) -> String {
    let mut told = String::new();
    for (second, operations) in asked {
        let mut counts = BTreeMap::<&str, usize>::new();
        for operation in operations {
            *counts.entry(operation).or_default() += 1;
        }
        let line = counts.iter().map(|(operation, count)| format!("{count} {operation}"));
        let line = line.collect::<Vec<_>>().join(", ");
        writeln!(told, "{}: {line}", second - from).unwrap();
    }
    told
}

fn named(operation: Operation<'_>) -> String {
    let path = operation.path.strip_prefix("lake/").unwrap();
    let (table, rest) = path.split_once('/').unwrap();
    let place = match rest.strip_prefix("_delta_log") {
        Some("/_last_checkpoint") => "checkpoint",
        Some(_) => "log",
        None => "file",
    };
    format!("{:?} {table} {place}", operation.kind)
}

#[tokio::test(start_paused = true)]
async fn a_commit_waits_six_times_for_the_storage() {
    let folder = TempDir::new().unwrap();
    let (memory, asked) = (Memory::modelled(), Arc::new(Mutex::new(Asked::new())));
    let (began, noted) = (Instant::now(), Arc::clone(&asked));
    let decide: Decide = Arc::new(move |operation| {
        let second = began.elapsed().as_secs();
        noted.lock().unwrap().entry(second).or_default().push(named(operation));
        (Duration::from_secs(1), Fate::Done)
    });
    let log = Log::of(&[("uses", uses(30))]);
    let mut pipeline =
        with_parts(Parts { lake: memory.lake(decide), ..parts(folder.path(), log) }).await;
    let mut last = String::new();
    for _ in 0..3 {
        take(&mut pipeline).await;
        asked.lock().unwrap().clear();
        let from = began.elapsed().as_secs();
        pipeline.commit(false).unwrap();
        assert_eq!(settled(&mut pipeline).await, Settled::Landed);
        last = told(&asked.lock().unwrap(), from);
    }

    // Neither rejects nor findings. The first commit makes the tables, the second follows a first seal.
    assert_eq!(
        last,
        "0: 1 Look counterparty_edges log, 1 Look events log, 1 Read counterparty_edges log, \
         1 Read events log, 1 Write counterparty_edges file, 1 Write events file\n\
         1: 1 Create counterparty_edges log\n\
         2: 1 Create events log\n\
         3: 1 Read events checkpoint, 1 Read events log, 1 Read findings checkpoint, \
         2 Read findings log, 1 Read registry_changes checkpoint, 2 Read registry_changes log, \
         1 Read rejects checkpoint, 2 Read rejects log, 1 Read seals checkpoint, 2 Read seals log\n\
         4: 1 Look seals log, 1 Read seals log, 1 Write seals file\n\
         5: 1 Create seals log\n"
    );
}
