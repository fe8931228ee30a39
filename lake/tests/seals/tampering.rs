//! Whatever is changed is found, and named.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lake::seal::Scope;
use schemas::Table;

use crate::storage::Storage;
use crate::world::{
    Batch, P0, P1, Worker, flaws, key, one_of_each_kind, open, small_files, small_lake, verified,
};

/// Bits flipped by the large test.
const FLIPS: u64 = 2_000;

/// A seeded sequence. Source: Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Which bits are flipped: of every other flip the file is drawn, of the rest the byte, so that small
/// files are met as well as large ones.
fn flips(files: &BTreeMap<String, Bytes>, seed: u64) -> Vec<(String, usize, u32)> {
    let mut random = SplitMix(seed);
    let files: Vec<(&String, usize)> = files.iter().map(|(path, b)| (path, b.len())).collect();
    let bytes: usize = files.iter().map(|(_, bytes)| bytes).sum();
    let mut flips = Vec::new();
    for number in 0..FLIPS {
        let (path, at) = if number % 2 == 0 {
            let (path, bytes) = files[random.below(files.len())];
            (path, random.below(bytes))
        } else {
            let mut at = random.below(bytes);
            let file = files.iter().find(|(_, bytes)| {
                let is_here = at < *bytes;
                at -= if is_here { 0 } else { *bytes };
                is_here
            });
            (file.unwrap().0, at)
        };
        flips.push((path.clone(), at, u32::try_from(random.next() % 8).unwrap()));
    }
    flips
}

#[tokio::test]
async fn two_thousand_flipped_bits_are_found_and_their_files_named() {
    let files = one_of_each_kind().await;
    let seed = 20_260_305;
    let flips = flips(&files, seed);
    std::thread::scope(|scope| {
        for half in flips.chunks(flips.len().div_ceil(2)) {
            let files = &files;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(all_are_found(files, half, seed));
            });
        }
    });
}

async fn all_are_found(files: &BTreeMap<String, Bytes>, flips: &[(String, usize, u32)], seed: u64) {
    let store = Arc::new(Storage::of(files).await);
    for (path, at, bit) in flips {
        let mut bytes = files[path].to_vec();
        bytes[*at] ^= 1 << bit;
        store.set(path, bytes.into()).await;

        let found = verified(&store, &Scope::default()).await.flaws;

        let replay = format!("seed {seed}: bit {bit} of byte {at} of {path}: {found:?}");
        assert!(!found.is_empty(), "not found: {replay}");
        let is_named = found.iter().any(|flaw| {
            let file = flaw.file.as_deref().unwrap_or_default();
            let table = flaw.table.name();
            *path == format!("lake/{table}/{file}")
                || (path.contains(&format!("/{table}/_delta_log/"))
                    && flaw.what.contains("of entries"))
        });
        assert!(is_named, "not named: {replay}");
        store.set(path, files[path].clone()).await;
    }
}

/// What is found in a small lake after a change.
async fn changed(change: impl Fn(&mut BTreeMap<String, Bytes>)) -> Vec<String> {
    changed_of(&small_files().await, change).await
}

async fn changed_of(
    files: &BTreeMap<String, Bytes>,
    change: impl Fn(&mut BTreeMap<String, Bytes>),
) -> Vec<String> {
    let mut changed = files.clone();
    change(&mut changed);
    assert!(changed != *files, "the change changes something");
    flaws(&Arc::new(Storage::of(&changed).await)).await
}

fn entry(table: &str, version: u64) -> String {
    format!("lake/{table}/_delta_log/{version:020}.json")
}

fn path_of<'a>(files: &'a BTreeMap<String, Bytes>, parts: &[&str]) -> &'a String {
    files.keys().find(|path| parts.iter().all(|part| path.contains(part))).unwrap()
}

#[track_caller]
fn assert_told(flaws: &[String], parts: &[&str]) {
    let is_told = flaws.iter().any(|flaw| parts.iter().all(|part| flaw.contains(part)));
    assert!(is_told, "wanted {parts:?}, found {flaws:#?}");
}

#[tokio::test]
async fn each_file_that_is_dropped_is_named() {
    let files = small_files().await;
    for path in files.keys() {
        let flaws = changed_of(&files, |files| drop(files.remove(path))).await;

        let name = path.rsplit('/').next().unwrap();
        assert_told(&flaws, &[name]);
    }
}

