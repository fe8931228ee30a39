//! [`nest`]: the event that a row of a table holds, whose columns are the event's fields with the names of
//! their objects in front (`actor_alternateId`; in the download of Okta's console `actor.alternate_id` and
//! `target0.alternate_id`), or have the names that Microsoft's connector for Sentinel gives them
//! (`OriginalActorAlternateId`).
//!
//! Invariant: what is empty, or `null` as a text, is told by no column. An event with objects is no row.
//!
//! Source: Microsoft, *Azure Sentinel*, Okta Single Sign-On: the table `Okta_CL` and the transformation of the
//! connector's rule into `OktaV2_CL`.

use std::mem;

use super::super::json::{Json, is_same_name};

/// The object that every event has.
const ACTOR: &str = "actor";
/// The column of the connector that tells what happened.
const OF_CONNECTOR: &str = "EventOriginalType";
/// The objects of an event that stand in front of the names of columns.
const OBJECTS: &[&str] = &[
    ACTOR,
    "authenticationContext",
    "client",
    "debugContext",
    "device",
    "outcome",
    "request",
    "securityContext",
    "transaction",
];
/// The list of an event, of which the console's download has a number for each element.
const TARGET: &str = "target";
/// More elements than that have no columns.
const TARGETS_END: usize = 64;
/// The columns of the connector, and what of an event is in them.
const COLUMNS: &[(&str, &str)] = &[
    ("TimeGenerated", "published"),
    (OF_CONNECTOR, "eventType"),
    ("LegacyEventType", "legacyEventType"),
    ("EventOriginalUid", "uuid"),
    ("EventMessage", "displayMessage"),
    ("OriginalSeverity", "severity"),
    ("OriginalActorAlternateId", "actor.alternateId"),
    ("OriginalUserId", "actor.id"),
    ("OriginalUserType", "actor.type"),
    ("ActorDisplayName", "actor.displayName"),
    ("ActorDetailEntry", "actor.detailEntry"),
    ("ActorSessionId", "authenticationContext.externalSessionId"),
    ("LogonMethod", "authenticationContext.credentialType"),
    ("SrcIpAddr", "client.ipAddress"),
    ("SrcDvcId", "client.id"),
    ("OriginalClientDevice", "client.device"),
    ("SrcGeoCountry", "client.geographicalContext.country"),
    ("HttpUserAgent", "client.userAgent.rawUserAgent"),
    ("ActingAppName", "client.userAgent.browser"),
    ("SrcDvcOs", "client.userAgent.os"),
    ("DebugData", "debugContext.debugData"),
    ("OriginalOutcomeResult", "outcome.result"),
    ("EventOriginalResultDetails", "outcome.reason"),
    ("OriginalTarget", "target"),
    ("SecurityContextAsOrg", "securityContext.asOrg"),
    ("SecurityContextIsProxy", "securityContext.isProxy"),
    ("TransactionId", "transaction.id"),
    ("TransactionType", "transaction.type"),
    ("TransactionDetail", "transaction.detail"),
];

/// Whether the record's text may be such a row, by a cheap look.
pub(in crate::format) fn may_be_row(json: &str) -> bool {
    !json.contains("\"actor\"")
}

/// Whether this is such a row.
pub(in crate::format) fn is_row(record: &Json<'_>) -> bool {
    let names = || record.fields().iter().map(|(name, _)| name);
    names().any(|name| is_of(name, ACTOR) || is_same_name(name, OF_CONNECTOR))
        && !names().any(|name| name.eq_ignore_ascii_case(ACTOR))
}

/// Puts what the columns of a row tell where an event has it.
pub(in crate::format) fn nest(row: &mut Json<'_>) {
    let Json::Object(fields) = row else { return };
    let columns = mem::take(fields);
    let is_of_connector = columns.iter().any(|(name, _)| is_same_name(name, OF_CONNECTOR));
    let mut targets = Vec::new();
    for (name, value) in columns {
        let is_nothing = match &value {
            Json::Null => true,
            Json::Text(text) => text.is_empty() || text == "null",
            Json::Literal(_) | Json::List(_) | Json::Object(_) => false,
        };
        if is_nothing {
            continue;
        }
        let mut known = COLUMNS.iter().filter(|_| is_of_connector);
        if let Some((_, path)) = known.find(|(column, _)| is_same_name(&name, column)) {
            row.put(path, value);
        } else if let Some((number, field)) = of_target(&name) {
            targets.resize(targets.len().max(number + 1), Json::Object(Vec::new()));
            targets[number].put(field, value);
        } else if OBJECTS.iter().any(|object| is_of(&name, object)) {
            let is_dotted = name.contains('.');
            let path = if is_dotted { name.into_owned() } else { name.replace('_', ".") };
            row.put(&path, value);
        } else if let Json::Object(fields) = &mut *row {
            fields.push((name, value));
        }
    }
    targets.retain(|target| !target.fields().is_empty());
    if !targets.is_empty() {
        row.put(TARGET, Json::List(targets));
    }
}

/// Which target a column is of, and which of its fields it is.
fn of_target(name: &str) -> Option<(usize, &str)> {
    let (start, rest) = name.split_at_checked(TARGET.len())?;
    let (number, field) = rest.split_once('.').filter(|_| start.eq_ignore_ascii_case(TARGET))?;
    let number = number.parse().ok().filter(|number| *number < TARGETS_END)?;
    Some((number, field))
}

/// Whether a column is of this object.
fn is_of(name: &str, object: &str) -> bool {
    let parts = name.split_once(['_', '.']);
    parts.is_some_and(|(first, field)| first.eq_ignore_ascii_case(object) && !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_an_event_has_them() {
        for (row, path, wanted) in [
            (r#"{"actor_id":"1"}"#, "actor.id", Some("1")),
            (
                r#"{"actor_id":"1","client_userAgent_os":"Linux"}"#,
                "client.userAgent.os",
                Some("Linux"),
            ),
            (r#"{"actor_id":"1","client_zone":"null"}"#, "client", None),
            (r#"{"actor.id":"1","actor.alternate_id":"a"}"#, "actor.alternateId", Some("a")),
            (
                r#"{"actor.id":"1","target1.id":"t2","target0.id":"t1","target2.id":""}"#,
                "target.id",
                Some("t1"),
            ),
            (r#"{"actor.id":"1","target1.id":"t2","target0.id":""}"#, "target.id", Some("t2")),
            (r#"{"actor.id":"1","target64.id":"t"}"#, "target", None),
            (r#"{"actor_id":"1","published":"x","TimeGenerated":"y"}"#, "published", Some("x")),
            (
                r#"{"EventOriginalType":"user.session.start","TimeGenerated":"y"}"#,
                "published",
                Some("y"),
            ),
        ] {
            let mut row = Json::parse(row).unwrap();
            assert!(is_row(&row));
            nest(&mut row);
            assert_eq!(row.text(path), wanted, "{path}");
        }
        assert!(!is_row(&Json::parse(r#"{"actor":{"id":"1"},"actor_name":"x"}"#).unwrap()));
    }
}
