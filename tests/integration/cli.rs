//! Arguments, configuration errors, exit codes, messages.

use std::fs;

use tempfile::TempDir;

use crate::process::{surety, surety_json, text};

#[test]
fn help_names_every_command_and_shows_examples() {
    let folder = TempDir::new().unwrap();
    let help = text(&surety(folder.path(), &["--help"]).stdout);

    for command in [
        "demo",
        "run",
        "replay",
        "normalize",
        "rejects",
        "sql",
        "trace",
        "agents",
        "unmix",
        "posture",
        "report",
        "registry",
        "simulate",
        "bench",
        "config",
    ] {
        assert!(help.contains(&format!("\n  {command}")), "{command}: {help}");
        let own = surety(folder.path(), &[command, "--help"]);
        assert!(own.status.success());
        let own = text(&own.stdout);
        let has_parts = own.contains("Commands:");
        assert!(own.contains("Examples:") || has_parts, "{command}: {own}");
    }
    assert!(help.contains("Examples:") && help.contains("Exit codes:"));
}

#[test]
fn wrong_arguments_exit_with_64() {
    let folder = TempDir::new().unwrap();

    assert_eq!(surety(folder.path(), &["fly"]).status.code(), Some(64));
    assert_eq!(surety(folder.path(), &["trace"]).status.code(), Some(64));
}

#[test]
fn a_wrong_configuration_exits_with_78_and_names_its_place() {
    let folder = TempDir::new().unwrap();
    for (content, wanted) in [
        ("[batch]\nage-ms-max = 0\n", "surety.toml:2:14: 0 ms is outside 1..=3600000"),
        ("[kafka]\ntopic = \"x\"\n", "surety.toml:2:1: unknown field `topic`"),
        (
            "[kafka.properties]\n\"sasl.pasword\" = \"x\"\n",
            "surety.toml:2:18: Kafka property `sasl.pasword`: is not known",
        ),
        (
            "[[webhooks]]\nname = \"soc\"\nurl = \"https://x.example\"\nsecret = \"whsec_x\"\n",
            "webhook `soc`",
        ),
    ] {
        fs::write(folder.path().join("surety.toml"), content).unwrap();

        let output = surety(folder.path(), &["config", "check"]);

        assert_eq!(output.status.code(), Some(78), "{content}");
        assert!(text(&output.stderr).contains(wanted), "{}", text(&output.stderr));
    }
}

#[test]
fn an_unreachable_broker_exits_with_69_and_says_where_it_looked() {
    let folder = TempDir::new().unwrap();
    // Port 1 of the loopback interface: nothing listens there.
    let config = "[kafka]\nbootstrap-servers = \"127.0.0.1:1\"\n[http]\nlisten = \"\"\n[query]\nlisten = \"\"\n";
    fs::write(folder.path().join("surety.toml"), config).unwrap();

    let output = surety(folder.path(), &["run"]);

    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("127.0.0.1:1"), "{}", text(&output.stderr));
}

#[test]
fn a_wrong_statement_exits_with_65_and_names_its_place() {
    let folder = TempDir::new().unwrap();
    for (statement, wanted) in [
        ("SELECT 1 +\nFROM events", "2:1: "),
        ("SELECT agent FROM events", "agent_id"),
        ("SELECT * FROM evnts", "events"),
        ("DELETE FROM events", "read only"),
        ("COPY events TO 'x.csv'", "read only"),
    ] {
        let output = surety(folder.path(), &["sql", statement]);

        assert_eq!(output.status.code(), Some(65), "{statement}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(wanted), "{statement}: {}", text(&output.stderr));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "asking writes nothing");
}

#[test]
fn an_unknown_event_exits_with_65() {
    let folder = TempDir::new().unwrap();

    let output = surety(folder.path(), &["trace", "evt-none"]);

    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("evt-none"), "{}", text(&output.stderr));
}

#[test]
fn a_registry_is_imported_from_yaml_and_from_a_directory() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let yaml = "- schema: surety.registry_change.v1\n  kind: sponsor\n  sponsor_id: eva\n  \
        active: true\n  valid_from: 2026-01-01T00:00:00Z\n";
    write("people.yaml", yaml);
    write("bad.yaml", &format!("{yaml}- kind: cat\n"));
    let users = r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "Resources": [
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "u-1", "userName": "anna"}]}"#;
    let agent = r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"], "id": "a-1",
        "name": "buyer", "owners": [{"value": "u-1"}], "meta": {"lastModified": "2026-01-01T00:00:00Z"}}"#;
    write("directory.json", &format!("{users}\n{agent}"));

    let refused = surety(folder.path(), &["registry", "import", "bad.yaml"]);
    let people = surety(folder.path(), &["registry", "import", "people.yaml"]);
    let said =
        surety(folder.path(), &["registry", "import", "directory.json", "--file-format", "json"]);
    let directory =
        surety_json(folder.path(), &["registry", "import", "directory.json", "--format", "json"]);

    assert_eq!(refused.status.code(), Some(65));
    assert!(text(&refused.stderr).contains("bad.yaml:6"), "{}", text(&refused.stderr));
    assert!(people.status.success(), "{}", text(&people.stderr));
    assert_eq!(said.status.code(), Some(65), "resources are no changes");
    assert_eq!((&directory["changes"], &directory["new"]), (&2.into(), &2.into()), "{directory}");
    let rows = surety_json(
        folder.path(),
        &["sql", "SELECT change FROM registry_changes WHERE kind = 'agent'", "--format", "json"],
    );
    assert!(rows[0]["change"].as_str().unwrap().contains("\"sponsor_id\":\"anna\""), "{rows}");
}

#[test]
fn a_registry_is_imported_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let example = include_str!("../../schemas/json/registry_change.v1.example.json");
    fs::write(folder.path().join("good.json"), example).unwrap();
    let bad = "{\"schema\":\"surety.registry_change.v1\",\"kind\":\"sponsor\",\"sponsor_id\":\"a\",\"active\":true,\"valid_from\":\"2026-01-01T00:00:00Z\"}\n{\"kind\":\"cat\"}\n";
    fs::write(folder.path().join("bad.jsonl"), bad).unwrap();

    let refused = surety(folder.path(), &["registry", "import", "bad.jsonl"]);
    let imported = surety(folder.path(), &["registry", "import", "good.json"]);
    let again = surety(folder.path(), &["registry", "import", "good.json"]);

    assert_eq!(refused.status.code(), Some(65));
    assert!(text(&refused.stderr).contains("bad.jsonl:2"), "{}", text(&refused.stderr));
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    assert!(again.status.success());
    let rows = surety_json(
        folder.path(),
        &["sql", "SELECT count(*) AS n FROM registry_changes", "--format", "json"],
    );
    assert_eq!(rows[0]["n"], 11);
}