#[tokio::test]
async fn each_file_that_is_cut_short_or_emptied_or_grows_is_named() {
    let files = small_files().await;
    for (path, bytes) in &files {
        let mut longer = bytes.to_vec();
        longer.push(b'\n');
        for other in [bytes.slice(..bytes.len() / 2), Bytes::new(), longer.into()] {
            let insert =
                |files: &mut BTreeMap<_, _>| drop(files.insert(path.clone(), other.clone()));
            let flaws = changed_of(&files, insert).await;

            let name = path.rsplit('/').next().unwrap();
            let is_named =
                flaws.iter().any(|flaw| flaw.contains(name) || flaw.contains("of entries"));
            assert!(is_named, "{path}: {flaws:?}");
        }
    }
}

/// The small lake with the last commit's rows written in another way.
async fn with_rows(
    change: impl Fn(&[arrow::array::RecordBatch]) -> arrow::array::RecordBatch,
) -> Vec<String> {
    let mut files = small_files().await;
    let path = path_of(&files, &["events/month="]).clone();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        files[&path].clone(),
    );
    let rows: Vec<_> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    let rows = change(&rows);
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    files.insert(path.clone(), writer.into_inner().unwrap().into());
    let flaws = flaws(&Arc::new(Storage::of(&files).await)).await;
    assert_told(&flaws, &["seal ", path.rsplit('/').next().unwrap()]);
    flaws
}

#[tokio::test]
async fn a_row_that_is_deleted_inserted_or_moved_is_found() {
    use arrow::compute::{concat_batches, take_record_batch};
    let whole =
        |rows: &[arrow::array::RecordBatch]| concat_batches(&rows[0].schema(), rows).unwrap();

    with_rows(|rows| whole(rows).slice(1, whole(rows).num_rows() - 1)).await;
    with_rows(|rows| {
        let rows = whole(rows);
        concat_batches(&rows.schema(), [&rows, &rows.slice(0, 1)]).unwrap()
    })
    .await;
    with_rows(|rows| {
        let rows = whole(rows);
        let count = u32::try_from(rows.num_rows()).unwrap();
        let order: arrow::array::UInt32Array = (0..count).rev().collect::<Vec<_>>().into();
        take_record_batch(&rows, &order).unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_dropped_seal_is_found_wherever_it_stood() {
    // The log of the seals is made, then has a seal in each entry.
    for version in 1..=3_u64 {
        let flaws = changed(|files| {
            let text = String::from_utf8(files[&entry("seals", version)].to_vec()).unwrap();
            let name = text.split("part-").nth(1).unwrap().split('"').next().unwrap().to_owned();
            files.remove(&format!("lake/seals/part-{name}"));
            files.remove(&entry("seals", version));
        })
        .await;
        assert!(!flaws.is_empty(), "{version}");
    }
    let without_the_last = changed(|files| drop(files.remove(&entry("seals", 3)))).await;
    assert_told(&without_the_last, &["events", "version 3 has no seal"]);
}

#[tokio::test]
async fn a_lake_that_was_put_back_to_an_earlier_day_is_found_by_a_head_that_was_kept() {
    let store = small_lake().await;
    let earlier = Arc::new(Storage::of(&store.files().await).await);
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P1, 12, 15)).await.unwrap();
    let head = verified(&store, &Scope::default()).await.head.unwrap();

    let scope = Scope { heads: vec![head], ..Scope::default() };

    assert_eq!(verified(&store, &scope).await.flaws, []);
    assert_eq!(flaws(&earlier).await, [""; 0]);
    let found = verified(&earlier, &scope).await.flaws;
    assert_eq!((found.len(), found[0].seal), (1, Some(3)), "{found:?}");
    assert!(found[0].what.contains("does not hold the head"), "{found:?}");
}

#[tokio::test]
async fn a_chain_that_another_key_signed_again_is_found() {
    let store = small_lake().await;
    let (lake, other, scope) = (open(&store), key(8), Scope::default());

    let verified = lake::seal::verify(&lake, other.public(), &scope, |_, _| {}).await.unwrap();

    for seal in 0..3 {
        let flaw = verified.flaws.iter().find(|flaw| flaw.seal == Some(seal)).unwrap();
        assert_eq!(flaw.what, "it is not signed by this key");
    }
}

#[tokio::test]
async fn what_is_swapped_with_another_lakes_is_found() {
    let other = small_files().await;
    let is_of = |part: &'static str| move |path: &&String| path.contains(part);
    for part in ["events/_delta_log/0000", "lake/seals/", "lake/rejects/", "lake/events/"] {
        let flaws = changed(|files| {
            files.retain(|path, _| !path.contains(part));
            let theirs = other.keys().filter(is_of(part));
            files.extend(theirs.map(|path| (path.clone(), other[path].clone())));
        })
        .await;
        assert!(!flaws.is_empty(), "{part}");
    }
    let whole = changed(|files| {
        files.retain(|path, _| !path.contains("lake/seals/"));
        let theirs = other.keys().filter(is_of("lake/seals/"));
        files.extend(theirs.map(|path| (path.clone(), other[path].clone())));
    })
    .await;
    assert_told(&whole, &["seal 0", "it is of another lake"]);
}

fn replaced(files: &mut BTreeMap<String, Bytes>, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[path].to_vec()).unwrap();
    assert!(text.contains(from), "{from} is in {text}");
    files.insert(path.to_owned(), text.replacen(from, to, 1).into());
}

