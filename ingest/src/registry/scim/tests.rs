//! A directory as SCIM writes it, and what the registry learns from it.

use std::path::Path;

use schemas::{CredentialKind, Fact, RegistryChange, Timestamp};
use serde_json::{Value, json};

use super::super::{BadLine, RegistryFile, RegistryFormat, parse};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn read(text: &str) -> Result<RegistryFile, Vec<BadLine>> {
    parse(text.as_bytes(), Path::new("directory.json"), None, time("2026-03-01T00:00:00Z"))
}

fn facts(text: &str) -> Vec<Fact> {
    read(text).unwrap().changes.into_iter().map(|change| change.fact).collect()
}

fn bad(text: &str) -> Vec<(u64, String)> {
    read(text).unwrap_err().into_iter().map(|bad| (bad.line, bad.detail)).collect()
}

fn anna() -> Value {
    json!({
        "schemas": [USER, ENTERPRISE], "id": "2819c223", "userName": "anna.keller@example.com",
        "name": {"formatted": "Anna Keller", "familyName": "Keller"}, "active": true,
        "password": "hunter2",
        "meta": {"resourceType": "User", "created": "2024-01-01T00:00:00Z",
            "lastModified": "2025-05-13T04:42:34Z"},
        (ENTERPRISE): {"department": "Purchasing", "manager": {"value": "26118915",
            "$ref": "../Users/26118915", "displayName": "Eva Brandt"}},
    })
}

fn eva() -> Value {
    json!({"schemas": [USER], "id": "26118915", "userName": "eva.brandt@example.com", "active": "False"})
}

fn buyer() -> Value {
    json!({
        "schemas": [AGENT], "id": "a-1", "name": "procurement-agent-3",
        "displayName": "Procurement", "type": "procurement", "active": true,
        "owners": [{"value": "2819c223", "$ref": "https://example.com/v2/Users/2819c223"}],
        "oAuthClientIdentifiers": [
            {"clientId": "client-buyer", "issuer": "https://idp.example.com"}, {"clientId": "client-erp"}],
        "entitlements": [{"value": "orders"}], "meta": {"lastModified": "2025-06-01T00:00:00Z"},
    })
}

fn child() -> Value {
    json!({"schemas": [AGENT], "id": "a-2", "name": "procurement-sub",
        "parent": {"$ref": "https://example.com/v2/Agents/a-1"},
        "oAuthClientIdentifiers": [{"clientId": "client-erp"}],
        "meta": {"lastModified": "2025-07-01T00:00:00Z"}})
}

fn list(resources: &[Value]) -> Value {
    json!({"schemas": [LIST], "totalResults": resources.len(), "Resources": resources})
}

#[test]
fn a_list_of_users_and_agents_is_what_the_registry_needs() {
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "g",
        "displayName": "Buyers"});
    let text = list(&[anna(), eva(), buyer(), child(), group]).to_string();

    let file = read(&text).unwrap();

    assert_eq!(file.passed_over, 1);
    let told: Vec<Value> = file
        .changes
        .iter()
        .map(|change| {
            let mut told = serde_json::to_value(change).unwrap();
            let fields = told.as_object_mut().unwrap();
            fields.retain(|name, _| name != "schema" && name != "recorded_at");
            told
        })
        .collect();
    let wanted = [
        json!({"kind": "sponsor", "sponsor_id": "anna.keller@example.com", "name": "Anna Keller",
            "unit": "Purchasing", "active": true, "manager_id": "eva.brandt@example.com",
            "valid_from": "2025-05-13T04:42:34.000000Z", "evidence": "directory.json:1 Resources[0]"}),
        json!({"kind": "sponsor", "sponsor_id": "eva.brandt@example.com", "active": false,
            "valid_from": "2026-03-01T00:00:00.000000Z", "evidence": "directory.json:1 Resources[1]"}),
        json!({"kind": "agent", "agent_id": "procurement-agent-3", "agent_class": "procurement",
            "sponsor_id": "anna.keller@example.com", "valid_from": "2025-06-01T00:00:00.000000Z",
            "evidence": "directory.json:1 Resources[2]"}),
        json!({"kind": "agent", "agent_id": "procurement-sub", "valid_from": "2025-07-01T00:00:00.000000Z",
            "evidence": "directory.json:1 Resources[3]"}),
        json!({"kind": "delegation", "agent_id": "procurement-sub",
            "parent_agent_id": "procurement-agent-3", "valid_from": "2025-07-01T00:00:00.000000Z",
            "evidence": "directory.json:1 Resources[3]"}),
        json!({"kind": "credential", "credential_id": "client-buyer",
            "credential_kind": "access_token", "agent_ids": ["procurement-agent-3"],
            "valid_from": "2025-06-01T00:00:00.000000Z", "evidence": "directory.json:1 Resources[2]"}),
        json!({"kind": "credential", "credential_id": "client-erp", "credential_kind": "access_token",
            "agent_ids": ["procurement-agent-3", "procurement-sub"],
            "valid_from": "2025-07-01T00:00:00.000000Z", "evidence": "directory.json:1 Resources[3]"}),
    ];
    assert_eq!(told, wanted);
    assert!(!serde_json::to_string(&file.changes).unwrap().contains("hunter2"));
}

