//! [`whole`]: a record out of a document that Elastic's integrations for Azure and Microsoft 365 made of it.
//!
//! Invariant: what the record says counts; what the document says beside it counts only where the record says
//! nothing. Lists that became objects, whose names are numbers, are lists again.
//!
//! Source: Elastic, *Azure Logs integration* and *Microsoft Office 365 integration*, exported fields.

use super::super::json::Json;

/// Where the record is.
const RECORDS: [&str; 6] = [
    "azure.signinlogs",
    "azure.auditlogs",
    "azure.provisioning",
    "azure.graphactivitylogs",
    "azure.activitylogs",
    "o365.audit",
];
/// What stands beside the record, and what the record calls it.
const BESIDE: [(&str, &str); 6] = [
    ("@timestamp", "time"),
    ("source.ip", "callerIpAddress"),
    ("azure.resource.id", "resourceId"),
    ("azure.tenant_id", "tenantId"),
    ("azure.correlation_id", "correlationId"),
    ("user_agent.original", "userAgent"),
];

/// The record that stands in `document`; `None` of what is no such document.
pub(super) fn whole<'a>(document: &Json<'a>) -> Option<Json<'a>> {
    let mut records = RECORDS.iter().filter_map(|path| document.at(path));
    let mut record = records.find(|record| matches!(record, Json::Object(_)))?.clone();
    list(&mut record);
    for (path, name) in BESIDE {
        if let Some(value) = document.at(path) {
            let place = if name == "userAgent" && record.at("properties").is_some() {
                "properties.userAgent"
            } else {
                name
            };
            record.put(place, value.clone());
        }
    }
    Some(record)
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
