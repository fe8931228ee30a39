//! Files are merged, deleted and not kept any more; seals, offsets and rows stay as they were.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt as _;
use lake::seal::{Scope, SealChain, SealedRecords};
use lake::upkeep::{Compacted, Days, Horizon, Pace, Sizes, Upkeep};
use lake::{Lake, decode_events};
use schemas::{Offset, Offsets, Table, Timestamp};

use crate::storage::{Fault, Storage};
use crate::world::{Batch, P0, P1, Worker, flaws, key, now, open, topic, verified};

const SIZES: Sizes = Sizes { file_bytes: 128 << 20, files_min: 2, is_daily: false };

fn at_once() -> Arc<Pace> {
    Arc::new(|| ControlFlow::Continue(()))
}

fn later(days: u64) -> Timestamp {
    now().plus(Duration::from_hours(days * 24))
}

/// Merges what can be merged of a table.
async fn compact(store: &Arc<Storage>, table: Table) -> Vec<Compacted> {
    let upkeep = Upkeep::new(&open(store), key(7));
    let mut all = Vec::new();
    for group in upkeep.plan(table, SIZES).await.unwrap() {
        all.extend(upkeep.compact(&group, now(), at_once()).await.unwrap());
    }
    all
}

/// A lake of several commits over two partitions.
async fn lake_of(commits: i64) -> (Arc<Storage>, Worker) {
    let store = Arc::new(Storage::default());
    let mut worker = Worker::start(&store).await;
    for at in 0..commits {
        let partition = if at % 2 == 0 { P0 } else { P1 };
        let start = at / 2 * 7;
        worker.commit(&Batch::of(partition, start, start + 7)).await.unwrap();
    }
    (store, worker)
}

async fn rows(lake: &Lake, after: &Offsets) -> Vec<String> {
    let stream = lake.scan_events_after(after).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let events = batches.iter().flat_map(|batch| decode_events(batch).unwrap());
    let mut rows: Vec<String> = events.map(|event| format!("{event:?}")).collect();
    rows.sort_unstable();
    rows
}

async fn paths(store: &Arc<Storage>, table: &str) -> Vec<String> {
    let files = store.files().await;
    let is_of = |path: &&String| {
        path.contains(&format!("lake/{table}/"))
            && path.ends_with(".parquet")
            && !path.contains("_delta_log")
    };
    files.keys().filter(is_of).cloned().collect()
}

#[tokio::test]
async fn merged_files_have_the_same_rows_and_the_seals_hold() {
    let (store, mut worker) = lake_of(8).await;
    let before = rows(&open(&store), &Offsets::default()).await;
    let offsets = worker.events.offsets().clone();

    for table in [Table::Events, Table::Rejects, Table::Seals] {
        let merged = compact(&store, table).await;
        assert!(!merged.is_empty(), "{}", table.name());
        assert!(merged.iter().all(|one| 2 <= one.files_before && one.files_after == 1));
    }

    assert_eq!(rows(&open(&store), &Offsets::default()).await, before);
    assert_eq!(*open(&store).table(Table::Events).await.unwrap().offsets(), offsets);
    let found = verified(&store, &Scope::default()).await;
    assert_eq!(found.flaws, []);
    assert_eq!((found.seals, found.records, found.retained), (8, 56, 0));
    assert!(3 <= found.rewrites && 0 < found.unsealed, "{found:?}");
    // The writer goes on, its seal names the rewrites, and a checkpoint repeats them.
    for table in [Table::Events, Table::Rejects, Table::Seals] {
        open(&store).table(table).await.unwrap().checkpoint().await.unwrap();
    }
    worker.commit(&Batch::of(P0, 28, 33)).await.unwrap();
    let found = verified(&store, &Scope::default()).await;
    assert_eq!((found.flaws, found.unsealed), (vec![], 0));
}

