//! HashiCorp Vault audit entries, requests and responses.
//!
//! Invariant: the data of a request or answer is not kept, and a client token only if Vault hashed it:
//! an audit device may be told to write both raw. A login presents what its method takes, and the token
//! it got for it is the issued one.
//!
//! Source: HashiCorp, *Audit Devices*, `audit/types.go` (entry formats). Hashes join only within one
//! audit device, whose salt they have.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "auth", action: "request.operation", time: "time" };

const UNAUTHENTICATED: &str = "vault:unauthenticated";
/// How Vault begins the hash of a value.
const HASH: &str = "hmac-sha256:";

/// What the token's login method knows of its holder, the most telling first.
const CLASSES: &[&str] = &[
    "metadata.role_name",
    "metadata.role",
    "metadata.service_account_name",
    "metadata.username",
    // Of the workloads of Nomad, and of AWS.
    "metadata.Task",
    "metadata.canonical_arn",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, &["time"])?;
    let entry = record.text("type");
    draft.event_id = match (record.text("request.id"), entry) {
        // A request and its response are two entries under one id.
        (Some(id), Some(entry)) => Some(format!("{id}:{entry}").into()),
        (id, _) => id.map(Into::into),
    };
    draft.source = record.text("request.remote_address").map(Into::into);
    draft.user_agent = record.text("request.headers.user-agent").map(Into::into);
    let login = login_method(record);
    let auth = auth(record, login.is_some());
    // Every token that was made by hand is displayed as `token`: that names nobody.
    let displayed = auth.text("display_name").filter(|name| *name != "token");
    let certificate = record.text("request.client_certificate_serial_number");
    draft.instance = auth.text("metadata.AllocationID").map(Into::into);
    if let Some(agent) = auth.text("entity_id").or(displayed) {
        draft.agent = Some(agent.into());
        draft.class = Some(class(record, auth));
        draft.credential = login.map_or_else(
            || credential(record),
            |(kind, method)| Some((kind, format!("{method}:{agent}").into())),
        );
    } else if let (Some(serial), None) = (certificate, credential(record)) {
        // Whoever speaks KMIP shows a certificate and has no token.
        draft.agent = Some(format!("certificate:{serial}").into());
        draft.class = Some("vault:kmip-client".into());
        draft.credential = Some((CredentialKind::Certificate, serial.into()));
    } else if record.at("request").is_some() && credential(record).is_none() {
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        draft.credential = Some(match (login, named_by_path(record)) {
            (Some((kind, method)), Some(name)) => (kind, format!("{method}:{name}").into()),
            _ => anonymous(record),
        });
    } else if let Some((kind, id)) = credential(record) {
        // A token without an entity has no name but its accessor.
        draft.agent = Some(format!("token:{id}").into());
        draft.class = Some(class(record, auth));
        draft.credential = Some((kind, id));
    }
    let path = record.text("request.path");
    let mount = record
        .text("request.mount_type")
        .or_else(|| path.and_then(|path| path.split('/').next()))
        .filter(|mount| !mount.is_empty());
    draft.action = record.text("request.operation").map(|operation| {
        mount.map_or(operation.into(), |mount| format!("{mount}.{operation}").into())
    });
    if let (None, Some(kmip)) = (&draft.action, record.at("request.data.kmip_request")) {
        draft.action = tagged(kmip, "Operation").map(|number| format!("kmip.{number}").into());
    }
    let namespace = record.text("request.namespace.path").map(|path| path.trim_end_matches('/'));
    draft.resource = path.map(|path| match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/{path}").into(),
        Some(_) | None => path.into(),
    });
    draft.resource_kind = mount.map(Into::into);
    (draft.outcome, draft.outcome_reason) = outcome(record, login.is_some());
    if let Some(kmip) = record.at("response.data.kmip_response") {
        (draft.outcome, draft.outcome_reason) = outcome_of_kmip(kmip);
    }
    keep(record, &mut draft);
    Ok(draft)
}

/// By the error, which is in the answer where a backend refused; its words may be hashed there.
fn outcome<'a>(record: &'a Json<'_>, is_login: bool) -> (Outcome, Option<Word<'a>>) {
    if let Some(error) = record.text("error") {
        return (verdict::of_error(error), Some(error.trim().to_owned().into()));
    }
    if record.is_false("auth.policy_results.allowed") {
        return (Outcome::Denied, None);
    }
    let Some(data) = record.at("response.data") else { return (Outcome::Success, None) };
    // A secret may have fields of these names: alone or beside a body they are Vault's.
    let status = data.text("http_status_code").filter(|_| data.has("http_raw_body"));
    if let Some(outcome @ (Outcome::Denied | Outcome::Error)) = status.and_then(verdict::of_http) {
        return (outcome, status.map(Into::into));
    }
    let is_secret =
        matches!(record.text("request.mount_type"), Some("kv" | "generic" | "cubbyhole"));
    match data.text("error").filter(|_| data.fields().len() == 1 && !is_secret) {
        Some(_) if is_login => (Outcome::Denied, None),
        Some(error) => (verdict::of_error(error.strip_prefix(HASH).map_or(error, |_| "")), None),
        None => (Outcome::Success, None),
    }
}

