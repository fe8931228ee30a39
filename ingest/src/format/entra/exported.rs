//! [`whole`]: a record of Microsoft 365's audit log out of the frame in which a search returns it, as Microsoft
//! Graph's `auditLogRecord`, as a row of `Search-UnifiedAuditLog` or of the portal's export, or in which Defender
//! streams it (`CloudAppEvents`).
//!
//! Invariant: what the record says counts; what its frame says counts only where the record says nothing. What
//! another app says of itself in Defender's frame is in its own words, and does not count: its frame does.
//!
//! Source: Microsoft, *Graph auditLogRecord resource type*, *Search-UnifiedAuditLog*, *Export, configure, and
//! view audit log records*, *`CloudAppEvents`* and *Streaming API* of Defender XDR.

use std::borrow::Cow;

use super::super::json::{Json, is_same_name};

/// Where the record is, and where Graph has what of it is no property of its type.
const RECORD: &str = "auditData";
const REST: &str = "dynamicProperties";
/// What the frame calls what the record has under another name, what is most telling first.
const NAMES: &[(&str, &str)] = &[
    ("id", "Id"),
    ("recordId", "Id"),
    ("identity", "Id"),
    ("createdDateTime", "CreationTime"),
    ("creationDate", "CreationTime"),
    ("operation", "Operation"),
    ("operations", "Operation"),
    ("service", "Workload"),
    ("auditLogRecordType", "RecordType"),
    ("recordType", "RecordType"),
    ("userPrincipalName", "UserId"),
    ("userId", "UserId"),
    ("userIds", "UserId"),
    ("userType", "UserType"),
    ("organizationId", "OrganizationId"),
    ("objectId", "ObjectId"),
    ("clientIp", "ClientIP"),
];

/// Where Defender has the record, and what only its frame has beside it.
const RAW: &str = "rawEventData";
const MARK: &str = "actionType";
const NAMES_OF_DEFENDER: &[(&str, &str)] = &[
    ("reportId", "Id"),
    ("timestamp", "CreationTime"),
    ("timeGenerated", "CreationTime"),
    ("time", "CreationTime"),
    ("actionType", "Operation"),
    ("application", "Workload"),
    ("accountObjectId", "UserId"),
    ("accountId", "UserId"),
    ("accountType", "UserType"),
    ("objectName", "ObjectId"),
    ("objectType", "ItemType"),
    ("ipAddress", "ClientIP"),
    ("userAgent", "UserAgent"),
];

/// The record that stands in `frame`, with what it lacks and its frame tells; `None` of what is no frame.
pub(super) fn whole<'a>(frame: &Json<'a>) -> Option<Json<'a>> {
    if let Some(record @ Json::Object(_)) = frame.field(RECORD) {
        let fields = record.joined(record.field(REST).unwrap_or(&Json::Null));
        return Some(with(&fields, frame, NAMES));
    }
    let streamed = frame.at("properties").unwrap_or(frame);
    if !streamed.has(MARK) || !streamed.has(RAW) {
        return None;
    }
    let record = streamed.field(RAW).filter(|record| record.has("operation"));
    let frame = streamed.joined(frame);
    Some(with(record.unwrap_or(&Json::Null), &frame, NAMES_OF_DEFENDER))
}

/// What `record` says, and under `names` what it lacks and `frame` tells.
fn with<'a>(record: &Json<'a>, frame: &Json<'a>, names: &[(&str, &'static str)]) -> Json<'a> {
    let mut fields = record.fields().to_vec();
    for (told, name) in names {
        let is_told = |(found, value): &(Cow<'a, str>, Json<'a>)| {
            is_same_name(found, name) && value.as_text().is_some()
        };
        if let Some(value) = frame.field(told)
            && value.as_text().is_some()
            && !fields.iter().any(is_told)
        {
            fields.retain(|(found, _)| !is_same_name(found, name));
            fields.push(((*name).into(), value.clone()));
        }
    }
    Json::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_says_counts_and_its_frame_says_the_rest() {
        let frame = r#"{"id":"1","service":"Exchange","userId":"other","createdDateTime":"2026-03-02T10:00:00Z",
            "clientIp":null,"auditData":{"Id":"2","UserId":"jo","ClientIP":"","Operation":"Send"}}"#;
        let frame = Json::parse(frame).unwrap();

        let whole = whole(&frame).unwrap();

        for (path, wanted) in [
            ("id", Some("2")),
            ("userId", Some("jo")),
            ("operation", Some("Send")),
            ("workload", Some("Exchange")),
            ("creationTime", Some("2026-03-02T10:00:00Z")),
            ("clientIp", None),
        ] {
            assert_eq!(whole.text(path), wanted, "{path}");
        }
        assert_eq!(super::whole(&whole), None);
    }

    #[test]
    fn what_another_app_says_in_defenders_frame_does_not_count() {
        let frame = r#"{"time":"2026-03-02T10:00:01Z","properties":{"ActionType":"activity","AccountObjectId":"1",
            "Timestamp":"2026-03-02T10:00:00Z","Application":"Example","RawEventData":{"UserId":"other"}}}"#;
        let frame = Json::parse(frame).unwrap();

        let whole = whole(&frame).unwrap();

        assert_eq!(whole.text("userId"), Some("1"));
        assert_eq!(whole.text("creationTime"), Some("2026-03-02T10:00:00Z"));
        assert_eq!(whole.text("workload"), Some("Example"));
    }

    #[test]
    fn the_properties_that_have_no_type_are_the_records_own() {
        let frame = r#"{"operation":"Add user.","auditData":{"UserId":"jo","dynamicProperties":
            {"UserId":"other","ResultStatus":"Failure"}}}"#;
        let frame = Json::parse(frame).unwrap();

        let whole = whole(&frame).unwrap();

        assert_eq!(whole.text("userId"), Some("jo"));
        assert_eq!(whole.text("resultStatus"), Some("Failure"));
    }
}