#[tokio::test]
async fn a_row_is_proven_after_its_file_was_merged_and_deleted() {
    let (store, _) = lake_of(6).await;
    compact(&store, Table::Events).await;
    let upkeep = Upkeep::new(&open(&store), key(7));
    let horizon = Horizon::of_hours(24).unwrap();
    let far = Timestamp::parse("2199-01-01T00:00:00Z").unwrap();
    let files = paths(&store, "events").await.len();

    let dry = upkeep.vacuum(Table::Events, horizon, far, true).await.unwrap();
    assert_eq!(paths(&store, "events").await.len(), files, "a dry run deletes nothing");
    let swept = upkeep.vacuum(Table::Events, horizon, far, false).await.unwrap();

    assert_eq!(dry, swept);
    assert!(4 <= swept.files, "{swept:?}");
    assert_eq!(paths(&store, "events").await.len(), files - swept.files);
    assert_eq!(flaws(&store).await, [""; 0]);
    let lake = open(&store);
    let chain = SealChain::read(&lake).await.unwrap();
    for link in chain.links() {
        let records = SealedRecords::read(&lake, &link.seal).await.unwrap();
        assert!(records.are_as_sealed(&link.seal), "seal {}", link.seal.sequence);
    }
}

#[tokio::test]
async fn within_the_horizon_nothing_is_deleted_that_an_older_version_had() {
    let (store, _) = lake_of(6).await;
    compact(&store, Table::Events).await;
    let upkeep = Upkeep::new(&open(&store), key(7));
    store.set("lake/events/month=2026-03/part-orphan.parquet", "left behind".into()).await;
    let files = paths(&store, "events").await;
    let written = store.newest().await;
    let day = Duration::from_hours(24);
    let week = Horizon::of_hours(168).unwrap();

    let within = written.plus(day * 6);
    assert_eq!(upkeep.vacuum(Table::Events, week, within, false).await.unwrap().files, 0);
    assert_eq!(paths(&store, "events").await, files);
    let beyond = written.plus(day * 8);
    let swept = upkeep.vacuum(Table::Events, week, beyond, false).await.unwrap();

    assert!(5 <= swept.files, "{swept:?}");
    assert!(
        !paths(&store, "events")
            .await
            .contains(&"lake/events/month=2026-03/part-orphan.parquet".to_owned())
    );
    assert_eq!(flaws(&store).await, [""; 0]);
}

#[tokio::test]
async fn what_no_seal_names_is_left_alone() {
    let (store, mut worker) = lake_of(2).await;
    worker.write_events(&Batch::of(P0, 7, 12)).await.unwrap();
    worker.write_events(&Batch::of(P0, 12, 20)).await.unwrap();

    let merged = compact(&store, Table::Events).await;

    let files: usize = merged.iter().map(|one| one.files_before).sum();
    assert!(files <= 4, "of the two sealed commits: {merged:?}");
    worker.sealer.catch_up(now()).await.unwrap();
    assert_eq!(flaws(&store).await, [""; 0]);
    assert_eq!(verified(&store, &Scope::default()).await.seals, 4);
}

#[tokio::test]
async fn the_events_after_a_checkpoint_are_found_in_merged_files() {
    let (store, mut worker) = lake_of(6).await;
    let mut half = Offsets::default();
    half.raise(&topic(), P0, Offset(14));
    half.raise(&topic(), P1, Offset(7));
    let wanted = rows(&open(&store), &half).await;
    assert!(!wanted.is_empty());

    compact(&store, Table::Events).await;
    assert_eq!(rows(&open(&store), &half).await, wanted);
    worker.commit(&Batch::of(P1, 21, 28)).await.unwrap();

    assert_eq!(rows(&open(&store), &half).await.len(), wanted.len() + 6);
    let everything = worker.events.offsets().clone();
    assert_eq!(rows(&open(&store), &everything).await, [""; 0]);
}

/// The lake's files with one row of a merged file changed, as somebody would do it who merges: under the
/// name and with the entry that fit to the changed bytes. `signed_by` is the key he has.
async fn tampered(signed_by: u8) -> (Arc<Storage>, String) {
    let (store, _) = lake_of(6).await;
    let files = store.files().await;
    let path = files.keys().find(|path| path.contains("events/month=2026-03/")).unwrap().clone();
    let original = files[&path].clone();
    let changed = with_another_amount(&original);
    // The file is read changed, merged, signed and committed; then it is put back.
    store.set(&path, changed).await;
    let upkeep = Upkeep::new(&open(&store), key(signed_by));
    let mut merged = 0;
    for group in upkeep.plan(Table::Events, SIZES).await.unwrap() {
        merged += upkeep
            .compact(&group, now(), at_once())
            .await
            .unwrap()
            .map_or(0, |one| one.files_after);
    }
    assert!(0 < merged);
    store.set(&path, original).await;
    (store, path)
}

