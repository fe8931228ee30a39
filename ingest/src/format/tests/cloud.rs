//! What clouds write: refusals by their codes, keys that are made, rows of tables, and policies that are
//! tried out.

use serde_json::{Value, json};

use super::*;

fn gcp(record: &Value) -> CredentialEvent {
    read(Format::Gcp, Some(record.to_string().as_bytes())).unwrap()
}

/// A call in Google Cloud by an administrator, with the `payload` over it.
fn call(payload: Value) -> Value {
    let mut record = json!({
        "insertId": "1", "timestamp": "2026-03-02T10:00:00Z",
        "logName": "projects/erp-prod/logs/cloudaudit.googleapis.com%2Factivity",
        "protoPayload": {
            "serviceName": "iam.googleapis.com", "methodName": "a",
            "authenticationInfo": {"principalEmail": "admin@example.com"},
        },
    });
    let Value::Object(payload) = payload else { panic!("it is an object") };
    record["protoPayload"].as_object_mut().unwrap().extend(payload);
    record
}

#[test]
fn a_refusal_of_aws_is_told_from_another_failure_by_its_code() {
    for (code, wanted) in [
        ("AccessDenied", Outcome::Denied),
        ("Client.OptInRequired", Outcome::Denied),
        ("Client.UnauthorizedOperation", Outcome::Denied),
        ("InvalidTokenException", Outcome::Denied),
        ("InvalidToken", Outcome::Denied),
        ("InvalidGrantException", Outcome::Denied),
        ("CodeMismatchException", Outcome::Denied),
        ("AccountProblem", Outcome::Denied),
        ("RequestTimeTooSkewed", Outcome::Denied),
        ("SubscriptionRequiredException", Outcome::Denied),
        ("RegionDisabledException", Outcome::Denied),
        ("InvalidAuthenticationCode", Outcome::Denied),
        ("InvalidCredentials", Outcome::Denied),
        // Of a page, and of a key's grant.
        ("InvalidNextTokenException", Outcome::Error),
        ("InvalidGrantTokenException", Outcome::Error),
        ("AuthorizationPendingException", Outcome::Error),
        ("MethodNotAllowed", Outcome::Error),
    ] {
        let json = format!(
            r#"{{"eventTime":"2026-03-02T10:00:00Z","eventName":"a","errorCode":"{code}",
                "userIdentity":{{"arn":"arn:aws:iam::111122223333:user/a"}}}}"#
        );
        assert_eq!(cloudtrail(&json).unwrap().outcome, wanted, "{code}");
    }
}

#[test]
fn the_agent_that_runs_for_a_user_is_told_with_its_session() {
    let call = |name: &str, parameters: Value| {
        let record = json!({
            "eventTime": "2026-03-02T10:00:00Z", "eventSource": "bedrock-agentcore.amazonaws.com",
            "eventName": name, "requestParameters": parameters,
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/a"},
        });
        cloudtrail(&record.to_string()).unwrap()
    };

    let token = call(
        "GetWorkloadAccessTokenForUserId",
        json!({"workloadName": "buyer", "userId": "jo@example.com"}),
    );
    let key = call("GetResourceApiKey", json!({"resourceCredentialProviderName": "payments"}));

    assert_eq!(token.resource.as_deref(), Some("buyer"));
    assert_eq!(token.resource_kind.as_deref(), Some("workload_identity"));
    assert_eq!(token.delegation[0].as_str(), "jo@example.com");
    assert_eq!(key.resource.as_deref(), Some("payments"));
    assert_eq!(key.resource_kind.as_deref(), Some("credential_provider"));
    let browser = call("StopBrowserSession", json!({"browserIdentifier": "b", "sessionId": "s-1"}));
    assert_eq!(browser.session_id.unwrap().as_str(), "s-1");
}

