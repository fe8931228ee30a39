//! Google Cloud audit logs: a `LogEntry` whose payload is an `AuditLog`.
//!
//! Invariant: who asks is who Google authenticated; who stands behind a service account is only
//! claimed, and goes to the delegation.
//!
//! Source: Google Cloud, `AuditLog` and `LogEntry` references; codes: `google.rpc.Code`.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs {
    agent: "protoPayload.authenticationInfo",
    action: "protoPayload.methodName",
    time: "timestamp",
};
const TIMES: &[&str] = &["timestamp", "protoPayload.timestamp", "receiveTimestamp"];

const AGENTS: &[&str] = &[
    "authenticationInfo.principalEmail",
    "authenticationInfo.principalSubject",
    "authenticationInfo.authoritySelector",
];
const ANONYMOUS: &str = "system:anonymous";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    // Where the payload alone was exported, the record is the payload.
    let payload = record.at("protoPayload").unwrap_or(record);
    draft.event_id = match (record.text("logName"), record.text("insertId")) {
        (Some(log), Some(id)) => Some(format!("{log}:{id}").into()),
        (_, id) => id.map(Into::into),
    };
    draft.source = caller(payload, "callerIp").map(Into::into);
    draft.user_agent = caller(payload, "callerSuppliedUserAgent").map(Into::into);
    if let Some(agent) = payload.first(AGENTS) {
        draft.agent = Some(agent.into());
        draft.class = Some(class(payload, agent).into());
        draft.credential = Some(credential(payload, agent));
    }
    draft.delegation = delegation(payload);
    draft.action = payload.text("methodName").map(|method| {
        payload.text("serviceName").map_or(method.into(), |name| format!("{name}:{method}").into())
    });
    draft.resource = payload.first(&["resourceName", "authorizationInfo.resource"]).map(Into::into);
    let kind = record.first(&["resource.type", "protoPayload.resource.type"]);
    draft.resource_kind =
        kind.or_else(|| payload.text("authorizationInfo.resourceAttributes.type")).map(Into::into);
    draft.counterparty = counterparty(payload).or_else(|| lent_by(record, payload));
    (draft.outcome, draft.outcome_reason) = outcome(payload);
    keep(record, payload, &mut draft);
    draft.keep("issued_credential_id", minted(payload));
    Ok(draft)
}

/// Of who called; some services put it into their metadata.
fn caller<'a>(payload: &'a Json<'_>, name: &str) -> Option<&'a str> {
    let own = payload.at("requestMetadata").and_then(|metadata| metadata.text(name));
    own.or_else(|| payload.at("metadata.requestMetadata")?.text(name))
}

fn class(payload: &Json<'_>, agent: &str) -> &'static str {
    let subject = payload.text("authenticationInfo.principalSubject").unwrap_or_default();
    if agent == ANONYMOUS {
        "gcp:unauthenticated"
    } else if agent.starts_with("service-") && agent.ends_with(".iam.gserviceaccount.com") {
        "gcp:service-agent"
    } else if agent.ends_with("gserviceaccount.com") || subject.starts_with("serviceAccount:") {
        "gcp:service-account"
    } else if subject.starts_with("principal:") || agent.starts_with("principal:") {
        "gcp:federated"
    } else if agent.starts_with("system:serviceaccount:") {
        "gcp:kubernetes-service-account"
    } else if agent.starts_with("system:") {
        "gcp:system"
    } else {
        "gcp:user"
    }
}

fn credential<'a>(payload: &'a Json<'_>, agent: &'a str) -> (CredentialKind, Word<'a>) {
    if let Some(key) = payload.text("authenticationInfo.serviceAccountKeyName") {
        return (CredentialKind::StaticKey, key.trim_start_matches('/').into());
    }
    if let Some(client) = payload.text("authenticationInfo.oauthInfo.oauthClientId") {
        // One application has many users: the two together are the grant.
        return (CredentialKind::AccessToken, format!("oauth:{client}:{agent}").into());
    }
    match class(payload, agent) {
        "gcp:unauthenticated" => {
            let from = caller(payload, "callerIp").unwrap_or("unknown");
            (CredentialKind::Anonymous, format!("anonymous:{from}").into())
        }
        "gcp:service-agent" | "gcp:system" => {
            (CredentialKind::Platform, format!("service:{agent}").into())
        }
        "gcp:service-account" | "gcp:kubernetes-service-account" => {
            (CredentialKind::ServiceAccountToken, format!("token:{agent}").into())
        }
        "gcp:federated" => (CredentialKind::AccessToken, format!("token:{agent}").into()),
        // A person has a token for programs and a session for the console, and no third way in.
        _ => match caller(payload, "callerSuppliedUserAgent") {
            Some(program) if program.starts_with("Mozilla/") || program == "GoogleCloudConsole" => {
                (CredentialKind::Session, format!("session:{agent}").into())
            }
            Some(_) => (CredentialKind::AccessToken, format!("token:{agent}").into()),
            None => (CredentialKind::Unknown, format!("unknown:{agent}").into()),
        },
    }
}