fn with_another_amount(bytes: &bytes::Bytes) -> bytes::Bytes {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
    let rows: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let rows = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
    let at = rows.schema().index_of("outcome").unwrap();
    let mut columns = rows.columns().to_vec();
    let denied =
        std::iter::once("denied").chain(std::iter::repeat_n("success", rows.num_rows() - 1));
    columns[at] = Arc::new(denied.map(Some).collect::<arrow::array::StringArray>());
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap().into()
}

#[tokio::test]
async fn a_row_that_is_changed_while_files_are_merged_is_found_and_named() {
    // Even with the key: the root is over the rows.
    let (store, original) = tampered(7).await;
    let found = flaws(&store).await;

    let is_told =
        |parts: &[&str]| found.iter().any(|flaw| parts.iter().all(|part| flaw.contains(part)));
    assert!(is_told(&["seal ", "the root is another"]), "{found:?}");
    assert!(is_told(&["seal ", "events/month=2026-03/part-", "not what was sealed"]), "{found:?}");
    assert!(is_told(&["seal ", "record uses/", "a rewrite changed"]), "{found:?}");
    // Its record cannot be named when the file before is gone, but the seal and the file can.
    let files: BTreeMap<_, _> =
        store.files().await.into_iter().filter(|(path, _)| *path != original).collect();
    let found = flaws(&Arc::new(Storage::of(&files).await)).await;
    assert!(found.iter().any(|flaw| flaw.contains("the root is another")), "{found:?}");
    assert!(found.iter().any(|flaw| flaw.contains("not what was sealed")), "{found:?}");
}

#[tokio::test]
async fn a_rewrite_without_the_key_is_found_whatever_it_holds() {
    let (store, _) = lake_of(6).await;
    let upkeep = Upkeep::new(&open(&store), key(8));
    for table in [Table::Events, Table::Rejects, Table::Seals] {
        for group in upkeep.plan(table, SIZES).await.unwrap() {
            upkeep.compact(&group, now(), at_once()).await.unwrap();
        }
    }

    let found = flaws(&store).await;

    for table in ["events/_delta_log", "rejects/_delta_log", "seals/_delta_log"] {
        let is_told = found.iter().any(|flaw| flaw.contains(table) && flaw.contains("signed"));
        assert!(is_told, "{table}: {found:?}");
    }
}

#[tokio::test]
async fn every_byte_of_a_rewrite_counts_before_it_is_sealed_and_after() {
    for is_sealed in [false, true] {
        let (store, mut worker) = lake_of(4).await;
        compact(&store, Table::Events).await;
        if is_sealed {
            worker.commit(&Batch::of(P0, 14, 16)).await.unwrap();
        }
        assert_eq!(flaws(&store).await, [""; 0]);
        let files = store.files().await;
        let entries = files.iter().filter(|(path, bytes)| {
            path.contains("lake/events/_delta_log/")
                && String::from_utf8_lossy(bytes).contains("suretyNote")
        });
        for (path, bytes) in entries {
            for at in (0..bytes.len()).step_by(37) {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1;
                store.set(path, changed.into()).await;
                assert!(!flaws(&store).await.is_empty(), "{path}: byte {at}, sealed: {is_sealed}");
            }
            store.set(path, bytes.clone()).await;
        }
    }
}

