//! A lake in an object store: a local server that speaks S3 (moto, from `PyPI`), real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::exactly_once::setting;
use crate::process::{
    A_MONDAY, COMMITS_LOGGED, Running, command, logged_us, measured, not_run, p99_ms, surety, text,
    tried,
};
use crate::slow_store::SlowStore;

pub(crate) const LAKE: &str = "s3://lake/surety";
/// Tries to reach the server, and the pause between them.
const REACH: (u32, Duration) = (200, Duration::from_millis(100));

/// An S3 server with one empty bucket. It ends with the test.
pub(crate) struct Store {
    pub(crate) address: SocketAddr,
    _server: Running,
}

impl Store {
    /// `None`, said aloud, where it is not installed; `make test` installs it.
    pub(crate) fn start() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
        let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
            not_run(
                "a lake in an object store: SURETY_TEST_PYTHON is not set, `make test` sets it",
            );
            return None;
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python that make test made can be started");
        let store = Self { address, _server: Running(server) };
        store.make_bucket();
        Some(store)
    }

    fn make_bucket(&self) {
        let connect = || TcpStream::connect(self.address);
        let mut stream = connect();
        for _ in 0..REACH.0 {
            if stream.is_ok() {
                break;
            }
            sleep(REACH.1);
            stream = connect();
        }
        let mut stream = stream.expect("the server listens within 20 s");
        let request = "PUT /lake HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        command_at(self.address, folder, arguments)
    }

    /// Runs it to its end, which must be good.
    pub(crate) fn answer(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.command(folder, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

/// The binary, told where a store is as one tells any program that speaks S3.
pub(crate) fn command_at(address: SocketAddr, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command
        .env("AWS_ENDPOINT", format!("http://{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    command
}

#[test]
fn writers_at_once_store_each_record_once_in_an_object_store() {
    let Some(store) = Store::start() else { return };
    let folder = TempDir::new().unwrap();
    let made = surety(folder.path(), &[&A_MONDAY[..], &["--out", "uses.jsonl"]].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let records =
        std::fs::read_to_string(folder.path().join("uses.jsonl")).unwrap().lines().count();
    let replay = ["replay", "uses.jsonl", "--lake", LAKE];

    let writers: Vec<_> = (0..setting("SURETY_TEST_WRITERS", 3))
        .map(|_| {
            let mut command = store.command(folder.path(), &replay);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        // One that was overtaken again and again gives up, and says so.
        assert!(matches!(output.status.code(), Some(0 | 69)), "{}", text(&output.stderr));
    }
    store.answer(folder.path(), &replay);

    let statement = "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS d FROM events";
    let rows = store.answer(folder.path(), &["sql", statement, "--lake", LAKE, "--format", "csv"]);
    assert_eq!(rows.lines().last(), Some(format!("{records},{records}").as_str()));
    let witness = "[[seal.witnesses]]\nname = 'bucket'\nurl = 's3://lake/heads'\n";
    std::fs::write(folder.path().join("surety.toml"), witness).unwrap();
    for _ in 0..2 {
        store.answer(folder.path(), &["seal", "publish", "--lake", LAKE]);
    }
    let verified = store.answer(folder.path(), &["verify", LAKE, "--witness", "bucket"]);
    assert!(verified.contains("\nintact"), "{verified}");
}

/// Two records for each commit: while one is under way, two are buffered and no more.
fn write_records(path: &Path, writer: u64, commits: u64) {
    let mut lines = String::new();
    for number in 0..2 * commits {
        let event = serde_json::json!({
            "schema": "surety.credential_event.v1", "time": "2026-03-02T10:00:00Z",
            "agent_id": format!("agent-{writer}"), "credential_id": format!("key-{writer}"),
            "credential_kind": "static_key", "action": "order.read", "outcome": "success",
            "counterparty_id": "vendor-1", "session_id": format!("{writer}-{number}"),
        });
        lines += &event.to_string();
        lines.push('\n');
    }
    std::fs::write(path, lines).unwrap();
}

#[test]
fn many_writers_through_a_slow_and_failing_store_lose_and_double_nothing() {
    const NAME: &str = "many_writers_through_a_slow_and_failing_store_lose_and_double_nothing";
    let Some(store) = Store::start() else { return };
    let (writers, commits) =
        (setting("SURETY_TEST_WRITERS", 3), setting("SURETY_TEST_STORE_COMMITS", 4));
    let seed = setting("SURETY_TEST_SEED", u64::from(std::process::id()));
    let latency_ms = setting("SURETY_TEST_LATENCY_MS", 50);
    let slow = SlowStore::before(store.address, latency_ms / 10..latency_ms, seed);
    let folder = TempDir::new().unwrap();
    let config = "[batch]\nrecords-max = 1\nrows-max = 1\nage-ms-max = 3600000\n\
                  [lake]\noptions = { timeout = \"3s\" }\n";
    std::fs::write(folder.path().join("surety.toml"), config).unwrap();

    let running: Vec<_> = (0..writers)
        .map(|writer| {
            let name = format!("{writer}.jsonl");
            write_records(&folder.path().join(&name), writer, commits);
            let arguments =
                ["replay", &name, "--lake", LAKE, "--output", "json", "--log", COMMITS_LOGGED];
            let mut command = command_at(slow.address, folder.path(), &arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let (mut committed, mut commits_us, mut seals_us) = (0, Vec::new(), Vec::new());
    for writer in running {
        let output = writer.wait_with_output().unwrap();
        let log = text(&output.stderr);
        assert!(output.status.success(), "replay with SURETY_TEST_SEED={seed}: {log}");
        assert!(!log.contains("the lake cannot be used"), "a commit failed: {log}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(commits <= told["commits"].as_u64().unwrap(), "{told}");
        committed += told["commits"].as_u64().unwrap();
        commits_us.extend(logged_us(&log, "commit_us"));
        seals_us.extend(logged_us(&log, "seal_us"));
    }

    assert_eq!(commits_us.len() as u64, committed, "each commit is logged");
    assert!(0 < slow.failed(), "nothing failed of {} requests", slow.requests());
    let statement = "SELECT topic, count(*) AS n, count(DISTINCT kafka_offset) AS places, \
                     max(kafka_offset) AS last FROM events GROUP BY topic";
    let rows = store.answer(folder.path(), &["sql", statement, "--lake", LAKE, "--format", "csv"]);
    let whole = format!(",{0},{0},{1}", 2 * commits, 2 * commits - 1);
    assert_eq!(rows.lines().filter(|row| row.ends_with(&whole)).count() as u64, writers, "{rows}");
    assert_eq!(rows.lines().count() as u64, writers + 1, "{rows}");
    // Whoever comes next seals what a worker left unsealed at its end.
    let last = ["replay", "0.jsonl", "--lake", LAKE];
    assert!(store.answer(folder.path(), &last).contains("in the lake already"));
    let verified = store.answer(folder.path(), &["verify", LAKE]);
    assert!(verified.contains("\nintact"), "{verified}");
    measured(&format!(
        "{writers} writers, {committed} commits, {} requests of which {} failed ({}): p99 of a commit \
         {} ms, of its seal {} ms",
        slow.requests(),
        slow.failed(),
        slow.kinds(),
        p99_ms(commits_us),
        p99_ms(seals_us)
    ));
    tried(NAME, committed);
}
