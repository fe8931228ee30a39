//! What goes wrong around the process: a full disk, a missing topic, a broker that goes away.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::kafka::Kafka;
use crate::process::{sql, surety, surety_json, text};

#[test]
fn a_missing_topic_exits_with_69_and_is_named() {
    let kafka = Kafka::start();
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[kafka]\nbootstrap-servers = \"{}\"\ntopics = [{{ name = \"absent-topic\", format = \"native\" }}]\n[http]\nlisten = \"\"\n",
        kafka.bootstrap()
    );
    fs::write(folder.path().join("surety.toml"), config).unwrap();

    let output = surety(folder.path(), &["run"]);

    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("absent-topic"), "{}", text(&output.stderr));
}

/// A small file system of its own, unmounted at the end; `None`, said aloud, without the right to it.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        if !mount(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], folder.path()) {
            eprintln!("NOT RUN: a small file system needs the right to mount one");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "a file system stays mounted");
    }
}

fn mount(options: &[&str], folder: &Path) -> bool {
    let mounted = Command::new("mount").args(options).arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_stops_with_a_clear_error_and_loses_nothing() {
    let Some(disk) = SmallDisk::new() else { return };
    let folder = TempDir::new().unwrap();
    let simulated = [
        "simulate",
        "--agents",
        "100",
        "--days",
        "10",
        "--start",
        "2026-03-02T00:00:00Z",
        "--out",
        "uses.jsonl",
    ];
    assert!(surety(folder.path(), &simulated).status.success());
    fs::write(folder.path().join("surety.toml"), "[batch]\nrows-max = 4000\n").unwrap();
    let lake = disk.0.path().join("lake");
    let lake = lake.to_str().unwrap();

    let full = surety(folder.path(), &["replay", "uses.jsonl", "--lake", lake]);
    let stored = sql(
        folder.path(),
        lake,
        "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS places FROM events",
    );
    assert!(mount(&["-o", "remount,size=300m"], disk.0.path()));
    let rest =
        surety_json(folder.path(), &["replay", "uses.jsonl", "--lake", lake, "--output", "json"]);

    assert_eq!(full.status.code(), Some(69), "{}", text(&full.stderr));
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    let before = stored[0]["n"].as_u64().unwrap();
    assert_eq!(stored[0]["n"], stored[0]["places"]);
    let after = sql(
        folder.path(),
        lake,
        "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS places FROM events",
    );
    let lines =
        fs::read_to_string(folder.path().join("uses.jsonl")).unwrap().lines().count() as u64;
    assert_eq!(after[0]["n"], lines);
    assert_eq!(after[0]["places"], lines);
    assert_eq!(rest["records"].as_u64().unwrap(), lines - before);
}