#[test]
fn lists_pages_and_lines_of_resources_tell_the_same() {
    let all = [anna(), eva(), buyer(), child()];
    let lines: Vec<String> = all.iter().map(Value::to_string).collect();
    let pages = [list(&all[..2]), list(&all[2..])].map(|page| format!("{page:#}")).join("\n");
    let whole = facts(&list(&all).to_string());

    assert_eq!(whole.len(), 7);
    assert_eq!(facts(&lines.join("\n")), whole);
    assert_eq!(facts(&format!("[{}]", lines.join(",\n"))), whole);
    assert_eq!(facts(&pages), whole);
    let empty = json!({"schemas": [LIST], "totalResults": 0}).to_string();
    assert_eq!(facts(&empty), []);
}

#[test]
fn an_agent_that_is_no_longer_active_and_what_it_presents_have_ended() {
    let mut ended = buyer();
    ended["active"] = false.into();

    let changes = read(&list(&[anna(), ended, child()]).to_string()).unwrap().changes;

    let of = |kind: &str| -> Vec<&RegistryChange> {
        changes.iter().filter(|change| change.fact.kind() == kind).collect()
    };
    let modified = time("2025-06-01T00:00:00Z");
    let agent = of("agent")[0];
    assert_eq!((agent.valid_from, agent.valid_to), (modified, Some(modified)));
    // The one that it alone presented ended; what is left of the other is the sub-agent's.
    let credentials = of("credential");
    assert_eq!(credentials[0].valid_to, Some(modified));
    assert_eq!(credentials[1].valid_to, None);
    let Fact::Credential { agent_ids, credential_kind: CredentialKind::AccessToken, .. } =
        &credentials[1].fact
    else {
        panic!("{credentials:?}")
    };
    assert_eq!(agent_ids.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["procurement-sub"]);
}

#[test]
fn names_are_found_whatever_their_case_and_ids_of_nobody_in_the_file_stand_for_themselves() {
    let text = json!({"Schemas": [AGENT.to_uppercase()], "ID": "x", "AGENTUSERNAME": "scout",
        "Owners": "u-9", "PARENT": {"value": "a-7"}});

    let found = facts(&text.to_string());

    let wanted = json!([
        {"kind": "agent", "agent_id": "scout", "sponsor_id": "u-9"},
        {"kind": "delegation", "agent_id": "scout", "parent_agent_id": "a-7"},
    ]);
    assert_eq!(serde_json::to_value(found).unwrap(), wanted);
}