/// The service account whose token or signature was asked for.
fn lent_by<'a>(record: &'a Json<'_>, payload: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    let method = payload.text("methodName")?.rsplit('.').next()?;
    if !matches!(method, "GenerateAccessToken" | "GenerateIdToken" | "SignJwt" | "SignBlob") {
        return None;
    }
    let name = payload.text("request.name").and_then(|name| name.rsplit('/').next());
    let account = record.text("resource.labels.email_id").or(name)?;
    Some(("service_account".into(), account.into()))
}

/// The key that the call made, by the name under which its uses have it.
fn minted<'a>(payload: &'a Json<'_>) -> Option<Word<'a>> {
    let method = payload.text("methodName")?;
    let is_minting = method.ends_with("CreateServiceAccountKey");
    let name = payload.text("response.name").filter(|_| is_minting)?;
    Some(format!("iam.googleapis.com/{name}").into())
}

/// Nearest first: Google writes the first to delegate first.
fn delegation<'a>(payload: &'a Json<'_>) -> Vec<Word<'a>> {
    let told = payload.list("authenticationInfo.serviceAccountDelegationInfo").iter().rev();
    let told = told.filter_map(|one| {
        one.first(&[
            "firstPartyPrincipal.principalEmail",
            "principalSubject",
            "thirdPartyPrincipal.thirdPartyClaims.sub",
            "thirdPartyPrincipal.thirdPartyClaims.email",
        ])
    });
    let listed = payload.list("metadata.identityDelegationChain").iter().rev();
    told.chain(listed.filter_map(Json::as_text)).map(Into::into).collect()
}

/// Who was given a role, or where data were sent.
fn counterparty<'a>(payload: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    let deltas = payload.list("serviceData.policyDelta.bindingDeltas");
    let mut given = deltas.iter().filter(|delta| delta.text("action") == Some("ADD"));
    if let Some(member) = given.find_map(|delta| delta.text("member")) {
        return Some(("principal".into(), member.into()));
    }
    let places = ["metadata.destination", "request.sink.destination", "request.destination"];
    Some(("destination".into(), payload.first(&places)?.into()))
}

fn outcome<'a>(payload: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let code = payload.text("status.code").filter(|code| *code != "0");
    let message = payload.text("status.message").filter(|text| *text != "OK");
    let permissions = payload.list("authorizationInfo");
    // A call that was granted one of several, and that says nothing of an error, was let in.
    let is_granted = permissions.iter().any(|one| one.text("granted") == Some("true"));
    let mut refusals = permissions.iter().filter(|one| one.text("granted") == Some("false"));
    let refused = refusals.next().filter(|_| !is_granted);
    match (code, message) {
        (Some("7" | "16"), _) => (Outcome::Denied, message.or(code).map(Into::into)),
        (Some(code), _) => (Outcome::Error, Some(message.unwrap_or(code).into())),
        (None, Some(message)) => (verdict::of_error(message), Some(message.into())),
        (None, None) => match refused {
            Some(one) => (Outcome::Denied, one.text("permission").map(Into::into)),
            // Kubernetes on Google answers in its own words.
            None if payload.text("response.status") == Some("Failure") => {
                let by_code = payload.text("response.code").and_then(verdict::of_http);
                let reason = payload.text("response.reason").map(Into::into);
                (by_code.unwrap_or(Outcome::Error), reason)
            }
            None => (Outcome::Success, None),
        },
    }
}

fn keep<'a>(record: &'a Json<'_>, payload: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("log_name", "logName"),
            ("operation_id", "operation.id"),
            ("project_id", "resource.labels.project_id"),
            ("resource_location", "resource.labels.location"),
            ("severity", "severity"),
        ],
    );
    draft.keep_each(
        payload,
        &[
            ("oauth_client_id", "authenticationInfo.oauthInfo.oauthClientId"),
            ("permission", "authorizationInfo.permission"),
            ("policy_delta", "serviceData.policyDelta.bindingDeltas"),
            ("principal_subject", "authenticationInfo.principalSubject"),
            ("request_reason", "requestMetadata.requestAttributes.reason"),
            ("response_reason", "response.reason"),
            ("third_party_principal", "authenticationInfo.thirdPartyPrincipal"),
            ("event_name", "metadata.event.eventName"),
            ("update_mask", "request.updateMask"),
        ],
    );
}
