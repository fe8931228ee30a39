//! Confluent's audit log, of its cloud and of its platform, which has no format of its own.
//!
//! Invariant: one principal has one id, whichever generation of the log tells it: that of its account, else
//! its name in Kafka without `User:`. Whoever failed to sign in is nobody, and the key that was shown is the
//! credential. What was asked for and answered is not kept.
//!
//! Source: Confluent, *Audit Log Event Records* and *Audit Log Event Schema*; `ce-kafka`, its messages of the
//! audit log.

use schemas::{CredentialKind, Outcome};

use crate::format::draft::{Draft, Needs, Word, address_of};
use crate::format::json::Json;
use crate::format::words::{kebab, shown_by};
use crate::format::{Fault, verdict};

pub(super) const TYPES: &str = "io.confluent.";

const NEEDS: Needs =
    Needs { agent: "data.authenticationInfo.principal", action: "data.methodName", time: "time" };

/// What Confluent's resources are called by, where a record in binary mode is its data alone.
const CRN: &str = "crn://";
const CLOUD: &str = "crn://confluent.cloud/";
const UNAUTHENTICATED: &str = "confluent:unauthenticated";
/// Names of nobody: of a sign-in that failed, and of Kafka's where none was asked for.
const NOBODY: &[&str] = &["None:UNKNOWN_USER", "User:ANONYMOUS"];
/// How the ids of accounts begin, and what they are.
const ACCOUNTS: &[(&str, &str)] =
    &[("sa-", "service-account"), ("u-", "user"), ("pool-", "identity-pool")];

const PRINCIPAL: &str = "authenticationInfo.principal";
const ADDRESSES: &[&str] = &[
    "requestMetadata.clientAddress",
    "clientAddress",
    // Of its first schema.
    "requestMetadata.callerIp",
    "authorizationInfo.requestMetadata.clientAddress",
];
/// Methods by which somebody signs in.
const SIGN_INS: &[&str] = &["Authenticate", "Authentication", "SignIn"];
const STATUSES: &[&str] = &["result.status", "authenticationInfo.result"];
const REASONS: &[&str] = &[
    "result.message",
    "result.data.message",
    "result.data.errorMessage",
    "result.data.errorType",
    "authenticationInfo.errorMessage",
];

/// Whether these are the data of an event without what stands around them.
pub(super) fn is_entry(data: &Json<'_>) -> bool {
    let names = ["serviceName", "resourceName"];
    let is_named = names.iter().any(|path| data.text(path).is_some_and(|it| it.starts_with(CRN)));
    is_named && data.has("methodName") && data.has("authenticationInfo")
}

pub(super) fn draft<'a>(envelope: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, envelope, &["time"])?;
    let data = envelope.at("data").unwrap_or(&Json::Null);
    draft.event_id = envelope.text("id").map(Into::into);
    draft.source = address(data);
    let (kind, principal) = principal(data).unzip();
    (draft.agent, draft.class) = match (principal, kind) {
        (Some(name), kind) => {
            let class = kind.flatten().map(|kind| format!("confluent:{kind}").into());
            (Some(name.into()), class)
        }
        (None, _) if is_of_nobody(data) => {
            (Some(UNAUTHENTICATED.into()), Some(UNAUTHENTICATED.into()))
        }
        (None, _) => (None, None),
    };
    draft.credential = credential(data).or_else(|| {
        let nobody = draft.agent.as_deref().filter(|agent| *agent == UNAUTHENTICATED);
        let from = draft.source.as_deref().and_then(address_of);
        let from = from.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        nobody.map(|_| (CredentialKind::Anonymous, format!("anonymous:{from}").into()))
    });
    draft.action = data.text("methodName").map(Into::into);
    target(envelope, data, &mut draft);
    (draft.outcome, draft.outcome_reason) = outcome(data);
    keep(data, &mut draft);
    Ok(draft)
}

/// What sort of a principal it is, if that is told, and its id.
fn principal<'a>(data: &'a Json<'_>) -> Option<(Option<String>, &'a str)> {
    let by_id = |id: &str| {
        let kind = ACCOUNTS.iter().find(|(start, _)| id.starts_with(start));
        kind.map(|(_, kind)| (*kind).to_owned())
    };
    if let Some(id) = data.text("authenticationInfo.principalResourceId") {
        return Some((by_id(id), id));
    }
    let told = data.at(PRINCIPAL)?;
    // An object for each kind of principal: `confluentUser`, `confluentServiceAccount`, `identityPool`.
    let account = told.fields().iter().find_map(|(name, account)| {
        let kind = kebab(name);
        let kind = kind.strip_prefix("confluent-").unwrap_or(&kind).to_owned();
        Some((Some(kind), account.first(&["resourceId", "subject"])?))
    });
    let name = || told.as_text().or_else(|| told.text("email"));
    account.or_else(|| {
        let name = name().filter(|name| !NOBODY.contains(name))?;
        let name = name.strip_prefix("User:").unwrap_or(name);
        Some((by_id(name), name))
    })
}