#[tokio::test]
async fn appends_do_not_stop_a_rewrite_and_another_rewrite_does() {
    let (store, mut worker) = lake_of(6).await;
    let upkeep = Upkeep::new(&open(&store), key(7));
    let planned = upkeep.plan(Table::Events, SIZES).await.unwrap();
    let again = upkeep.plan(Table::Events, SIZES).await.unwrap();
    worker.commit(&Batch::of(P0, 21, 28)).await.unwrap();

    for group in &planned {
        assert!(upkeep.compact(group, now(), at_once()).await.unwrap().is_some());
        let start = worker.events.offsets().next_of(&topic(), P1).unwrap().0;
        worker.commit(&Batch::of(P1, start, start + 5)).await.unwrap();
    }
    let files = paths(&store, "events").await;
    for group in &again {
        assert_eq!(upkeep.compact(group, later(1), at_once()).await.unwrap(), None);
    }

    assert_eq!(paths(&store, "events").await, files, "the one that lost leaves no file");
    assert_eq!(flaws(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_crash_between_the_file_and_its_entry_leaves_an_orphan_and_nothing_else() {
    let (store, mut worker) = lake_of(6).await;
    let before = rows(&open(&store), &Offsets::default()).await;
    let upkeep = Upkeep::new(&open(&store), key(7));
    let planned = upkeep.plan(Table::Events, SIZES).await.unwrap();
    let files = paths(&store, "events").await.len();
    for _ in 0..4 {
        store.plan("events/_delta_log", Fault::NotWritten);
    }
    upkeep.compact(&planned[0], now(), at_once()).await.unwrap_err();
    assert_eq!(paths(&store, "events").await.len(), files + 1);
    assert_eq!(flaws(&store).await, [""; 0], "no reader sees it");

    // An answer that is lost is no reason to do it twice.
    store.plan("events/_delta_log", Fault::WrittenThenLost);
    let merged = upkeep.compact(&planned[0], later(1), at_once()).await.unwrap();

    assert!(merged.is_some());
    assert_eq!(rows(&open(&store), &Offsets::default()).await, before);
    worker.commit(&Batch::of(P0, 21, 28)).await.unwrap();
    assert_eq!(flaws(&store).await, [""; 0]);
    let far = Timestamp::parse("2199-01-01T00:00:00Z").unwrap();
    let horizon = Horizon::of_hours(24).unwrap();
    let swept = upkeep.vacuum(Table::Events, horizon, far, false).await.unwrap();
    assert_eq!(swept.files, 1 + merged.unwrap().files_before);
    assert_eq!(flaws(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_rewrite_that_is_told_to_stop_changes_nothing() {
    let (store, _) = lake_of(6).await;
    let files = store.files().await;
    let upkeep = Upkeep::new(&open(&store), key(7));
    for group in upkeep.plan(Table::Events, SIZES).await.unwrap() {
        let stop: Arc<Pace> = Arc::new(|| ControlFlow::Break(()));
        assert_eq!(upkeep.compact(&group, now(), stop).await.unwrap(), None);
    }

    assert_eq!(store.files().await, files);
}

#[tokio::test]
async fn days_that_are_not_kept_are_retained_away_and_not_tampered_with() {
    let (store, mut worker) = lake_of(6).await;
    compact(&store, Table::Events).await;
    worker.commit(&Batch::of(P0, 21, 28)).await.unwrap();
    let upkeep = Upkeep::new(&open(&store), key(7));
    let days = Days::new(30).unwrap();
    assert_eq!(upkeep.retain(Table::Events, days, later(20), false).await.unwrap().files, 0);

    let dry = upkeep.retain(Table::Events, days, later(90), true).await.unwrap();
    assert_eq!(flaws(&store).await, [""; 0]);
    let gone = upkeep.retain(Table::Events, days, later(90), false).await.unwrap();
    let no_rejects = upkeep.retain(Table::Rejects, days, later(90), false).await.unwrap();

    assert_eq!(dry, gone);
    assert!(0 < gone.rows && 0 < no_rejects.rows, "{gone:?} {no_rejects:?}");
    let found = verified(&store, &Scope::default()).await;
    assert_eq!(found.flaws, []);
    assert_eq!(found.retained, gone.rows + no_rejects.rows);
    // The writer goes on where it was, and what comes is proven as before.
    worker.commit(&Batch::of(P0, 28, 35)).await.unwrap();
    let found = verified(&store, &Scope::default()).await;
    assert_eq!((found.flaws, found.retained), (vec![], gone.rows + no_rejects.rows));
    // One without the key cannot make a removal look like that.
    let forger = Upkeep::new(&open(&store), key(8));
    forger.retain(Table::Events, days, later(90), false).await.unwrap();
    let found = flaws(&store).await;
    assert!(found.iter().any(|flaw| flaw.contains("signed by this key")), "{found:?}");
}

/// A seeded sequence. Source: Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[tokio::test]
async fn whatever_is_appended_merged_and_deleted_the_rows_are_those_that_were_written() {
    for seed in 0..12 {
        let mut random = SplitMix(seed);
        let store = Arc::new(Storage::default());
        let mut worker = Worker::start(&store).await;
        let mut ends = [0_i64; 2];
        for _ in 0..14 {
            match random.below(6) {
                0..=2 => {
                    let side = usize::try_from(random.below(2)).unwrap();
                    let partition = [P0, P1][side];
                    let end = ends[side] + 1 + i64::try_from(random.below(9)).unwrap();
                    worker.commit(&Batch::of(partition, ends[side], end)).await.unwrap();
                    ends[side] = end;
                }
                3 => drop(compact(&store, Table::Events).await),
                4 => {
                    for table in [Table::Rejects, Table::Seals] {
                        compact(&store, table).await;
                    }
                }
                _ => {
                    let far = Timestamp::parse("2199-01-01T00:00:00Z").unwrap();
                    let horizon = Horizon::of_hours(24).unwrap();
                    let upkeep = Upkeep::new(&open(&store), key(7));
                    for table in Table::ALL {
                        upkeep.vacuum(*table, horizon, far, false).await.unwrap();
                    }
                }
            }
            let found = flaws(&store).await;
            assert!(found.is_empty(), "replay with seed {seed}: {found:?}");
        }
        let wanted = [(P0, ends[0]), (P1, ends[1])].into_iter().filter(|(_, end)| 0 < *end);
        let mut events = 0;
        for (partition, end) in wanted {
            let offsets = open(&store).table(Table::Events).await.unwrap().offsets().clone();
            assert_eq!(offsets.next_of(&topic(), partition), Some(Offset(end)), "seed {seed}");
            events += Batch::of(partition, 0, end).events.num_rows();
        }
        let rows = rows(&open(&store), &Offsets::default()).await;
        assert_eq!(rows.len(), events, "replay with seed {seed}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_a_log_goes_when_there_is_a_newer_one_and_no_other_may_be_missing() {
    let (store, mut worker) = lake_of(4).await;
    for start in [14, 21, 28] {
        worker.events.checkpoint().await.unwrap();
        worker.commit(&Batch::of(P0, start, start + 7)).await.unwrap();
    }
    let offsets = worker.events.offsets().clone();
    let checkpoints = async || -> Vec<String> {
        let files = store.files().await.into_keys();
        files.filter(|path| path.ends_with(".checkpoint.parquet")).collect()
    };
    let before = checkpoints().await;
    assert_eq!(before.len(), 3, "{before:?}");
    let upkeep = Upkeep::new(&open(&store), key(7));
    let horizon = Horizon::of_hours(24).unwrap();
    let far = Timestamp::parse("2199-01-01T00:00:00Z").unwrap();

    let young = upkeep.vacuum(
        Table::Events,
        horizon,
        Timestamp::EPOCH.plus(Duration::from_hours(48)),
        false,
    );
    assert_eq!(young.await.unwrap().files, 0, "they are not a day old");
    let swept = upkeep.vacuum(Table::Events, horizon, far, false).await.unwrap();

    assert_eq!((swept.files, checkpoints().await), (2, before[2..].to_vec()));
    assert_eq!(flaws(&store).await, [""; 0]);
    assert_eq!(*open(&store).table(Table::Events).await.unwrap().offsets(), offsets);
    let mut files = store.files().await;
    files.remove(&before[2]);
    let flaws = flaws(&Arc::new(Storage::of(&files).await)).await;
    assert!(flaws.iter().any(|flaw| flaw.contains("found none")), "{flaws:?}");
}
