//! Evidence that an outsider checks: our verifier, and one in Python that shares no code with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::kafka::Kafka;
use crate::process::{A_MONDAY, not_run, root, surety, surety_json, text};
use crate::receiver::Receiver;

/// A lake that the binary made of a simulated company, with rejects and a record that holds several, and its
/// public key.
fn sealed_lake() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let simulated = surety(folder.path(), &A_MONDAY);
    assert!(simulated.status.success(), "{}", text(&simulated.stderr));
    let lines = [simulated.stdout.as_slice(), b"not json\n{}\n"].concat();
    fs::write(folder.path().join("day.jsonl"), lines).unwrap();
    surety_json(folder.path(), &["replay", "day.jsonl", "--output", "json"]);
    let day = text(&simulated.stdout);
    let several: Vec<&str> = day.lines().take(3).chain(["{}"]).collect();
    let more = format!("not json either\n[{}]\n{{}}\n", several.join(", "));
    fs::write(folder.path().join("more.jsonl"), more).unwrap();
    surety_json(folder.path(), &["replay", "more.jsonl", "--output", "json"]);
    let key = surety(folder.path(), &["seal", "key"]);
    assert!(key.status.success(), "{}", text(&key.stderr));
    let key = text(&key.stdout).trim().to_owned();
    (folder, key)
}

