//! Running the binary under test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The binary that Cargo built for this test.
pub(crate) const SURETY: &str = env!("CARGO_BIN_EXE_surety");

/// A day of a small company. The day is a fixed one, because a company does less on a Saturday.
pub(crate) const A_MONDAY: [&str; 7] =
    ["simulate", "--agents", "20", "--days", "1", "--start", "2026-03-02T00:00:00Z"];

/// The binary with these arguments, in an empty folder, so that no configuration of ours is found.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(SURETY);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn surety(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the binary can be started")
}

/// So many days of a small company, the last with a fraud, as `uses.jsonl`.
pub(crate) fn simulate_fraud(folder: &Path, agents: u32, days: u64) {
    simulate_fraud_to(folder, agents, days, &["--out", "uses.jsonl"]);
}

/// The same, to where further arguments say.
pub(crate) fn simulate_fraud_to(folder: &Path, agents: u32, days: u64, to: &[&str]) {
    let (agents, days) = (agents.to_string(), days.to_string());
    let arguments = [
        "simulate",
        "--agents",
        &agents,
        "--days",
        &days,
        "--start",
        "2026-03-02T00:00:00Z",
        "--attack",
        "procurement-fraud",
    ];
    let output = surety(folder, &[&arguments[..], to].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// C's `source` as a library that is loaded before the others; `None`, with what is not tested said aloud,
/// without a C compiler.
pub(crate) fn preloaded(folder: &Path, source: &Path, what: &str) -> Option<PathBuf> {
    let library = folder.join("preloaded.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([library.as_path(), source])
        .output();
    let Ok(output) = built else {
        not_run(&format!("{what}: there is no C compiler"));
        return None;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(library)
}

/// Runs it to its end and reads its answer, which must be JSON and the exit code 0.
pub(crate) fn surety_json(folder: &Path, arguments: &[&str]) -> Value {
    let output = surety(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output.stdout)))
}

/// The rows that a statement answers.
pub(crate) fn sql(folder: &Path, lake: &str, statement: &str) -> Vec<Value> {
    let answer = surety_json(folder, &["sql", statement, "--lake", lake, "--format", "json"]);
    answer.as_array().expect("rows are a JSON array").clone()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tells a person, past the test runner's capture, what this machine could not test.
pub(crate) fn not_run(what: &str) {
    writeln!(std::io::stderr(), "NOT RUN: {what}").expect("stderr takes a line");
}

/// Tells `make faults` how often a test tried.
pub(crate) fn tried(test: &str, tries: u64) {
    writeln!(std::io::stderr(), "TRIES {test} {tries}").expect("stderr takes a line");
}

/// Tells `make faults` what a test measured and does not judge.
pub(crate) fn measured(what: &str) {
    writeln!(std::io::stderr(), "MEASURED: {what}").expect("stderr takes a line");
}

/// What has to be logged for [`logged_us`] to read it.
pub(crate) const COMMITS_LOGGED: &str = "warn,surety::pipeline::settle=debug";

/// How long each commit took by the log, in microseconds: `commit_us` to the lake, `seal_us` to its seal.
pub(crate) fn logged_us(log: &str, name: &str) -> Vec<u64> {
    let is_commit = |line: &&str| line.contains(" committed ");
    let value =
        |line: &str| line.split_once(&format!("{name}="))?.1.split(' ').next()?.parse().ok();
    log.lines().filter(is_commit).map(|line| value(line).unwrap()).collect()
}

/// What 99 of 100 are not above, in milliseconds; 0 of none.
pub(crate) fn p99_ms(mut micros: Vec<u64>) -> u64 {
    micros.sort_unstable();
    let at = (micros.len() * 99).div_ceil(100).saturating_sub(1);
    micros.get(at).map_or(0, |one| one / 1_000)
}

/// The project's folder, in which cargo runs its tests.
pub(crate) fn root() -> PathBuf {
    std::env::current_dir().expect("tests run in it")
}

/// A process that is killed when the test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// SIGKILL: no destructor runs, nothing is flushed.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("the process is ours");
        self.0.wait().expect("it was started by us");
    }

    /// SIGTERM, then waits for its end.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
        assert!(sent.success());
        self.0.wait().expect("it was started by us")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended: there is nothing to kill.
        if let Ok(None) = self.0.try_wait() {
            self.0.kill().expect("the process is ours");
            self.0.wait().expect("it was started by us");
        }
    }
}
