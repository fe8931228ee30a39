//! Another clock, few files, little memory and one core: the answer is the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{SURETY, command, not_run, preloaded, simulate_fraud, sql, text};

/// Nine days of a small company, the last with a fraud.
fn simulated() -> TempDir {
    let folder = TempDir::new().unwrap();
    simulate_fraud(folder.path(), 40, 9);
    fs::write(folder.path().join("surety.toml"), "[batch]\nrows-max = 2000\nage-ms-max = 50\n")
        .unwrap();
    folder
}

/// What was found, and how many events there are.
fn found(folder: &Path, lake: &str) -> (Vec<Value>, Vec<Value>) {
    let findings = "SELECT finding_id, time, detector, severity, agent_id, event_id, score, summary, features \
                    FROM findings ORDER BY finding_id";
    let events =
        "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, max(time) AS last FROM events";
    (sql(folder, lake, findings), sql(folder, lake, events))
}

/// The C library's clock of the day, put on or back by the environment. Clocks that only count are not
/// touched.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long of(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    static long calls;
    int done = syscall(SYS_clock_gettime, id, time);
    if (id != CLOCK_REALTIME) return done;
    long stands = of("CLOCK_STANDS_S"), back_after = of("CLOCK_BACK_AFTER");
    if (stands) {
        time->tv_sec = stands;
        time->tv_nsec = 0;
    }
    time->tv_sec += of("CLOCK_SHIFT_S");
    if (back_after && back_after < __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED)) time->tv_sec -= 3600;
    return done;
}
"#;

/// The clock as a library that is loaded before the others; `None`, said aloud, without a C compiler.
fn clock(folder: &Path) -> Option<PathBuf> {
    let source = folder.join("clock.c");
    fs::write(&source, CLOCK).unwrap();
    preloaded(folder, &source, "another clock")
}

#[test]
fn whatever_the_machines_clock_says_the_findings_are_the_same() {
    let folder = simulated();
    let folder = folder.path();
    let Some(library) = clock(folder) else { return };
    let replay = |lake: &str| command(folder, &["replay", "uses.jsonl", "--lake", lake]);
    assert!(replay("calm").output().unwrap().status.success());
    let wanted = found(folder, "calm");
    assert!(!wanted.0.is_empty(), "the fraud was found");

    let year = 365 * 86_400;
    for (lake, name, value) in [
        ("a-year-behind", "CLOCK_SHIFT_S", -year),
        ("a-year-ahead", "CLOCK_SHIFT_S", year),
        ("standing-still", "CLOCK_STANDS_S", 1_790_000_000),
        ("back-an-hour", "CLOCK_BACK_AFTER", 40),
    ] {
        let mut process = replay(lake);
        let output = process.env("LD_PRELOAD", &library).env(name, value.to_string()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{lake}: {}", text(&output.stderr));
        assert_eq!(found(folder, lake), wanted, "{lake}");
    }
    // The clock was another one indeed.
    let stored = "SELECT CAST(EXTRACT(YEAR FROM min(ingested_at)) AS BIGINT) AS year FROM events";
    let year_of = |lake: &str| sql(folder, lake, stored)[0]["year"].as_i64().unwrap();
    assert_eq!(year_of("a-year-ahead"), year_of("a-year-behind") + 2);
}

/// A group of processes that may have so much memory; `None`, said aloud, without the right to make one.
struct Memory(PathBuf);

impl Memory {
    fn of(bytes: u64) -> Option<Self> {
        let name = format!("surety-test-{}", std::process::id());
        for (root, limit) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let group = Path::new(root).join(&name);
            if fs::create_dir(&group).is_err() {
                continue;
            }
            let group = Self(group);
            let limit = group.0.join(limit);
            if limit.exists() && fs::write(limit, bytes.to_string()).is_ok() {
                return Some(group);
            }
        }
        not_run("little memory: a group of processes needs the right to make one");
        None
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        assert!(
            fs::remove_dir(&self.0).is_ok(),
            "a group of processes stays: {}",
            self.0.display()
        );
    }
}

/// A replay with 256 files at most, on one core, in a group if there is one.
fn confined(folder: &Path, lake: &str, memory: Option<&Memory>) -> Output {
    let join = memory.map_or(String::new(), |group| {
        format!("echo $$ > {}; ", group.0.join("cgroup.procs").display())
    });
    let script = format!(
        "{join}ulimit -n 256; one=; command -v taskset > /dev/null && one='taskset -c 0'; \
         exec $one {SURETY} replay uses.jsonl --lake {lake}"
    );
    Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap()
}

#[test]
fn few_files_little_memory_and_one_core_are_enough() {
    let folder = simulated();
    let folder = folder.path();
    assert!(
        command(folder, &["replay", "uses.jsonl", "--lake", "calm"])
            .output()
            .unwrap()
            .status
            .success()
    );

    let memory = Memory::of(512 << 20);
    let output = confined(folder, "confined", memory.as_ref());

    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    assert_eq!(found(folder, "confined"), found(folder, "calm"));
}
