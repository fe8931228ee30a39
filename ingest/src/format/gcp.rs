//! Google Cloud audit logs: a `LogEntry` whose payload is an `AuditLog`.
//!
//! Invariant: who asks is who Google authenticated; who stands behind a service account is only
//! claimed, and goes to the delegation.
//!
//! Source: Google Cloud, `AuditLog` and `LogEntry` references; codes: `google.rpc.Code`.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, is_browser, verdict};

pub(super) const NEEDS: Needs = Needs {
    agent: "protoPayload.authenticationInfo",
    action: "protoPayload.methodName",
    time: "timestamp",
};
const TIMES: &[&str] =
    &["timestamp", "timestamp.seconds", "protoPayload.timestamp", "receiveTimestamp"];
/// Where the payload is: in the entry, in a table of `BigQuery`, in an entry that was logged again.
const PAYLOADS: [&str; 3] = ["protoPayload", "protopayload_auditlog", "jsonPayload"];

const AGENTS: &[&str] = &[
    "authenticationInfo.principalEmail",
    // Whom the provider's token was taken for; its own subject means nothing elsewhere.
    "metadata.mapped_principal",
    "authenticationInfo.principalSubject",
    "authenticationInfo.authoritySelector",
];
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "gcp:unauthenticated";
/// Who moves machines and closes what is not paid for.
const SYSTEM: &str = "system@google.com";
/// Of the identity that a cluster gives its service accounts: `project.svc.id.goog[namespace/name]`.
const WORKLOAD_POOL: &str = ".svc.id.goog[";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    // Where the payload alone was exported, the record is the payload.
    let mut payloads = PAYLOADS.iter().filter_map(|path| record.at(path));
    let payload =
        payloads.find(|payload| payload.has("methodName") || payload.has("authenticationInfo"));
    let payload = payload.unwrap_or(record);
    draft.event_id = match (record.text("logName"), record.text("insertId")) {
        (Some(log), Some(id)) => Some(format!("{log}:{id}").into()),
        (_, id) => id.map(Into::into),
    };
    draft.source = caller(payload, "callerIp").map(Into::into);
    draft.user_agent = caller(payload, "callerSuppliedUserAgent").map(Into::into);
    (draft.outcome, draft.outcome_reason) = outcome(record, payload);
    // Google names nobody where it refused who asked.
    let nobody = Some(UNAUTHENTICATED).filter(|_| draft.outcome == Outcome::Denied);
    if let Some(agent) = payload.first(AGENTS).or(nobody) {
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
    keep(record, payload, &mut draft);
    draft.keep("issued_credential_id", minted(payload));
    if draft.outcome == Outcome::Success {
        let message = payload.text("status.message").filter(|text| *text != "OK");
        draft.keep("status_message", message);
    }
    Ok(draft)
}

/// Of who called; some services put it into their metadata.
fn caller<'a>(payload: &'a Json<'_>, name: &str) -> Option<&'a str> {
    let own = payload.at("requestMetadata").and_then(|metadata| metadata.text(name));
    own.or_else(|| payload.at("metadata.requestMetadata")?.text(name))
}

