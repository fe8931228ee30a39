//! [`whole`]: a record of Microsoft 365's audit log out of the frame in which a search returns it, as Microsoft
//! Graph's `auditLogRecord`, as a row of `Search-UnifiedAuditLog` or of the portal's export.
//!
//! Invariant: what the record says counts; what its frame says counts only where the record says nothing.
//!
//! Source: Microsoft, *Graph auditLogRecord resource type*, *Search-UnifiedAuditLog*, *Export, configure, and
//! view audit log records*.

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

/// The record that stands in `frame`, with what it lacks and its frame tells; `None` of what is no frame.
pub(super) fn whole<'a>(frame: &Json<'a>) -> Option<Json<'a>> {
    let record @ Json::Object(_) = frame.field(RECORD)? else { return None };
    let Json::Object(mut fields) = record.joined(record.field(REST).unwrap_or(&Json::Null)) else {
        return None;
    };
    for (told, name) in NAMES {
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
    Some(Json::Object(fields))
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
    fn the_properties_that_have_no_type_are_the_records_own() {
        let frame = r#"{"operation":"Add user.","auditData":{"UserId":"jo","dynamicProperties":
            {"UserId":"other","ResultStatus":"Failure"}}}"#;
        let frame = Json::parse(frame).unwrap();

        let whole = whole(&frame).unwrap();

        assert_eq!(whole.text("userId"), Some("jo"));
        assert_eq!(whole.text("resultStatus"), Some("Failure"));
    }
}
