//! Lakes of releases that did not know all columns: each stays what it was, and is written on.
//!
//! Made by those releases: twenty events of which one was sent twice, and a reject, in two commits, sealed
//! by the key of 32 sevens. `lakes/before-copies` is of one that did not look for copies, `lakes/before-parts`
//! of one that took no record apart.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use lake::seal::{Scope, SealKey, Sealer, Verified, verify};
use lake::upkeep::{Sizes, Upkeep};
use lake::{Lake, decode_edges, decode_events};
use schemas::{Offsets, Part, StampedEvent, Table};

use crate::storage::{Fault, Storage};
use crate::world::{Batch, P0, Worker, now, open};

fn key() -> Arc<SealKey> {
    Arc::new(SealKey::new("surety", &[7; 32]).unwrap())
}

fn read(folder: &Path, name: &str, files: &mut BTreeMap<String, Bytes>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &name, files);
        } else {
            files.insert(name, std::fs::read(&path).unwrap().into());
        }
    }
}

const BEFORE: [&str; 2] = ["before-copies", "before-parts"];

async fn earlier(name: &str) -> Arc<Storage> {
    let mut files = BTreeMap::new();
    let folder = Path::new("tests/lakes").join(name);
    read(&folder, "lake", &mut files);
    Arc::new(Storage::of(&files).await)
}

async fn worker(store: &Arc<Storage>) -> Worker {
    let lake = open(store);
    Worker {
        events: lake.table(Table::Events).await.unwrap(),
        rejects: lake.table(Table::Rejects).await.unwrap(),
        sealer: Sealer::open(&lake, key()).await.unwrap(),
        lake,
    }
}

async fn verified(store: &Arc<Storage>) -> Verified {
    let verified =
        verify(&open(store), key().public(), &Scope::default(), |_, _| {}).await.unwrap();
    assert_eq!(verified.flaws, []);
    verified
}

async fn events(lake: &Lake) -> Vec<StampedEvent> {
    let stream = lake.scan_events_after(&Offsets::default()).await.unwrap();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    batches.iter().flat_map(|batch| decode_events(batch).unwrap()).collect()
}

/// Which of the entries of the log of a table give it columns.
async fn widenings(store: &Arc<Storage>, table: Table) -> Vec<String> {
    let (files, log) = (store.files().await, format!("lake/{}/_delta_log/", table.name()));
    let entries = files.iter().filter(|(path, _)| path.starts_with(&log));
    let widens = entries.filter(|(_, bytes)| bytes.windows(10).any(|part| part == b"ADD COLUMN"));
    widens.map(|(path, _)| path.clone()).collect()
}

#[tokio::test]
async fn it_is_read_and_verified_as_it_is() {
    for (name, copies) in BEFORE.into_iter().zip([0, 1]) {
        let store = earlier(name).await;

        let read = events(&open(&store)).await;

        let found = read.iter().filter(|one| one.dup_of.is_some()).count();
        assert_eq!((read.len(), found), (21, copies), "{name}");
        let verified = verified(&store).await;
        assert_eq!((verified.seals, verified.records, verified.unsealed), (2, 22, 0));
        assert_eq!(widenings(&store, Table::Events).await, [""; 0], "nothing was written");
    }
}

#[tokio::test]
async fn its_first_commit_adds_the_columns_once_and_every_seal_holds() {
    for (name, fault) in BEFORE.into_iter().flat_map(|name| {
        [None, Some(Fault::WrittenThenLost), Some(Fault::NotWritten)].map(|fault| (name, fault))
    }) {
        let store = earlier(name).await;
        let before = events(&open(&store)).await;
        let (mut quick, mut slow) = (worker(&store).await, worker(&store).await);
        if let Some(fault) = fault {
            store.plan("events/", fault);
        }

        // The ninth is a copy in this company.
        quick.commit(&Batch::of(P0, 0, 12)).await.unwrap();
        let rest = Batch::of_several(P0, 12, 20);
        slow.write_rejects(&rest).await.unwrap();
        slow.write_events(&rest).await.unwrap();
        assert_eq!(worker(&store).await.sealer.catch_up(now()).await.unwrap(), 1);

        assert_eq!(store.planned(), 0);
        for table in [Table::Events, Table::Rejects] {
            assert_eq!(widenings(&store, table).await.len(), 1, "{name}");
        }
        let after = events(&open(&store)).await;
        let copies = after.iter().filter(|one| one.dup_of.is_some());
        assert!(0 < copies.count());
        assert_eq!(after.iter().filter(|one| one.position.part != Part::FIRST).count(), 8);
        assert!(before.iter().all(|one| after.contains(one)), "rows of before are as they were");
        let verified = verified(&store).await;
        assert_eq!((verified.seals, verified.records, verified.unsealed), (4, 22 + 12 + 24, 0));
    }
}

