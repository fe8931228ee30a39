//! S09: what somebody else wrote into an event is text in a report, in a real browser too.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{not_run, surety, text, tried};

const NAME: &str = "a_browser_runs_nothing_that_stands_in_a_report";
/// What a browser would run, each in its own way, if it were markup. It then has another title.
const ATTACKS: [&str; 4] = [
    "<script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\"><svg/onload=\"document.title='taken'\">",
    "</style><body onload=\"document.title='taken'\"><a href=\"javascript:document.title='taken'\">",
];

/// Without a screen, in a container as root too.
const QUIETLY: [&str; 4] =
    ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];

/// Chromium under any of its names, if there is one that opens a page here.
fn browser() -> Option<&'static str> {
    let opens = |name: &&str| {
        let page = "data:text/html,<title>here</title>";
        let output = Command::new(name).args(QUIETLY).args(["--dump-dom", page]).output();
        output.is_ok_and(|output| text(&output.stdout).contains("<title>here</title>"))
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(opens)
}

/// The document as the browser has it after everything that runs has run.
fn rendered(browser: &str, profile: &Path, page: &Path) -> String {
    let output = Command::new(browser)
        .args(QUIETLY)
        .arg("--virtual-time-budget=2000")
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom", &format!("file://{}", page.display())])
        .output()
        .unwrap();
    let document = text(&output.stdout);
    assert!(document.contains("<html"), "{}", text(&output.stderr));
    document
}

fn title(document: &str) -> &str {
    document.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("")
}

/// An event with an attack in every field that takes any text.
fn event(number: usize, attack: &str) -> Value {
    json!({
        "schema": "surety.credential_event.v1", "event_id": format!("evt-{number}"),
        "time": format!("2026-03-02T10:00:{number:02}Z"), "source": attack,
        "agent_id": format!("agent {attack}"), "agent_class": attack, "model": attack,
        "session_id": attack, "task_id": attack, "grant_id": attack,
        "credential_id": format!("key {attack}"), "credential_kind": "static_key",
        "action": attack, "resource": attack, "resource_kind": attack,
        "counterparty_id": attack, "counterparty_kind": "vendor",
        "amount": "9000.00", "currency": "EUR", "outcome": "success",
        "user_agent": attack, "labels": [attack], "attributes": {attack: attack},
    })
}

#[test]
fn a_browser_runs_nothing_that_stands_in_a_report() {
    let Some(browser) = browser() else {
        return not_run("a report in a browser: no chromium here, `make test` installs it");
    };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (mut uses, mut changes) = (String::new(), String::new());
    for (number, attack) in ATTACKS.iter().enumerate() {
        uses.extend([event(number, attack).to_string(), "\n".to_owned()]);
        let change = |fact: Value| {
            let mut change = fact;
            change["schema"] = json!("surety.registry_change.v1");
            change["valid_from"] = json!("2025-01-01T00:00:00Z");
            change["evidence"] = json!(attack);
            format!("{change}\n")
        };
        let sponsor = if number == 0 { "anna".to_owned() } else { format!("s {attack}") };
        changes.push_str(&change(json!({"kind": "sponsor", "sponsor_id": sponsor, "active": true,
            "name": attack, "unit": attack})));
        changes.push_str(&change(json!({"kind": "agent", "agent_id": format!("agent {attack}"),
            "sponsor_id": "anna", "model": "other", "amount_limit": 1})));
    }
    fs::write(path("uses.jsonl"), uses).unwrap();
    fs::write(path("changes.jsonl"), changes).unwrap();
    for arguments in [
        &["registry", "import", "changes.jsonl"][..],
        &["replay", "uses.jsonl", "--format", "native"],
        &[
            "report",
            "sponsor",
            "anna",
            "--from",
            "2026-03-01",
            "--to",
            "2026-03-03",
            "--out",
            "pack.zip",
        ],
    ] {
        let output = surety(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e", "pack.zip", "pack"])
        .current_dir(folder.path())
        .status();
    assert!(unpacked.unwrap().success());

    let shown = rendered(browser, &path("profile"), &path("pack/report.html"));

    assert!(title(&shown).starts_with("What was done in the name of"), "{}", title(&shown));
    assert!(!shown.contains("<script") && !shown.contains("<img"), "{shown}");
    for attack in ATTACKS {
        let literally = attack.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert!(shown.contains(&literally), "not shown: {attack}");
        // That the browser would have run it.
        fs::write(path("raw.html"), format!("<title>x</title><i title=\"{attack}\">{attack}</i>"))
            .unwrap();
        let raw = rendered(browser, &path("profile"), &path("raw.html"));
        assert_eq!(title(&raw), "taken", "{attack}");
    }
    tried(NAME, ATTACKS.len() as u64);
}
