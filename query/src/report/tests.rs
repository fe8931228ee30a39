//! Packs of a made lake, and what becomes of them in the hands of somebody who knows the format.

mod made_lake;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lake::seal::{PublicKey, SealKey};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::facts::Facts;
use super::pdf;
use super::rows::RowFiles;
use super::tally::{Cents, Tally};
use super::*;
use crate::pack::chain::Link;
use crate::pack::manifest::Manifest;
use crate::pack::member::{Member, Method};
use crate::pack::proof::{SealProof, hex};
use crate::pack::{name, zip};
use crate::{PackFlaw, PackScope, PackVerified, verify_pack};
use made_lake::{MadeLake, time};

/// The content of each file, in the pack's order.
type Files = Vec<(String, Vec<u8>)>;

async fn pack_of(made: &MadeLake, subject: Subject) -> (Vec<u8>, Written) {
    let request = Request {
        subject,
        from: time("2026-03-01T00:00:00Z"),
        to: time("2026-04-01T00:00:00Z"),
        key: made.key.public().clone(),
    };
    let mut out = Vec::new();
    let written = write_report(&made.lake, &request, &mut out, |_, _| ()).await.unwrap();
    (out, written)
}

async fn pack_of_sponsor() -> (MadeLake, Vec<u8>) {
    let made = MadeLake::new().await;
    let (pack, _) = pack_of(&made, Subject::Sponsor { id: "s.meyer".to_owned() }).await;
    (made, pack)
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn verify(pack: &[u8], key: Option<&PublicKey>) -> PackVerified {
    let scope = PackScope { key: key.cloned(), head: None };
    verify_pack(file_of(pack), &scope, |_, _| ())
}

fn files_of(pack: &[u8]) -> Files {
    let archive = zip::Archive::open(file_of(pack)).unwrap();
    let content = |entry: &zip::Entry| {
        let mut content = Vec::new();
        archive.read(entry).read_to_end(&mut content).unwrap();
        (entry.name.clone(), content)
    };
    archive.entries.iter().map(content).collect()
}

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(path, _)| path == name).unwrap().1
}

/// A pack of these files, with their hashes in the manifest where `is_hashed`.
fn packed(mut files: Files, is_hashed: bool) -> Vec<u8> {
    if is_hashed {
        let hashes: BTreeMap<String, (u64, String)> = files
            .iter()
            .map(|(path, content)| {
                let member = Member::of(path, content).unwrap();
                (path.clone(), (member.bytes, hex(&member.sha256)))
            })
            .collect();
        let manifest = file(&mut files, name::MANIFEST);
        let mut read: Manifest = serde_json::from_slice(manifest).unwrap();
        for one in &mut read.files {
            (one.bytes, one.sha256) = hashes[&one.path].clone();
        }
        *manifest = serde_json::to_vec_pretty(&read).unwrap();
        manifest.push(b'\n');
    }
    let member = |(path, content): (String, Vec<u8>)| {
        let method = if path.ends_with(".parquet") { Method::Stored } else { Method::Deflated };
        let mut member = Member::new(&path, method).unwrap();
        member.write_all(&content).unwrap();
        member.finish().unwrap()
    };
    let mut out = Vec::new();
    zip::assemble(files.into_iter().map(member).collect(), &mut out).unwrap();
    out
}

/// The pack after `change`, with every hash made right again.
fn changed(pack: &[u8], change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = files_of(pack);
    change(&mut files);
    packed(files, true)
}

