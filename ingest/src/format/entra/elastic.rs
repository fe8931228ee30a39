//! [`whole`]: a record out of a document that Elastic's integrations for Azure and Microsoft 365 made of it.
//!
//! Invariant: what the record says counts; what the document says beside it counts only where the record says
//! nothing. Lists that became objects are lists again. A document that has the record as it came
//! (`event.original`) is left to who opens envelopes.
//!
//! Source: Elastic, *Azure Logs integration* and *Microsoft Office 365 integration*, ingest pipelines and
//! exported fields.

use super::super::json::Json;

/// Where the record is, and what an integration moved out of it.
const RECORDS: [(&str, Moved); 7] = [
    ("azure.signinlogs", &[]),
    ("azure.auditlogs", &[]),
    ("azure.provisioning", &[]),
    ("azure.graphactivitylogs", CALL),
    ("azure.aadgraphactivitylogs", CALL),
    ("azure.activitylogs", &[]),
    ("o365.audit", UNIFIED),
];
/// Where the document has something, and where the record has it.
type Moved = &'static [(&'static str, &'static str)];
const CALL: Moved = &[
    ("http.request.id", "properties.requestId"),
    ("http.request.method", "properties.requestMethod"),
    ("http.response.status_code", "properties.responseStatusCode"),
    ("session.id", "properties.sessionId"),
    ("url.original", "properties.requestUri"),
    ("user.id", "properties.userId"),
];
const UNIFIED: Moved = &[
    ("event.action", "Operation"),
    ("event.id", "Id"),
    ("event.provider", "Workload"),
    ("organization.id", "OrganizationId"),
    ("url.original", "ObjectId"),
    ("user.id", "UserId"),
    ("user.target.id", "ObjectId"),
];
/// What Elastic calls an operation of Microsoft 365's, and what that is called there.
const OPERATIONS: [(&str, &str); 5] = [
    ("added-user-account", "Add user."),
    ("modified-user-account", "Update user."),
    ("deleted-user-account", "Delete user."),
    ("added-group-account-to", "TeamCreated"),
    ("added-users-to-group", "MemberAdded"),
];
/// Lists of names and values there, of which Elastic makes objects.
const PAIRS: [&str; 2] = ["ExtendedProperties", "Parameters"];
/// What stands beside each record.
const BESIDE: Moved = &[
    ("@timestamp", "time"),
    ("source.ip", "callerIpAddress"),
    ("azure.resource.id", "resourceId"),
    ("azure.tenant_id", "tenantId"),
    ("azure.correlation_id", "correlationId"),
    ("user_agent.original", "userAgent"),
];

/// The record that stands in `document`; `None` of what is no such document.
pub(super) fn whole<'a>(document: &Json<'a>) -> Option<Json<'a>> {
    if document.text("event.original").is_some() {
        return None;
    }
    let nested = nested(document);
    let document = nested.as_ref().unwrap_or(document);
    let mut records = RECORDS.iter().filter_map(|(path, moved)| Some((document.at(path)?, moved)));
    let (record, moved) = records.find(|(record, _)| matches!(record, Json::Object(_)))?;
    let mut record = record.clone();
    list(&mut record);
    let action = document.text("event.action");
    if let Some((_, operation)) = OPERATIONS.iter().find(|(moved, _)| Some(*moved) == action) {
        record.put("Operation", Json::Text((*operation).into()));
    }
    for name in PAIRS {
        if let Some(value) = record.field_mut(name) {
            pair(value);
        }
    }
    for (path, name) in moved.iter().chain(BESIDE) {
        if let Some(value) = document.at(path) {
            let place = if *name == "userAgent" && record.at("properties").is_some() {
                "properties.userAgent"
            } else {
                *name
            };
            record.put(place, value.clone());
        }
    }
    Some(record)
}

/// Makes a list of names and values of an object.
fn pair(value: &mut Json<'_>) {
    let Json::Object(fields) = value else { return };
    let pairs = std::mem::take(fields).into_iter().map(|(name, value)| {
        Json::Object(vec![("Name".into(), Json::Text(name)), ("Value".into(), value)])
    });
    *value = Json::List(pairs.collect());
}

/// The document with an object for each part of its names, where it has none, as a search returns it.
fn nested<'a>(document: &Json<'a>) -> Option<Json<'a>> {
    let is_part = |name: &str| {
        let is_of = |path: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        RECORDS.iter().any(|(path, _)| is_of(path))
    };
    let fields = document.fields();
    fields.iter().find(|(name, _)| is_part(name))?;
    let mut nested = Json::Object(Vec::new());
    for (name, value) in fields {
        nested.put(name, value.clone());
    }
    Some(nested)
}

/// Makes lists of the objects in `tree` whose names are all numbers.
fn list(tree: &mut Json<'_>) {
    match tree {
        Json::Null | Json::Literal(_) | Json::Text(_) => return,
        Json::List(elements) => return elements.iter_mut().for_each(list),
        Json::Object(fields) => fields.iter_mut().for_each(|(_, value)| list(value)),
    }
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let Json::Object(fields) = tree else { return };
    if !fields.is_empty() && fields.iter().all(|(name, _)| is_number(name)) {
        let elements = std::mem::take(fields).into_iter().map(|(_, value)| value);
        *tree = Json::List(elements.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_integration_moved_stands_again_where_the_record_has_it() {
        for (document, wanted) in [
            (
                r#"{"event":{"action":"Set-Mailbox","provider":"Exchange"},"source":{"ip":"192.0.2.1"},
                    "o365":{"audit":{"UserId":"jo","Parameters":{"ForwardTo":"a@example.org"}}}}"#,
                Some(
                    r#"{"UserId":"jo","Parameters":[{"Name":"ForwardTo","Value":"a@example.org"}],"Operation":"Set-Mailbox","Workload":"Exchange","callerIpAddress":"192.0.2.1"}"#,
                ),
            ),
            (
                r#"{"event":{"action":"added-users-to-group"},"o365":{"audit":{"UserId":"jo"}}}"#,
                Some(r#"{"UserId":"jo","Operation":"MemberAdded"}"#),
            ),
            (
                r#"{"azure.auditlogs.category":"AuditLogs","event":{"action":"x"},
                    "azure.auditlogs.properties.target_resources.0.id":"1"}"#,
                Some(r#"{"category":"AuditLogs","properties":{"target_resources":[{"id":"1"}]}}"#),
            ),
            (r#"{"event":{"original":"{}"},"o365":{"audit":{"UserId":"jo"}}}"#, None),
            (r#"{"azure.other.category":"AuditLogs"}"#, None),
            ("[]", None),
        ] {
            let document = Json::parse(document).unwrap();
            let found = whole(&document).map(|record| record.to_string());
            assert_eq!(found.as_deref(), wanted);
        }
    }
}