#[test]
fn every_resource_that_is_wrong_is_named_and_none_counts() {
    let with = |resource: Value, name: &str, value: Value| {
        let mut resource = resource;
        resource[name] = value;
        resource
    };
    let two = json!([{"value": "2819c223"}, {"value": "26118915"}]);
    let group = json!([{"value": "g", "$ref": "https://example.com/v2/Groups/g"}]);
    let resources = [
        anna(),
        with(eva(), "userName", Value::Null),
        with(buyer(), "owners", two),
        with(buyer(), "owners", group),
        with(buyer(), "oAuthClientIdentifiers", json!([{"name": "x"}])),
        with(buyer(), "active", json!(3)),
        with(buyer(), "meta", json!({"lastModified": "yesterday"})),
        json!({"schemas": [AGENT], "displayName": "hunter2"}),
        json!({"id": "7"}),
        json!(7),
    ];
    let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
    let pretty = format!("{{\"schemas\":[\"{LIST}\"],\n\"Resources\":[\n{}]}}", lines.join(",\n"));

    let found = bad(&pretty);

    assert_eq!(
        found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        (4..=12).collect::<Vec<_>>()
    );
    let details: Vec<&str> = found.iter().map(|(_, detail)| detail.as_str()).collect();
    assert_eq!(details[0], "Resources[1]: wanted `userName`, found none");
    assert_eq!(
        details[1],
        "Resources[2]: wanted one owner, or one who is `primary`, found 2 owners"
    );
    assert_eq!(details[2], "Resources[3]: wanted a User as owner, found a Group");
    assert!(details[3].contains("`clientId`") && details[4].contains("`active`"), "{details:?}");
    assert!(details[5].contains("meta.lastModified") && details[6].contains("`subject`"));
    assert!(details[7].contains("`schemas`"), "{details:?}");
    assert!(!details.join(" ").contains("hunter2"));

    let by_line = format!("{}\n{{\"schemas\": no\n\n{}\n{{", anna(), json!({"schemas": []}));
    assert_eq!(bad(&by_line).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 5]);
}

#[test]
fn the_primary_owner_answers() {
    let mut shared = buyer();
    shared["owners"] = json!([{"value": "26118915"}, {"value": "2819c223", "primary": true}]);

    let found = facts(&list(&[anna(), eva(), shared]).to_string());

    let Fact::Agent { sponsor_id, .. } = &found[2] else { panic!("{found:?}") };
    assert_eq!(sponsor_id.as_ref().unwrap().as_str(), "anna.keller@example.com");
}

#[test]
fn two_of_one_name_and_an_agent_that_owns_are_refused() {
    let mut namesake = buyer();
    namesake["id"] = "a-9".into();
    let mut owned_by_agent = child();
    owned_by_agent["owners"] = json!([{"value": "a-1"}]);

    let found = bad(&list(&[buyer(), namesake, owned_by_agent, buyer()]).to_string());

    let details: Vec<&str> = found.iter().map(|(_, detail)| detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "Resources[1]: wanted a name of its own, found that of another Agent",
            "Resources[2]: wanted a User who answers, found an Agent",
        ]
    );
}

#[test]
fn the_content_tells_scim_from_changes_and_the_format_can_be_said() {
    let path = Path::new("f");
    for text in [list(&[anna()]).to_string(), anna().to_string(), format!("[ {}]", anna())] {
        assert_eq!(RegistryFormat::of(path, &text), RegistryFormat::Scim, "{text}");
    }
    let broken = format!("{{\"schemas\": [\"{LIST}\"], \"Resources\": [{{]}}");
    assert_eq!(RegistryFormat::of(path, &broken), RegistryFormat::Scim);
    assert_eq!(bad(&broken)[0].0, 1);
    for (text, name, wanted) in [
        ("[]", "f", RegistryFormat::Json),
        ("{\"schema\": \"surety.registry_change.v1\"}", "f", RegistryFormat::Json),
        ("kind,valid_from\n", "f.txt", RegistryFormat::Csv),
        ("kind: sponsor\n", "f.YML", RegistryFormat::Yaml),
        ("- kind: sponsor\n", "f", RegistryFormat::Yaml),
        ("---\nkind: sponsor\n", "f", RegistryFormat::Yaml),
    ] {
        assert_eq!(RegistryFormat::of(Path::new(name), text), wanted, "{text}");
    }
    let now = time("2026-03-01T00:00:00Z");
    let said = parse(b"[]", path, Some(RegistryFormat::Csv), now).unwrap_err();
    assert!(said[0].detail.contains("header"), "{said:?}");
}