fn events_of(files: &mut Files) -> RecordBatch {
    let copy = file_of(file(files, "rows/events.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(copy).unwrap().build().unwrap();
    let schema = schemas::Table::Events.arrow_schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Writes other rows in all three formats, and figures and page that follow from them.
fn put_events(files: &mut Files, rows: &RecordBatch) {
    let mut written = RowFiles::new(name::EVENTS, &rows.schema()).unwrap();
    written.write(rows).unwrap();
    for mut one in written.finish().unwrap() {
        let mut packed = Vec::new();
        one.spill.read_to_end(&mut packed).unwrap();
        let mut content = Vec::new();
        match one.method {
            Method::Stored => content = packed,
            Method::Deflated => {
                let mut inflate = flate2::read::DeflateDecoder::new(packed.as_slice());
                inflate.read_to_end(&mut content).unwrap();
            }
        }
        assert_eq!(content.len() as u64, one.bytes);
        *file(files, &one.name) = content;
    }
    let mut facts: Facts = serde_json::from_slice(file(files, name::FACTS)).unwrap();
    facts.tally = Tally::default();
    facts.tally.fold(rows);
    *file(files, name::FACTS) = (serde_json::to_string_pretty(&facts).unwrap() + "\n").into_bytes();
    let page = html::page(&facts);
    *file(files, name::REPORT_PDF) = super::pdf::pdf(&page);
    *file(files, name::REPORT) = page.into_bytes();
}

fn proofs_of(files: &mut Files) -> Vec<SealProof> {
    let text = file(files, name::PROOFS);
    serde_json::Deserializer::from_slice(text).into_iter().map(Result::unwrap).collect()
}

fn put_lines<T: serde::Serialize>(files: &mut Files, name: &str, lines: &[T]) {
    let text: String =
        lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    *file(files, name) = text.into_bytes();
}

fn told(verified: &PackVerified) -> String {
    verified.flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn names(verified: &PackVerified, wanted: impl Fn(&PackFlaw) -> bool) -> bool {
    !verified.is_intact() && verified.flaws.iter().any(wanted)
}

#[tokio::test]
async fn a_pack_is_verified_without_its_lake() {
    let (made, pack) = pack_of_sponsor().await;
    let key = made.key.public().clone();
    drop(made);

    let verified = verify(&pack, Some(&key));

    assert!(verified.is_intact(), "{}", told(&verified));
    assert_eq!((verified.rows, verified.proven, verified.unsealed), (5, 5, 0));
    assert_eq!(verified.seals, 3);
    assert_eq!(verified.newest.map(|(sequence, ..)| sequence), Some(2));
}

#[tokio::test]
async fn the_same_range_gives_the_same_bytes() {
    let made = MadeLake::new().await;

    for subject in [
        Subject::Sponsor { id: "s.meyer".to_owned() },
        Subject::Agent { id: "report-1".to_owned() },
        Subject::Coverage,
    ] {
        let (first, _) = pack_of(&made, subject.clone()).await;
        let (second, _) = pack_of(&made, subject.clone()).await;
        assert_eq!(first, second, "{subject:?}");
        let verified = verify(&first, Some(made.key.public()));
        assert!(verified.is_intact(), "{subject:?}: {}", told(&verified));
    }
}

#[tokio::test]
async fn a_report_has_the_rows_of_its_subject_and_of_its_range_alone() {
    let (_made, pack) = pack_of_sponsor().await;
    let mut files = files_of(&pack);
    let facts: Facts = serde_json::from_slice(file(&mut files, name::FACTS)).unwrap();
    let jsonl = String::from_utf8(file(&mut files, "rows/events.jsonl").clone()).unwrap();

    assert_eq!(jsonl.lines().count(), 5);
    assert!(jsonl.lines().all(|line| line.contains("\"sponsor_id\":\"s.meyer\"")));
    assert_eq!(facts.tally.events, 5);
    // 0.10 + 0.20 of a successful order each; the denied one of 999.99 does not count.
    assert_eq!(facts.tally.money.get("EUR"), Some(&Cents(30)));
    assert_eq!((facts.tally.outcomes.success, facts.tally.outcomes.denied), (4, 1));
    assert_eq!(facts.completeness.rejects, 1);
    assert_eq!(facts.findings.iter().map(|one| one.findings).sum::<u64>(), 1);
    assert_eq!(facts.worst[0].verdict.as_deref(), Some("false_positive"));
    assert_eq!(facts.covered(), (8, 7));
    assert_eq!(facts.elsewhere[0].events, 1, "the same agent, in another's name");
}

#[tokio::test]
async fn the_statements_of_a_pack_answer_what_the_pack_says() {
    let (made, pack) = pack_of_sponsor().await;
    let mut files = files_of(&pack);
    let facts: Facts = serde_json::from_slice(file(&mut files, name::FACTS)).unwrap();
    let queries = String::from_utf8(file(&mut files, name::QUERIES).clone()).unwrap();
    let engine = crate::Engine::open(&made.lake, crate::Limits::ONE_PERSON).await.unwrap();

    let statements = crate::split_statements(&queries).unwrap();
    let mut counts = Vec::new();
    for statement in &statements {
        let rows = engine.sql(statement).await.unwrap().collect().await.unwrap();
        counts.push(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64);
    }

    let wanted = [
        facts.coverage.len() as u64,
        facts.unowned.len() as u64,
        facts.rejects.len() as u64,
        facts.people.len() as u64,
        facts.tally.events,
        1,
        facts.findings.len() as u64,
        facts.worst.len() as u64,
        3,
        facts.elsewhere.len() as u64,
    ];
    assert_eq!(counts, wanted);
}

#[tokio::test]
async fn a_value_is_neither_markup_nor_a_formula() {
    let (_made, pack) = pack_of_sponsor().await;
    let mut files = files_of(&pack);
    let page = String::from_utf8(file(&mut files, name::REPORT).clone()).unwrap();
    let csv = String::from_utf8(file(&mut files, "rows/events.csv").clone()).unwrap();

    assert!(!page.contains("<script"), "no script, neither ours nor theirs");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("@page"), "it prints");
    for reach in ["http://", "https://", "src=", "url("] {
        let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!page.contains(reach), "the page reaches out: {reach}");
    }
    assert!(csv.contains("'=HYPERLINK"), "{csv}");
}

#[tokio::test]
async fn each_file_that_is_changed_is_named() {
    let (made, pack) = pack_of_sponsor().await;
    let key = made.key.public();

    for (path, _) in files_of(&pack) {
        let mut files = files_of(&pack);
        let content = file(&mut files, &path);
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let verified = verify(&packed(files, false), Some(key));
        let is_named = |flaw: &PackFlaw| flaw.file.as_deref() == Some(path.as_str());
        // A hash that was changed in the manifest tells against the file that it is of.
        let is_manifest = path == name::MANIFEST && !verified.flaws.is_empty();
        assert!(is_manifest || names(&verified, is_named), "{path}: {}", told(&verified));

        let mut files = files_of(&pack);
        files.retain(|(name, _)| *name != path);
        let verified = verify(&packed(files, false), Some(key));
        assert!(names(&verified, is_named), "{path} removed: {}", told(&verified));
    }
    let mut files = files_of(&pack);
    files.push(("rows/more.csv".to_owned(), b"a".to_vec()));
    let verified = verify(&packed(files, false), Some(key));
    let is_named = |flaw: &PackFlaw| flaw.file.as_deref() == Some("rows/more.csv");
    assert!(names(&verified, is_named), "{}", told(&verified));
}

#[tokio::test]
async fn each_file_that_is_changed_is_named_also_with_its_hash_made_right() {
    let (made, pack) = pack_of_sponsor().await;
    let replace = |path: &'static str, from: &'static str, to: &'static str| {
        let pack = changed(&pack, |files| {
            let content = file(files, path);
            let text = String::from_utf8(content.clone()).unwrap();
            assert!(text.contains(from), "{path} has {from}");
            *content = text.replacen(from, to, 1).into_bytes();
        });
        let verified = verify(&pack, Some(made.key.public()));
        // Where two files say different things, the figures are named.
        let is_named = |flaw: &PackFlaw| {
            let file = flaw.file.as_deref();
            file == Some(path) || (path == name::MANIFEST && file == Some(name::FACTS))
        };
        assert!(names(&verified, is_named), "{path}: {}", told(&verified));
        verified
    };

    replace("report.html", "s.meyer", "a.khan");
    replace("README.txt", "s.meyer", "a.khan");
    let pdf = changed(&pack, |files| {
        let other = pdf::pdf("<title>Another</title><body><p>Nothing was done.</p></body>");
        *file(files, name::REPORT_PDF) = other;
    });
    let verified = verify(&pdf, Some(made.key.public()));
    let of_pdf = |flaw: &PackFlaw| flaw.file.as_deref() == Some(name::REPORT_PDF);
    assert!(names(&verified, of_pdf), "{}", told(&verified));
    replace("queries.sql", "s.meyer", "a.khan");
    replace("facts.json", "\"events\": 5", "\"events\": 4");
    replace("facts.json", "\"0.30\"", "\"0.29\"");
    replace("facts.json", "\"rejects\": 1", "\"rejects\": 0");
    replace("facts.json", "\"unsealed\": 0", "\"unsealed\": 1");
    replace("manifest.json", "2026-04-01", "2026-05-01");
    replace("manifest.json", "s.meyer", "a.khan");
    let jsonl = replace("rows/events.jsonl", "order.approve", "order.reads");
    assert!(names(&jsonl, |flaw| flaw.row == Some(1)), "{}", told(&jsonl));
    let csv = replace("rows/events.csv", "0.20", "0.30");
    assert!(names(&csv, |flaw| flaw.row.is_some()), "{}", told(&csv));
    replace("rows/findings.csv", "block", "review");
    replace("rows/registry.jsonl", "Sabine", "Sabina");
    replace("proofs.jsonl", "\"records\":", "\"records\":1");
    let seals = replace("seals.jsonl", "version ", "version 1");
    assert!(names(&seals, |flaw| flaw.seal == Some(0)), "{}", told(&seals));
}

#[tokio::test]
async fn a_row_that_is_changed_removed_or_added_is_named() {
    let (made, pack) = pack_of_sponsor().await;
    let key = made.key.public();
    let rows_of = |change: &dyn Fn(&RecordBatch) -> RecordBatch| {
        let pack = changed(&pack, |files| {
            let rows = events_of(files);
            put_events(files, &change(&rows));
        });
        verify(&pack, Some(key))
    };
    let parts = |rows: &RecordBatch, parts: &[(usize, usize)]| {
        let parts: Vec<RecordBatch> =
            parts.iter().map(|(start, length)| rows.slice(*start, *length)).collect();
        concat_batches(&rows.schema(), &parts).unwrap()
    };

    let changed_row = rows_of(&|rows| made_lake::with_action(rows, 2, "order.read"));
    let is_named = |flaw: &PackFlaw| {
        flaw.file.as_deref() == Some("rows/events.parquet")
            && flaw.row == Some(3)
            && flaw.record.is_some()
            && flaw.seal.is_some()
    };
    assert!(names(&changed_row, is_named), "{}", told(&changed_row));
    assert_eq!(changed_row.proven, 4, "the others are still proven");

    let removed = rows_of(&|rows| parts(rows, &[(0, 2), (3, 2)]));
    let is_named =
        |flaw: &PackFlaw| flaw.row == Some(3) && flaw.what.contains("before it is missing");
    assert!(names(&removed, is_named), "{}", told(&removed));
    assert_eq!(removed.proven, 4);

    let last_removed = rows_of(&|rows| parts(rows, &[(0, 4)]));
    let is_named =
        |flaw: &PackFlaw| flaw.seal.is_some() && flaw.what.contains("missing at the end");
    assert!(names(&last_removed, is_named), "{}", told(&last_removed));

    let added = rows_of(&|rows| {
        let more = made_lake::with_action(&rows.slice(0, 1), 0, "order.read");
        concat_batches(&rows.schema(), &[rows.slice(0, 2), more, rows.slice(2, 3)]).unwrap()
    });
    assert!(names(&added, |flaw| flaw.row == Some(3)), "{}", told(&added));
    assert_eq!(added.proven, 5, "{}", told(&added));

    let added_last = rows_of(&|rows| parts(rows, &[(0, 5), (0, 1)]));
    let is_named = |flaw: &PackFlaw| flaw.row == Some(6) && flaw.what == "it is in no proof";
    assert!(names(&added_last, is_named), "{}", told(&added_last));

    let swapped = rows_of(&|rows| parts(rows, &[(1, 1), (0, 1), (2, 3)]));
    assert!(names(&swapped, |flaw| flaw.row.is_some()), "{}", told(&swapped));
}

#[tokio::test]
async fn a_proof_that_is_swapped_left_out_or_forged_is_named() {
    let (made, pack) = pack_of_sponsor().await;
    let proofs_of_change = |change: &dyn Fn(&mut Vec<SealProof>)| {
        let pack = changed(&pack, |files| {
            let mut proofs = proofs_of(files);
            change(&mut proofs);
            put_lines(files, name::PROOFS, &proofs);
        });
        verify(&pack, Some(made.key.public()))
    };
    let is_named =
        |flaw: &PackFlaw| flaw.file.as_deref() == Some(name::PROOFS) && flaw.seal.is_some();

    let swapped = proofs_of_change(&|proofs| {
        let nodes = proofs[0].nodes.clone();
        proofs[0].nodes = proofs[1].nodes.clone();
        proofs[1].nodes = nodes;
    });
    assert!(names(&swapped, is_named), "{}", told(&swapped));
    let other_seal = proofs_of_change(&|proofs| proofs[0].seal = 1);
    assert!(names(&other_seal, is_named), "{}", told(&other_seal));
    let no_seal = proofs_of_change(&|proofs| proofs[0].seal = 77);
    assert!(names(&no_seal, is_named), "{}", told(&no_seal));
    let order = proofs_of_change(&|proofs| proofs.reverse());
    assert!(names(&order, is_named), "{}", told(&order));
    let forged = proofs_of_change(&|proofs| proofs[0].rows[0].1 = "0".repeat(64));
    assert!(names(&forged, is_named), "{}", told(&forged));
    let left_out = proofs_of_change(&|proofs| {
        proofs.remove(0);
    });
    assert!(names(&left_out, |flaw| flaw.row.is_some()), "{}", told(&left_out));
}

#[tokio::test]
async fn a_seal_that_is_removed_forged_or_of_another_key_is_named() {
    let (made, pack) = pack_of_sponsor().await;
    let links_of_change = |change: &dyn Fn(&mut Vec<Link>)| {
        changed(&pack, |files| {
            let text = file(files, name::CHAIN).clone();
            let links = serde_json::Deserializer::from_slice(&text).into_iter::<Link>();
            let mut links: Vec<Link> = links.map(Result::unwrap).collect();
            change(&mut links);
            put_lines(files, name::CHAIN, &links);
        })
    };
    let key = Some(made.key.public());

    let middle = verify(&links_of_change(&|links| drop(links.remove(1))), key);
    assert!(names(&middle, |flaw| flaw.seal == Some(2)), "{}", told(&middle));
    let newest = verify(&links_of_change(&|links| drop(links.pop())), key);
    let is_named = |flaw: &PackFlaw| flaw.file.as_deref() == Some(name::MANIFEST);
    assert!(names(&newest, is_named), "{}", told(&newest));

    let other = SealKey::new("surety", &[9; 32]).unwrap();
    let replaced = changed(&pack, |files| {
        *file(files, name::KEY) = format!("{}\n", other.public()).into_bytes();
    });
    let is_key = |flaw: &PackFlaw| flaw.file.as_deref() == Some(name::KEY);
    assert!(names(&verify(&replaced, key), is_key));
    let own = verify(&replaced, None);
    assert!(names(&own, |flaw| flaw.file.as_deref() == Some(name::CHAIN)), "{}", told(&own));
    let foreign = verify(&pack, Some(other.public()));
    assert!(names(&foreign, is_key), "{}", told(&foreign));
    assert_eq!(foreign.proven, 0);
}

#[tokio::test]
async fn a_seal_that_was_kept_elsewhere_must_be_among_the_seals() {
    let (made, pack) = pack_of_sponsor().await;
    let kept = made.lake.newest_seal().await.unwrap().unwrap().note;
    let scope = |head: &str| PackScope { key: None, head: Some(head.to_owned()) };

    let known = verify_pack(file_of(&pack), &scope(&kept), |_, _| ());
    let unknown = verify_pack(file_of(&pack), &scope("another"), |_, _| ());

    assert!(known.is_intact(), "{}", told(&known));
    assert!(names(&unknown, |flaw| flaw.what.contains("was kept")), "{}", told(&unknown));
}

#[tokio::test]
async fn rows_without_a_seal_are_told_and_not_called_proven() {
    let made = MadeLake::new().await;
    made.commit_unsealed().await;

    let (pack, written) = pack_of(&made, Subject::Sponsor { id: "s.meyer".to_owned() }).await;
    let verified = verify(&pack, Some(made.key.public()));

    assert_eq!((written.rows, written.unsealed), (6, 1));
    assert_eq!(told(&verified), "");
    assert_eq!((verified.proven, verified.unsealed), (5, 1));
    assert!(!verified.is_intact());
}

#[tokio::test]
async fn a_lake_that_is_not_as_it_was_sealed_gives_no_pack() {
    let made = MadeLake::new().await;
    made.forge_a_reject().await;
    let request = Request {
        subject: Subject::Sponsor { id: "s.meyer".to_owned() },
        from: time("2026-03-01T00:00:00Z"),
        to: time("2026-04-01T00:00:00Z"),
        key: made.key.public().clone(),
    };

    let error = write_report(&made.lake, &request, &mut Vec::new(), |_, _| ()).await.unwrap_err();

    assert!(matches!(error, ReportError::Broken { seal: 1, .. }), "{error}");
}

#[tokio::test]
async fn no_bit_of_a_pack_can_be_turned() {
    let (made, pack) = pack_of_sponsor().await;
    let wanted = files_of(&pack);

    // An odd step: every part of the pack is met, and every bit of a byte.
    for at in (0..pack.len() * 8).step_by((pack.len() * 8 / 100) | 1) {
        let mut turned = pack.clone();
        turned[at / 8] ^= 1 << (at % 8);
        let verified = verify(&turned, Some(made.key.public()));
        // The last byte of what is deflated has bits that say nothing.
        let is_same =
            || zip::Archive::open(file_of(&turned)).is_ok() && files_of(&turned) == wanted;
        assert!(!verified.is_intact() || is_same(), "bit {} of byte {}", at % 8, at / 8);
    }
}
