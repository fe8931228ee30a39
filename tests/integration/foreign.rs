//! Other people's engines read our tables: Python `deltalake` and `DuckDB`, from `PyPI`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{not_run, root, sql, text};

/// Both engines see in the lake of `folder` what our own SQL sees. Said aloud where they are not
/// installed; `make test` installs them.
pub(crate) fn agrees(folder: &Path) {
    #[expect(clippy::disallowed_methods, reason = "`make test` says where its Python is")]
    let Ok(python) = std::env::var("SURETY_TEST_PYTHON") else {
        not_run("foreign engines on the lake: SURETY_TEST_PYTHON is not set, `make test` sets it");
        return;
    };
    let output = Command::new(python)
        .arg(root().join("tests/integration/foreign_reader.py"))
        .arg(folder.join("surety-data"))
        .output()
        .expect("the Python that make test made can be started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let foreign: Value = serde_json::from_slice(&output.stdout).unwrap();

    let ours = sql(
        folder,
        "surety-data",
        "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, sum(amount) AS amount FROM events",
    );
    for engine in ["deltalake", "duckdb"] {
        let theirs = &foreign[engine];
        assert_eq!(theirs["rows"]["events"], ours[0]["n"], "{engine}");
        assert_eq!(theirs["distinct_event_ids"], ours[0]["ids"], "{engine}");
        assert_eq!(theirs["sum_amount"], ours[0]["amount"], "{engine}");
    }
}