/// Whose token it is. Of a login that is in its answer too, in some releases there alone.
fn auth<'a>(record: &'a Json<'_>, is_login: bool) -> &'a Json<'a> {
    let names_one = |auth: &&Json<'_>| auth.first(&["entity_id", "display_name"]).is_some();
    let answered = record.at("response.auth").filter(|auth| is_login && names_one(auth));
    let own = record.at("auth");
    own.filter(names_one).or(answered).or(own).unwrap_or(&Json::Null)
}

fn anonymous<'a>(record: &'a Json<'_>) -> (CredentialKind, Word<'a>) {
    let from = record.text("request.remote_address").unwrap_or("unknown");
    (CredentialKind::Anonymous, format!("anonymous:{from}").into())
}

fn class<'a>(record: &'a Json<'_>, auth: &'a Json<'_>) -> Word<'a> {
    let kind = auth.text("token_type").or_else(|| record.text("request.client_token_type"));
    match (auth.first(CLASSES), auth.text("display_name"), kind) {
        (Some(class), ..) => class.into(),
        (None, Some("root"), _) => "vault:root".into(),
        (None, _, Some(kind)) => format!("vault:{kind}-token").into(),
        (None, _, None) => "vault:token".into(),
    }
}

fn credential<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    let accessor = record.first(&["auth.accessor", "request.client_token_accessor"]);
    let tokens = ["auth.client_token", "request.client_token"];
    let hashed = tokens.iter().filter_map(|path| record.text(path));
    let id = accessor.or_else(|| hashed.into_iter().find(|token| token.starts_with(HASH)))?;
    // A root token alone lives for ever.
    let is_root = record.text("auth.display_name") == Some("root")
        || record.list("auth.policies").iter().any(|policy| policy.as_text() == Some("root"));
    let kind = if is_root { CredentialKind::StaticKey } else { CredentialKind::AccessToken };
    Some((kind, id.into()))
}

/// What a login presents, and to which method: the type of its mount, else the mount's name, which is
/// that of its type unless somebody chose another.
fn login_method<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, &'a str)> {
    let mut parts = record.text("request.path")?.split('/');
    let mount = (parts.next() == Some("auth")).then(|| parts.next())??;
    if !parts.any(|part| matches!(part, "login" | "callback")) {
        return None;
    }
    let method = record.text("request.mount_type").unwrap_or(mount);
    let kind = match method {
        "userpass" | "ldap" | "radius" | "okta" => CredentialKind::Password,
        "approle" => CredentialKind::StaticKey,
        "kubernetes" => CredentialKind::ServiceAccountToken,
        // Of these three a proof that the cloud signed.
        "aws" | "gcp" | "azure" | "jwt" | "oidc" | "saml" | "github" | "kerberos" => {
            CredentialKind::AccessToken
        }
        "cert" | "cf" => CredentialKind::Certificate,
        _ => CredentialKind::Unknown,
    };
    Some((kind, method))
}

/// The name behind `login/`, which methods that take a password have there.
fn named_by_path<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let (_, name) = record.text("request.path")?.rsplit_once("/login/")?;
    Some(name).filter(|name| !name.is_empty())
}

/// The value of the first element of a KMIP message that has this tag.
fn tagged<'j>(message: &'j Json<'_>, tag: &str) -> Option<&'j str> {
    if message.text("tag") == Some(tag) {
        return message.text("value");
    }
    message.list("value").iter().find_map(|element| tagged(element, tag))
}

/// Source: OASIS, *KMIP*, enumerations of the result status and the result reason.
fn outcome_of_kmip<'a>(answer: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    const SUCCESS: &str = "0x00000000";
    const NOT_AUTHENTICATED: &str = "0x00000003";
    const NOT_PERMITTED: &str = "0x0000000c";
    let reason = tagged(answer, "ResultReason");
    match (tagged(answer, "ResultStatus"), reason) {
        (Some(SUCCESS) | None, _) => (Outcome::Success, None),
        (Some(_), Some(NOT_AUTHENTICATED | NOT_PERMITTED)) => {
            (Outcome::Denied, reason.map(Into::into))
        }
        (status, reason) => (Outcome::Error, reason.or(status).map(Into::into)),
    }
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("display_name", "auth.display_name"),
            ("entity_id", "auth.entity_id"),
            ("entry", "type"),
            ("issued_accessor", "response.auth.accessor"),
            ("issued_lease_id", "response.secret.lease_id"),
            ("issued_wrapped_accessor", "response.wrap_info.wrapped_accessor"),
            ("issued_wrapping_accessor", "response.wrap_info.accessor"),
            ("forwarded_from", "forwarded_from"),
            ("mount_accessor", "request.mount_accessor"),
            ("namespace", "request.namespace.path"),
            ("policies", "auth.policies"),
            ("remaining_uses", "auth.remaining_uses"),
            ("ttl_seconds", "auth.token_ttl"),
            ("issue_time", "auth.token_issue_time"),
            ("token_kind", "auth.token_type"),
        ],
    );
    for (name, value) in record.at("auth.metadata").map_or(&[][..], Json::fields) {
        draft.keep(format!("metadata.{name}"), value.told());
    }
}
