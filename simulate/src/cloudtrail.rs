//! Simulated events as AWS CloudTrail would tell them, for measuring that format.
//!
//! Invariant: an agent has the same name in each of its records, which [`agent_arn`] tells: its role is
//! its class. What CloudTrail has no field for (money, the counterparty) stands in the parameters.
//!
//! Source of the shape: "CloudTrail record contents", AWS documentation, event version 1.08; an assumed
//! role's call of a service.

use schemas::{AgentClass, AgentId, NativeEvent, Outcome};
use serde_json::json;

const ACCOUNT: &str = "111122223333";

/// What CloudTrail calls an agent: a session of the role of its class.
pub fn agent_arn(class: Option<&AgentClass>, agent: &AgentId) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/{agent}", role_of(class))
}

fn role_of(class: Option<&AgentClass>) -> &str {
    class.map_or("agent", AgentClass::as_str)
}

/// Appends `event`, the one of this `number`, as a CloudTrail record, without a line end.
pub fn write_cloudtrail(event: &NativeEvent, number: u64, out: &mut Vec<u8>) {
    let role = role_of(event.agent_class.as_ref());
    let (service, verb) = event.action.split_once('.').unwrap_or(("agent", &event.action));
    let error = match event.outcome {
        Outcome::Success => None,
        Outcome::Denied => Some("AccessDenied"),
        Outcome::Error => Some("InternalFailure"),
    };
    let record = json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": format!("AROAEXAMPLE:{}", event.agent_id),
            "arn": agent_arn(event.agent_class.as_ref(), &event.agent_id),
            "accountId": ACCOUNT,
            "accessKeyId": format!("ASIA{}", event.credential_id),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role", "principalId": "AROAEXAMPLE", "accountId": ACCOUNT,
                    "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "userName": role,
                },
                "attributes": {"creationDate": event.time, "mfaAuthenticated": "false"},
            },
        },
        "eventTime": event.time,
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": verb,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": event.source_ip,
        "userAgent": event.user_agent.as_deref().unwrap_or("aws-sdk-rust/1.3"),
        "errorCode": error,
        "requestParameters": {
            "resource": event.resource, "counterparty": event.counterparty_id,
            "amount": event.amount, "currency": event.currency,
        },
        "responseElements": null,
        "requestID": format!("00000000-0000-4000-8000-{number:012x}"),
        "eventID": format!("10000000-0000-4000-8000-{number:012x}"),
        "readOnly": event.amount.is_none(),
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    });
    serde_json::to_writer(out, &record).expect("a Vec takes every write, and a record is JSON");
}
