//! Evidence packs from the outside: reported, verified, tampered with, verified again; and the posture.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{command, not_run, root, sql, surety, surety_json, text};

/// Three days of a small company with its registry and two lines that are no records. Some lines hold
/// several.
fn lake(folder: &Path) {
    let simulated = surety(
        folder,
        &[
            "simulate",
            "--agents",
            "40",
            "--days",
            "3",
            "--start",
            "2026-03-01T00:00:00Z",
            "--registry-out",
            "registry.jsonl",
            "--out",
            "uses.jsonl",
        ],
    );
    assert!(simulated.status.success(), "{}", text(&simulated.stderr));
    let uses = fs::read_to_string(folder.join("uses.jsonl")).unwrap();
    let lines: Vec<&str> = uses.lines().collect();
    let (alone, rest) = lines.split_at(lines.len() / 2);
    let several = rest.chunks(3).map(|some| format!("[{}]", some.join(",")));
    let lines = alone.iter().map(ToString::to_string).chain(several);
    let uses: Vec<String> = lines.chain(["not json".to_owned(), "{}".to_owned()]).collect();
    fs::write(folder.join("uses.jsonl"), uses.join("\n")).unwrap();
    for arguments in [&["registry", "import", "registry.jsonl"][..], &["replay", "uses.jsonl"]] {
        let output = surety(folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
}

/// The sponsor in whose name the most was done.
fn sponsor(folder: &Path) -> String {
    let rows = sql(
        folder,
        "surety-data",
        "SELECT sponsor_id FROM sponsors WHERE sponsor_id IS NOT NULL ORDER BY events DESC, sponsor_id LIMIT 1",
    );
    rows[0]["sponsor_id"].as_str().unwrap().to_owned()
}

fn report(folder: &Path, sponsor: &str, out: &str) -> Value {
    let range = ["--from", "2026-03-01", "--to", "2026-03-03"];
    let mut arguments = vec!["report", "sponsor", sponsor, "--out", out, "--format", "json"];
    arguments.extend(range);
    surety_json(folder, &arguments)
}

fn verified(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = surety(folder, &[&["verify"], arguments, &["--format", "json"]].concat());
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    (output.status.code(), answer)
}

#[test]
fn a_report_is_verified_offline_and_every_tampering_is_named() {
    let folder = TempDir::new().unwrap();
    lake(folder.path());
    let id = sponsor(folder.path());
    let wanted = sql(
        folder.path(),
        "surety-data",
        &format!(
            "SELECT count(*) AS n FROM events WHERE sponsor_id = '{id}' \
             AND time >= '2026-03-01T00:00:00Z' AND time < '2026-03-03T00:00:00Z'"
        ),
    );

    let written = report(folder.path(), &id, "pack.zip");
    let key = text(&surety(folder.path(), &["seal", "key"]).stdout);
    let head = surety(folder.path(), &["seal", "head"]).stdout;
    // Somebody else, elsewhere: no lake, no state, nothing but the pack, the key and a seal.
    let elsewhere = TempDir::new().unwrap();
    fs::copy(folder.path().join("pack.zip"), elsewhere.path().join("pack.zip")).unwrap();
    fs::write(elsewhere.path().join("head.txt"), head).unwrap();
    drop(folder);
    let arguments = ["pack.zip", "--key", key.trim(), "--head", "head.txt"];
    let (code, answer) = verified(elsewhere.path(), &arguments);

    assert!(0 < written["rows"].as_u64().unwrap());
    assert_eq!(written["rows"], wanted[0]["n"]);
    assert_eq!((code, &answer["is_intact"]), (Some(0), &Value::Bool(true)), "{answer}");
    assert_eq!((&answer["rows"], &answer["proven"]), (&written["rows"], &written["rows"]));

    let pack = fs::read(elsewhere.path().join("pack.zip")).unwrap();
    let (_, untouched) = verified(elsewhere.path(), &["pack.zip", "--key", key.trim()]);
    let mut respelled = 0;
    for part in 0..40 {
        let at = pack.len() * part / 40;
        let mut turned = pack.clone();
        turned[at] ^= 1 << (part % 8);
        fs::write(elsewhere.path().join("turned.zip"), turned).unwrap();
        let (code, answer) = verified(elsewhere.path(), &["turned.zip", "--key", key.trim()]);
        // What is compressed has more than one spelling: one bit of 2,000 in the compressed members of such a
        // pack leaves all that is read as it was sealed (47 of 97,959, decompressed and compared).
        if code == Some(0) {
            assert_eq!(answer, untouched, "byte {at}");
            respelled += 1;
            continue;
        }
        assert_eq!(code, Some(1), "byte {at}: {answer}");
        assert!(!answer["flaws"].as_array().unwrap().is_empty(), "byte {at}");
    }
    assert!(respelled < 3, "{respelled} of 40 bits change nothing");
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let (code, answer) = verified(elsewhere.path(), &["pack.zip", "--key", other]);
    assert_eq!((code, &answer["proven"]), (Some(1), &0.into()), "{answer}");
    assert!(answer["flaws"].to_string().contains("key.txt"), "{answer}");
}

#[test]
fn a_verifier_that_is_not_ours_agrees_on_packs() {
    #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
    let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
        not_run("docs/verify_pack.py: SURETY_TEST_PYTHON is not set, `make test` sets it");
        return;
    };
    let folder = TempDir::new().unwrap();
    lake(folder.path());
    let written = report(folder.path(), &sponsor(folder.path()), "pack.zip");
    let key = text(&surety(folder.path(), &["seal", "key"]).stdout);
    let verify = |key: &str| {
        let mut command = std::process::Command::new(&python);
        command.arg(root().join("docs/verify_pack.py")).arg(folder.path().join("pack.zip"));
        command.arg(key).output().expect("the Python of make test can be started")
    };

    let clean = verify(key.trim());
    let foreign = verify("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");

    let wanted = format!("{} rows proven: intact", written["rows"]);
    assert!(
        text(&clean.stdout).contains(&wanted),
        "{}{}",
        text(&clean.stdout),
        text(&clean.stderr)
    );
    assert_eq!(foreign.status.code(), Some(1));
}

#[test]
fn a_pack_is_the_same_in_every_time_zone_and_locale() {
    let folder = TempDir::new().unwrap();
    lake(folder.path());
    let id = sponsor(folder.path());

    let mut packs = Vec::new();
    for (zone, locale) in [("Asia/Tokyo", "tr_TR.UTF-8"), ("America/New_York", "de_DE.UTF-8")] {
        let range = ["--from", "2026-03-01", "--to", "2026-03-03", "--out", "pack.zip"];
        let mut arguments = vec!["report", "sponsor", id.as_str()];
        arguments.extend(range);
        let output = command(folder.path(), &arguments)
            .envs([("TZ", zone), ("LANG", locale), ("LC_ALL", locale)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        packs.push(fs::read(folder.path().join("pack.zip")).unwrap());
    }

    assert!(packs[0] == packs[1], "the packs differ");
}

#[test]
fn a_report_that_cannot_be_made_leaves_nothing_behind_and_says_why() {
    let folder = TempDir::new().unwrap();
    let range = |from: &'static str, to: &'static str| {
        ["report", "coverage", "--from", from, "--to", to, "--out", "pack.zip"]
    };
    let no_key = surety(folder.path(), &range("2026-03-01", "2026-04-01"));
    let key = surety(folder.path(), &["seal", "key"]);
    let no_seal = surety(folder.path(), &range("2026-03-01", "2026-04-01"));
    let backwards = surety(folder.path(), &range("2026-04-01", "2026-03-01"));
    let no_time = surety(folder.path(), &range("march", "2026-03-01"));

    assert!(key.status.success());
    assert_eq!(no_key.status.code(), Some(64));
    assert_eq!(no_seal.status.code(), Some(65));
    assert!(text(&no_seal.stderr).contains("no seal"), "{}", text(&no_seal.stderr));
    assert_eq!(backwards.status.code(), Some(64));
    assert_eq!(no_time.status.code(), Some(64));
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().path()).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("pack")), "{left:?}");
}

#[test]
fn the_posture_of_a_company_is_counted_from_its_lake() {
    let folder = TempDir::new().unwrap();
    lake(folder.path());

    let answer = surety_json(folder.path(), &["posture", "--format", "json"]);
    let told = text(&surety(folder.path(), &["posture"]).stdout);

    let figures = answer["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 7);
    for figure in figures {
        assert!(0 < figure["denominator"].as_u64().unwrap(), "{figure}");
        let again = sql(folder.path(), "surety-data", figure["sql"].as_str().unwrap());
        assert_eq!(again[0]["numerator"], figure["numerator"], "{figure}");
        assert_eq!(again[0]["denominator"], figure["denominator"], "{figure}");
        let name = figure["name"].as_str().unwrap().replace('_', " ");
        assert!(told.contains(&name), "{told}");
    }
}