fn is_of_nobody(data: &Json<'_>) -> bool {
    let is_unknown = data.text(PRINCIPAL).is_some_and(|name| NOBODY.contains(&name));
    is_unknown || STATUSES.iter().any(|path| data.text(path) == Some("UNAUTHENTICATED"))
}

/// The address alone: Java prints the name of the host and a slash before it.
fn address<'a>(data: &'a Json<'_>) -> Option<Word<'a>> {
    let told = ADDRESSES.iter().find_map(|path| data.at(path))?;
    let text = told.as_text().or_else(|| told.text("ip"))?;
    text.rsplit('/').next().map(Into::into)
}

/// The key, token or name that was shown. What is shown by PLAIN is a key in the cloud, and a password
/// elsewhere.
fn credential<'a>(data: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    let shown = data.at("authenticationInfo")?;
    if let Some(id) = shown.text("credentials.idSecretCredentials.credentialId") {
        return Some((CredentialKind::StaticKey, id.into()));
    }
    let id = shown.text("metadata.identifier")?;
    let mechanism = shown.text("metadata.mechanism").unwrap_or_default();
    let names = ["serviceName", "resourceName"];
    let is_cloud = names.iter().any(|path| data.text(path).is_some_and(|it| it.starts_with(CLOUD)));
    match shown_by(mechanism) {
        Some((CredentialKind::Password, _)) if is_cloud => {
            Some((CredentialKind::StaticKey, id.into()))
        }
        Some((kind, prefix)) => Some((kind, format!("{prefix}:{id}").into())),
        None => Some((CredentialKind::Unknown, id.into())),
    }
}

/// What the name of a resource ends in is its kind: `crn://…/kafka=lkc-1/topic=orders` is of a topic.
fn target<'a>(envelope: &'a Json<'_>, data: &'a Json<'_>, draft: &mut Draft<'a>) {
    let of_name = |name: &'a str| {
        let last = name.strip_prefix(CRN).and_then(|path| path.rsplit('/').next()?.split_once('='));
        (Word::from(name), Word::from(last.map_or("resource", |(kind, _)| kind)))
    };
    let of_kind = |name: &'static str, kind: &'static str| {
        let name = data.text(name)?;
        Some((Word::from(name), Word::from(data.text(kind).map_or("resource".to_owned(), kebab))))
    };
    let found = data.text("resourceName").map(of_name);
    let found = found
        .or_else(|| of_kind("cloudResources.resource.resourceId", "cloudResources.resource.type"))
        .or_else(|| of_kind("authorizationInfo.resourceName", "authorizationInfo.resourceType"))
        .or_else(|| envelope.text("subject").map(of_name));
    (draft.resource, draft.resource_kind) = found.unzip();
}

/// How it ended: what was not granted is denied, and so is every sign-in that failed.
fn outcome<'a>(data: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let method = data.text("methodName").and_then(|method| method.rsplit('.').next());
    let is_sign_in = method.is_some_and(|method| SIGN_INS.contains(&method));
    let statuses = STATUSES.iter().filter_map(|path| data.text(path));
    let ended = statuses.map(verdict::of_word).fold(Outcome::Success, verdict::worse);
    let outcome = match ended {
        _ if data.is_false("authorizationInfo.granted") => Outcome::Denied,
        Outcome::Success => return (Outcome::Success, None),
        Outcome::Error if !is_sign_in => {
            let told = REASONS.iter().filter_map(|path| data.text(path)).map(verdict::of_error);
            told.fold(Outcome::Error, verdict::worse)
        }
        Outcome::Error | Outcome::Denied => Outcome::Denied,
    };
    let mut statuses = STATUSES.iter().filter_map(|path| data.text(path));
    let status = statuses.find(|status| verdict::of_word(status) != Outcome::Success);
    (outcome, data.first(REASONS).or(status).map(Into::into))
}

fn keep<'a>(data: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        data,
        &[
            ("access_transparency", "accessTransparency"),
            ("access_type", "request.accessType"),
            ("acl", "authorizationInfo.aclAuthorization"),
            ("acting_principal", "authorizationInfo.actingPrincipal"),
            ("client_id", "request.clientId"),
            ("connection_id", "requestMetadata.connectionId"),
            ("correlation_id", "request.correlationId"),
            ("identity", "authenticationInfo.identity"),
            ("mechanism", "authenticationInfo.metadata.mechanism"),
            ("operation", "authorizationInfo.operation"),
            ("pattern_type", "authorizationInfo.patternType"),
            ("role", "authorizationInfo.rbacAuthorization.role"),
            ("service", "serviceName"),
            ("super_user", "authorizationInfo.superUserAuthorization"),
            ("user_email", "authenticationInfo.principal.email"),
        ],
    );
    draft.keep("request_id", data.text("requestMetadata.requestId"));
    let is_made = data.text("methodName").is_some_and(|method| method.starts_with("Create"));
    let is_key = draft.resource_kind.as_deref() == Some("api-key");
    if is_made && is_key && draft.outcome == Outcome::Success {
        draft.keep("issued_credential_id", data.text("cloudResources.resource.resourceId"));
    }
}