#[tokio::test]
async fn a_log_that_tells_readers_something_else_is_found() {
    for version in [1, 2, 3] {
        for (from, to) in [
            ("\"numRecords\\\":", "\"numRecords\\\":1"),
            ("month=2026-0", "month=2025-0"),
            ("\"size\":", "\"size\":1"),
            ("agent-0", "agent-z"),
            ("\"dataChange\":true", "\"dataChange\":false"),
        ] {
            let path = entry("events", version);
            let flaws = changed(|files| replaced(files, &path, from, to)).await;
            assert_told(&flaws, &["events", &format!("{version:020}.json")]);
        }
    }
    // An add that is taken away, one that hides rows, and one more entry.
    let hiding = "\"deletionVector\":{\"storageType\":\"i\",\"pathOrInlineDv\":\"x\",\"sizeInBytes\":1,\"cardinality\":1},\"dataChange\":true";
    let path = entry("events", 2);
    let hidden = changed(|files| replaced(files, &path, "\"dataChange\":true", hiding)).await;
    assert_told(&hidden, &["deletionVector"]);
    let taken = changed(|files| {
        let text = String::from_utf8(files[&path].to_vec()).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"add\"")).collect();
        files.insert(path.clone(), kept.join("\n").into());
    })
    .await;
    assert_told(&taken, &["seal 1", "events", "it is not part of the table any more"]);
    for table in ["events", "rejects", "registry_changes", "seals"] {
        let next = if table == "registry_changes" { 2 } else { 4 };
        let more = changed(|files| {
            let path = path_of(files, &[table, "part-"]).clone();
            let path = path.split_once(&format!("{table}/")).unwrap().1;
            let line = format!("{{\"remove\":{{\"path\":\"{path}\",\"dataChange\":true}}}}");
            files.insert(entry(table, next), line.into());
        })
        .await;
        assert_told(&more, &[table, "removed it"]);
    }
}

#[tokio::test]
async fn kinds_of_log_files_that_readers_know_and_we_do_not_write_are_found() {
    for name in [
        "00000000000000000001.00000000000000000003.compacted.json",
        "00000000000000000003.crc",
        "00000000000000000003.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
        "_sidecars/x.parquet",
        "3.json",
    ] {
        let flaws = changed(|files| {
            files.insert(format!("lake/events/_delta_log/{name}"), "{}".into());
        })
        .await;
        assert_told(&flaws, &["events", name]);
    }
}

#[tokio::test]
async fn a_checkpoint_that_says_something_else_is_found_even_before_it_is_sealed() {
    let store = small_lake().await;
    let mut worker = Worker::start(&store).await;
    worker.commit(&Batch::of(P0, 16, 20)).await.unwrap();
    worker.lake.table(Table::Events).await.unwrap().checkpoint().await.unwrap();
    assert_eq!(flaws(&store).await, [""; 0], "one that no seal names yet, and that is right");
    let files = store.files().await;
    let path = path_of(&files, &["lake/events", "4.checkpoint.parquet"]).clone();

    // The checkpoint of a version before, under this one's name: readers would miss a commit.
    let older = path_of(&files, &["lake/events", "2.checkpoint.parquet"]).clone();
    store.set(&path, files[&older].clone()).await;

    assert_told(&flaws(&store).await, &["events", "4.checkpoint.parquet", "add"]);
}

#[tokio::test]
async fn rows_that_were_never_sealed_are_found_beside_the_sealed_ones() {
    let store = small_lake().await;
    let mut worker = Worker::start(&store).await;
    worker.write_events(&Batch::of(P1, 12, 14)).await.unwrap();

    let found = flaws(&store).await;

    assert_told(&found, &["events", "version 4 has no seal"]);
    assert_told(&found, &["events/month=", "in no seal"]);
    // Forged rejects at offsets that were sealed without them.
    let store = small_lake().await;
    let mut forger = open(&store).table(Table::Rejects).await.unwrap();
    let forged = Batch::of(P0, 16, 20);
    let beside = Batch::of(P0, 4, 5).rejects;
    forger.append(vec![beside], &forged.advance, crate::world::now()).await.unwrap();
    assert_told(&flaws(&store).await, &["seal 0", "uses/0@4", "there twice"]);
}