/// Files of the lake that hold this in their path, in order.
fn files_of(lake: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![lake.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().contains(part) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no file of {part}");
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Files of each kind of evidence.
const KINDS: [&str; 6] = [
    "/events/month=",
    "/events/_delta_log/00000000000000000001.json",
    "/rejects/month=",
    "/rejects/_delta_log/00000000000000000001.json",
    "/seals/part-",
    "/seals/_delta_log/00000000000000000001.json",
];

#[test]
fn verify_finds_a_flipped_bit_in_each_kind_of_file_and_names_it() {
    let (folder, _) = sealed_lake();
    let verify = || surety(folder.path(), &["verify", "surety-data", "--format", "json"]);
    let clean: serde_json::Value = serde_json::from_slice(&verify().stdout).unwrap();
    assert_eq!((&clean["is_intact"], &clean["seals"]), (&true.into(), &2.into()), "{clean}");

    for (number, kind) in KINDS.into_iter().enumerate() {
        let path = files_of(&folder.path().join("surety-data"), kind).remove(0);
        flip(&path, 1_000 + 77 * number);

        let output = verify();

        assert_eq!(output.status.code(), Some(1), "{kind}: {}", text(&output.stderr));
        let answer = text(&output.stdout);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(answer.contains(name) || answer.contains("of entries"), "{kind}: {answer}");
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
        flip(&path, 1_000 + 77 * number);
    }
    assert!(verify().status.success());
}

#[test]
fn a_verifier_that_is_not_ours_agrees() {
    #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
    let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
        not_run("docs/verify.py on a lake: SURETY_TEST_PYTHON is not set, `make test` sets it");
        return;
    };
    let (folder, key) = sealed_lake();
    let lake = folder.path().join("surety-data");
    let head = folder.path().join("head.note");
    fs::write(&head, surety(folder.path(), &["seal", "head"]).stdout).unwrap();
    let verify = |key: &str| -> Output {
        let mut command = Command::new(&python);
        command.arg(root().join("docs/verify.py")).arg(&lake).arg(key);
        command.arg("--head").arg(&head).output().expect("the Python of make test can be started")
    };

    let clean = verify(&key);
    assert!(clean.status.success(), "{}{}", text(&clean.stdout), text(&clean.stderr));
    assert!(text(&clean.stdout).contains("2 seals: intact"), "{}", text(&clean.stdout));

    for (number, kind) in KINDS.into_iter().enumerate() {
        let path = files_of(&lake, kind).remove(0);
        flip(&path, 1_000 + 77 * number);
        let output = verify(&key);
        assert_eq!(output.status.code(), Some(1), "{kind}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("NOT INTACT"), "{kind}: {}", text(&output.stdout));
        flip(&path, 1_000 + 77 * number);
    }
    let dropped = files_of(&lake, "/seals/_delta_log/0000000000000000000").pop().unwrap();
    let bytes = fs::read(&dropped).unwrap();
    fs::remove_file(&dropped).unwrap();
    let output = verify(&key);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    fs::write(&dropped, bytes).unwrap();
    let other = surety(&folder.path().join("surety-data"), &["seal", "key", "--lake", "elsewhere"]);
    let other = verify(text(&other.stdout).trim());
    assert_eq!(other.status.code(), Some(1), "{}", text(&other.stderr));
    assert!(text(&other.stdout).contains("not signed by this key"), "{}", text(&other.stdout));
    assert!(verify(&key).status.success());
}

#[test]
fn a_witness_knows_of_a_lake_that_was_put_back_to_an_earlier_day() {
    let (folder, _) = sealed_lake();
    let configuration = "[[seal.witnesses]]\nname = 'auditor'\nurl = './elsewhere'\n";
    fs::write(folder.path().join("surety.toml"), configuration).unwrap();

    // A disk that is not there is told of, and made by nobody.
    let absent = surety(folder.path(), &["seal", "publish"]);
    assert_eq!(absent.status.code(), Some(69), "{}", text(&absent.stderr));
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    for _ in 0..2 {
        let published = surety(folder.path(), &["seal", "publish"]);
        assert!(published.status.success(), "{}", text(&published.stderr));
    }
    let verify = |witness: &str| surety(folder.path(), &["verify", "--witness", witness]);
    assert!(verify("auditor").status.success());
    assert!(verify("./elsewhere").status.success());

    // Everything that the second replay wrote is taken away.
    let lake = folder.path().join("surety-data");
    for table in ["events", "rejects", "seals"] {
        let newest = format!("/{table}/_delta_log/");
        fs::remove_file(files_of(&lake, &newest).pop().unwrap()).unwrap();
    }
    let alone = surety(folder.path(), &["verify"]);
    assert!(alone.status.success(), "{}", text(&alone.stdout));

    let witnessed = verify("auditor");

    assert_eq!(witnessed.status.code(), Some(1), "{}", text(&witnessed.stdout));
    let answer = text(&witnessed.stdout);
    assert!(answer.contains("seal 1") && answer.contains("witness auditor"), "{answer}");
}

#[test]
fn a_witness_is_told_of_a_head_by_a_signed_request_until_it_has_it() {
    let (folder, _) = sealed_lake();
    let receiver = Receiver::start();
    fs::write(folder.path().join("surety.toml"), receiver.witness()).unwrap();

    // The receiver's first answer is 500.
    let refused = surety(folder.path(), &["seal", "publish"]);
    assert_eq!(refused.status.code(), Some(69), "{}", text(&refused.stderr));
    let taken = surety(folder.path(), &["seal", "publish"]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));

    let tries: Vec<(String, u64)> = receiver.tries().into_iter().collect();
    assert_eq!((tries.len(), tries[0].1), (1, 2), "one head under one id: {tries:?}");
    assert!(tries[0].0.starts_with("seal_"), "{tries:?}");
    let read = surety(folder.path(), &["verify", "--witness", "notary"]);
    assert_eq!(read.status.code(), Some(64), "{}", text(&read.stderr));
}

#[test]
fn a_topic_of_another_kafka_keeps_heads_and_knows_of_a_history_that_was_written_anew() {
    let (folder, _) = sealed_lake();
    let kafka = Kafka::start();
    let topic = kafka.topic("heads", 2);
    let address = format!("kafka://{}/{topic}", kafka.bootstrap());
    let configuration = format!("[[seal.witnesses]]\nname = 'ledger'\nurl = '{address}'\n");
    fs::write(folder.path().join("surety.toml"), configuration).unwrap();
    for _ in 0..2 {
        let published = surety(folder.path(), &["seal", "publish"]);
        assert!(published.status.success(), "{}", text(&published.stderr));
    }
    for named in ["ledger", address.as_str()] {
        let verified = surety(folder.path(), &["verify", "--witness", named]);
        assert!(verified.status.success(), "{}", text(&verified.stdout));
    }
    let lake = folder.path().join("surety-data");
    for table in ["events", "rejects", "seals"] {
        let newest = format!("/{table}/_delta_log/");
        fs::remove_file(files_of(&lake, &newest).pop().unwrap()).unwrap();
    }

    let witnessed = surety(folder.path(), &["verify", "--witness", "ledger"]);

    assert_eq!(witnessed.status.code(), Some(1), "{}", text(&witnessed.stdout));
    assert!(text(&witnessed.stdout).contains("witness ledger"), "{}", text(&witnessed.stdout));
    let absent = address.replace("heads", "absent");
    let absent = surety(folder.path(), &["verify", "--witness", &absent]);
    assert_eq!(absent.status.code(), Some(69), "{}", text(&absent.stderr));
    assert!(text(&absent.stderr).contains("there is no topic"), "{}", text(&absent.stderr));
}

#[test]
fn a_witness_within_the_lake_is_refused_with_its_place() {
    let folder = TempDir::new().unwrap();
    let configuration = "[[seal.witnesses]]\nname = 'inside'\nurl = './surety-data/heads'\n";
    fs::write(folder.path().join("surety.toml"), configuration).unwrap();

    let output = surety(folder.path(), &["config", "check"]);

    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("surety.toml:1:"), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("outside the lake"), "{}", text(&output.stderr));
}