#[test]
fn a_row_of_bigquery_is_the_entry_that_it_was_made_of() {
    let key = "projects/erp-prod/serviceAccounts/bot@erp-prod.iam.gserviceaccount.com/keys/0123abc";
    let mapped = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/b";
    let row = |payload: Value| {
        let row = json!({
            "insertId": "1", "timestamp": "2026-03-02 10:00:00.000000 UTC",
            "protopayload_auditlog": payload,
        });
        gcp(&row)
    };
    let by = json!({"principalEmail": "admin@example.com"});

    let exchanged = row(json!({
        "serviceName": "sts.googleapis.com", "methodName": "ExchangeToken",
        "authenticationInfo": {"principalEmail": null, "principalSubject": "b"},
        "metadataJson": json!({"mapped_principal": mapped}).to_string(),
    }));
    let made = row(json!({
        "methodName": "google.iam.admin.v1.CreateServiceAccountKey", "authenticationInfo": by,
        "responseJson": json!({"name": key}).to_string(),
    }));
    let given = row(json!({
        "methodName": "SetIamPolicy", "authenticationInfo": by,
        "servicedata_v1_iam": {"policyDelta": {"bindingDeltas": [
            {"action": "ADD", "role": "roles/owner", "member": "user:jo@example.org"}]}},
    }));

    assert_eq!((exchanged.agent_id.as_str(), &exchanged.time), (mapped, &made.time));
    assert_eq!(made.time.to_string(), "2026-03-02T10:00:00.000000Z");
    let issued = format!("iam.googleapis.com/{key}");
    assert_eq!(made.attributes.get("issued_credential_id"), Some(issued.as_str()));
    assert_eq!(given.counterparty_id.unwrap().as_str(), "user:jo@example.org");
}

#[test]
fn an_uploaded_key_and_an_api_key_are_issued_too() {
    for (service, method, name) in [
        (
            "iam.googleapis.com",
            "google.iam.admin.v1.UploadServiceAccountKey",
            "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com/keys/1",
        ),
        (
            "apikeys.googleapis.com",
            "google.api.apikeys.v2.ApiKeys.CreateKey",
            "projects/1/locations/global/keys/0f1e2d3c",
        ),
    ] {
        let event = gcp(&call(json!({"methodName": method, "response": {"name": name}})));

        let issued = format!("{service}/{name}");
        assert_eq!(event.attributes.get("issued_credential_id"), Some(issued.as_str()));
    }
}

#[test]
fn a_principal_of_google_cloud_has_one_name() {
    for (subject, agent, class) in [
        (
            "serviceAccount:a@p.iam.gserviceaccount.com",
            "a@p.iam.gserviceaccount.com",
            "gcp:service-account",
        ),
        (
            "serviceAccount:p.svc.id.goog[shop/pay]",
            "p.svc.id.goog[shop/pay]",
            "gcp:kubernetes-service-account",
        ),
        ("user:jo@example.com", "jo@example.com", "gcp:user"),
        (
            "principal://iam.googleapis.com/projects/1/locations/eu/reasoningEngines/2",
            "principal://iam.googleapis.com/projects/1/locations/eu/reasoningEngines/2",
            "gcp:agent",
        ),
        // Who is known to a pool may be called anything.
        (
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/x/reasoningEngines/2",
            "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/x/reasoningEngines/2",
            "gcp:federated",
        ),
        (
            "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/x",
            "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/x",
            "gcp:federated",
        ),
    ] {
        let own = gcp(&call(json!({"authenticationInfo": {"principalSubject": subject}})));
        let behind = gcp(&call(json!({"authenticationInfo": {
            "principalEmail": "b@p.iam.gserviceaccount.com",
            "serviceAccountDelegationInfo": [{"principalSubject": subject}],
        }})));

        assert_eq!(own.agent_id.as_str(), agent);
        assert_eq!(own.agent_class.unwrap().as_str(), class);
        assert_eq!(behind.delegation[0].as_str(), agent);
    }
}

#[test]
fn what_a_policy_refuses_is_denied_and_what_it_would_refuse_is_not() {
    let violation = json!({"code": 9, "message": "Constraint constraints/x violated"});
    let mut record = call(json!({"status": violation}));
    assert_eq!(gcp(&record).outcome, Outcome::Error);
    record["logName"] = "projects/erp-prod/logs/cloudaudit.googleapis.com%2Fpolicy".into();
    assert_eq!(gcp(&record).outcome, Outcome::Denied);
    record["protoPayload"]["metadata"] = json!({"dryRun": true, "liveResult": "DENIED"});
    assert_eq!(gcp(&record).outcome, Outcome::Denied);
    record["protoPayload"]["metadata"] = json!({"dryRun": true});
    let event = gcp(&record);
    assert_eq!((event.outcome, event.attributes.get("dry_run")), (Outcome::Success, Some("true")));
    let refused = json!({"response": {"error": {"code": 403, "message": "Required permission"}}});
    assert_eq!(gcp(&call(refused)).outcome, Outcome::Denied);
}