#[tokio::test]
async fn a_column_that_no_seal_names_yet_is_an_entry_of_ours_and_another_is_not() {
    for (name, column) in BEFORE.into_iter().zip(["dup_of", "record_part"]) {
        let store = earlier(name).await;
        let mut worker = worker(&store).await;
        worker.write_events(&Batch::of(P0, 0, 4)).await.unwrap();
        let flaws = async || -> Vec<String> {
            let found = verify(&open(&store), key().public(), &Scope::default(), |_, _| {}).await;
            found.unwrap().flaws.iter().map(ToString::to_string).collect()
        };
        let are_ours = |flaws: &[String]| flaws.iter().all(|flaw| !flaw.contains("one of ours"));
        let clean = flaws().await;
        assert!(are_ours(&clean), "{clean:?}");

        let path = widenings(&store, Table::Events).await.remove(0);
        let text = String::from_utf8(store.files().await[&path].to_vec()).unwrap();
        let other = column.replace('o', "0");
        for (ours, other) in [(column, &*other), ("interval 30 days", "interval 31 days")] {
            let changed = text.replace(ours, other);
            assert_ne!(changed, text);
            store.set(&path, changed.into()).await;

            let flaws = flaws().await;

            assert!(!are_ours(&flaws), "{other}: {flaws:?}");
        }
        // That of a release between: it knew of copies and of no parts.
        let between = without_the_last_column(&text);
        store.set(&path, between.into()).await;
        assert_eq!(are_ours(&flaws().await), name == "before-copies", "else it adds nothing");
    }
}

/// An entry that gives a table columns, without the last of them.
fn without_the_last_column(entry: &str) -> String {
    let lines = entry.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(schema) = line.pointer_mut("/metaData/schemaString") {
            let mut told: serde_json::Value =
                serde_json::from_str(schema.as_str().unwrap()).unwrap();
            told["fields"].as_array_mut().unwrap().pop();
            *schema = told.to_string().into();
        }
        format!("{line}\n")
    });
    lines.collect()
}

#[tokio::test]
async fn files_of_before_and_after_are_merged_and_every_seal_holds() {
    for name in BEFORE {
        merged(name).await;
    }
}

async fn merged(name: &str) {
    let store = earlier(name).await;
    let mut worker = worker(&store).await;
    worker.commit(&Batch::of_several(P0, 0, 20)).await.unwrap();
    let before = events(&worker.lake).await;
    let upkeep = Upkeep::new(&worker.lake, key());
    let sizes = Sizes { file_bytes: 128 << 20, files_min: 2, is_daily: false };

    let mut merged = 0;
    for group in upkeep.plan(Table::Events, sizes).await.unwrap() {
        let pace = Arc::new(|| std::ops::ControlFlow::Continue(()));
        merged += usize::from(upkeep.compact(&group, now(), pace).await.unwrap().is_some());
    }

    assert!(0 < merged);
    assert_eq!(events(&open(&store)).await, before);
    verified(&store).await;
}

#[tokio::test]
async fn edges_that_are_made_of_the_events_do_not_count_copies() {
    let store = Arc::new(Storage::default());
    let mut worker = worker(&store).await;
    worker.commit(&Batch::of(P0, 0, 30)).await.unwrap();
    let read = events(&worker.lake).await;
    let copies = read.iter().filter(|one| one.dup_of.is_some()).count();

    worker.lake.make_edges(now()).await.unwrap();

    let mut counted = 0;
    let provider = worker.lake.provider(Table::CounterpartyEdges).await.unwrap().unwrap();
    let session = datafusion::prelude::SessionContext::new();
    for batch in session.read_table(provider).unwrap().collect().await.unwrap() {
        counted += decode_edges(&batch).unwrap().iter().map(|edge| edge.events).sum::<u64>();
    }
    assert!(0 < copies);
    assert_eq!(counted, (read.len() - copies) as u64);
}