fn class(payload: &Json<'_>, agent: &str) -> &'static str {
    let subject = payload.text("authenticationInfo.principalSubject").unwrap_or_default();
    if matches!(agent, ANONYMOUS | UNAUTHENTICATED) {
        UNAUTHENTICATED
    } else if is_service_agent(agent) {
        "gcp:service-agent"
    } else if agent.starts_with("system:serviceaccount:") || agent.contains(WORKLOAD_POOL) {
        "gcp:kubernetes-service-account"
    } else if agent.ends_with("gserviceaccount.com") || subject.starts_with("serviceAccount:") {
        "gcp:service-account"
    } else if subject.starts_with("principal:") || agent.starts_with("principal:") {
        "gcp:federated"
    } else if agent.starts_with("system:") || agent == SYSTEM {
        "gcp:system"
    } else {
        "gcp:user"
    }
}

/// Whether a service account is Google's own, which its services use and nobody else can.
///
/// Source: Google Cloud, *Service agents*.
fn is_service_agent(agent: &str) -> bool {
    let Some((name, domain)) = agent.split_once('@') else { return false };
    match domain.strip_suffix("gserviceaccount.com") {
        Some("system." | "cloudservices.") => true,
        Some(project) => {
            project.ends_with("iam.")
                && (name.starts_with("service-") || project.starts_with("gcp-sa-"))
        }
        None => false,
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
        UNAUTHENTICATED => {
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
            Some(program) if is_browser(program) || program == "GoogleCloudConsole" => {
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
    let listed = listed.filter_map(Json::as_text);
    let listed =
        listed.map(|name| name.rsplit_once("/serviceAccounts/").map_or(name, |(_, own)| own));
    // Whose token a service showed beside its own.
    let behind = payload.first(&[
        "authenticationInfo.thirdPartyPrincipal.payload.sub",
        "authenticationInfo.thirdPartyPrincipal.thirdPartyClaims.sub",
    ]);
    told.chain(listed).chain(behind).map(Into::into).collect()
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

fn outcome<'a>(record: &'a Json<'_>, payload: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let code = payload.text("status.code").filter(|code| !matches!(*code, "0" | "OK"));
    let message = payload.text("status.message").filter(|text| *text != "OK");
    if let Some(mut outcome) = code.map(by_code) {
        // Who exchanges tokens has shown one, and an invalid argument is that token.
        let is_exchange = payload.text("serviceName") == Some("sts.googleapis.com");
        if outcome == Outcome::Error && is_exchange {
            outcome = verdict::of_error(message.unwrap_or_default());
        }
        let reason = message.or(code).filter(|_| outcome != Outcome::Success);
        return (outcome, reason.map(Into::into));
    }
    // A code of 0 is left out: what is said beside it is no failure, unless the entry is one.
    let is_failure = record.text("severity").is_some_and(is_of_failure);
    if let Some(message) = message.filter(|_| is_failure) {
        return (verdict::of_error(message), Some(message.into()));
    }
    let permissions = payload.list("authorizationInfo");
    // A call that was granted one of several, and that says nothing of an error, was let in.
    let is_granted = permissions.iter().any(|one| one.is_true("granted"));
    let mut refusals = permissions.iter().filter(|one| one.is_false("granted"));
    if let Some(refused) = refusals.next().filter(|_| !is_granted) {
        return (Outcome::Denied, refused.text("permission").map(Into::into));
    }
    // Kubernetes on Google answers in its own words.
    if payload.text("response.status") == Some("Failure") {
        let by_code = payload.text("response.code").and_then(verdict::of_http);
        let reason = payload.text("response.reason").map(Into::into);
        return (by_code.unwrap_or(Outcome::Error), reason);
    }
    // A sign-in that failed says so in its name.
    let method = payload.text("methodName").unwrap_or_default();
    let mut parameters = payload.list("metadata.event.parameter").iter();
    let challenge = parameters.find(|one| one.text("name") == Some("login_challenge_status"));
    let challenge = challenge.and_then(|one| one.text("value")).map(str::to_ascii_lowercase);
    let is_refused =
        challenge.is_some_and(|status| status.contains("incorrect") || status.contains("fail"));
    if method.ends_with("loginFailure") || is_refused {
        return (Outcome::Denied, payload.text("metadata.event.eventName").map(Into::into));
    }
    (Outcome::Success, None)
}

/// Whether an entry of this severity tells of a failure.
///
/// Source: Google Cloud, `LogSeverity`.
fn is_of_failure(severity: &str) -> bool {
    matches!(severity, "ERROR" | "CRITICAL" | "ALERT" | "EMERGENCY")
}

/// By a code of gRPC, as its number or its name; some services write the status of HTTP.
///
/// Source: `google.rpc.Code`.
fn by_code(code: &str) -> Outcome {
    match (code, verdict::of_http(code)) {
        ("7" | "16" | "PERMISSION_DENIED" | "UNAUTHENTICATED", _) => Outcome::Denied,
        (_, Some(outcome)) if code.len() == 3 => outcome,
        _ => Outcome::Error,
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
