//! [`Status`]: how something ended that a service did on its own, as AWS Organizations and Control Tower make an
//! account.
//!
//! Invariant: only an object whose name says that it is a status is one, and only the events of services have any.
//!
//! Sources: AWS, *Logging and monitoring in AWS Organizations*, *Lifecycle events in AWS Control Tower*.

use super::super::json::Json;
use super::Record;

/// The events that services tell of what they did themselves.
const SERVICE_EVENT: &str = "AwsServiceEvent";
/// How the name of a status ends, in any case of letters.
const NAME: &str = "status";
const FAILED: &str = "FAILED";

/// How it ended, and with which account.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) has_failed: bool,
    /// Why, as far as that is told.
    pub(super) reason: Option<String>,
    pub(super) account: Option<String>,
}

impl Status {
    pub(super) fn of(record: &Record<'_>) -> Option<Self> {
        let details = record.service_event_details.filter(|_| record.event_type.is(SERVICE_EVENT));
        let details = Json::parse(details?.get()).ok()?;
        let is_status = |name: &str| {
            let end = name.len().checked_sub(NAME.len()).and_then(|start| name.get(start..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(NAME))
        };
        let mut fields = details.fields().iter().filter(|(name, _)| is_status(name));
        let (status, state) = fields.find_map(|(_, one)| Some((one, one.text("state")?)))?;
        Some(Self {
            has_failed: state.eq_ignore_ascii_case(FAILED),
            reason: status.first(&["failureReason", "message"]).map(str::to_owned),
            account: status.first(&["accountId", "account.accountId"]).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_that_is_called_a_status_tells_how_it_ended() {
        for (kind, details, failed, account) in [
            (
                SERVICE_EVENT,
                r#"{"createAccountStatus":{"state":"FAILED","failureReason":"EMAIL_ALREADY_EXISTS"}}"#,
                Some(Some("EMAIL_ALREADY_EXISTS")),
                None,
            ),
            (
                SERVICE_EVENT,
                r#"{"createManagedAccountStatus":{"state":"FAILED","message":"m","account":{"accountId":"1"}}}"#,
                Some(Some("m")),
                Some("1"),
            ),
            (
                SERVICE_EVENT,
                r#"{"closeAccountStatus":{"state":"FAILED","accountId":"1"}}"#,
                Some(None),
                Some("1"),
            ),
            (
                SERVICE_EVENT,
                r#"{"createAccountStatus":{"state":"SUCCEEDED","accountId":"1"}}"#,
                None,
                Some("1"),
            ),
            (SERVICE_EVENT, r#"{"jobStatus":"FAILED","job":{"state":"FAILED"}}"#, None, None),
            (SERVICE_EVENT, r#"{"state":"FAILED","accountId":"1"}"#, None, None),
            ("AwsApiCall", r#"{"createAccountStatus":{"state":"FAILED"}}"#, None, None),
        ] {
            let json = format!(r#"{{"eventType":"{kind}","serviceEventDetails":{details}}}"#);
            let record: Record<'_> = serde_json::from_str(&json).unwrap();
            let found = Status::of(&record).unwrap_or_default();
            let told = found.has_failed.then_some(found.reason.as_deref());
            assert_eq!(told, failed, "{details}");
            assert_eq!(found.account.as_deref(), account, "{details}");
        }
    }
}
