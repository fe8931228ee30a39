//! HashiCorp Vault audit entries, requests and responses.
//!
//! Invariant: the data of a request or answer is not kept but for the id of a key that was made, and a client
//! token only if Vault hashed it: an audit device may be told to write both raw, and writes every path raw. A
//! login presents what its method takes, and the token it got for it is the issued one. Who acts for another by
//! a JWT is the agent.
//!
//! Source: HashiCorp, *Audit Devices*, *Audit log schema*, `audit/types.go` (entry formats). Hashes join
//! only within one audit device, whose salt they have.

use schemas::{CredentialKind, Outcome};

use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::{Fault, verdict};

pub(super) const NEEDS: Needs = Needs { agent: "auth", action: "request.operation", time: "time" };

const UNAUTHENTICATED: &str = "vault:unauthenticated";
/// The id of the JWT that a request shows in place of a token of Vault's.
const JWT_ID: &str = "metadata.jwt_unique_id";
/// Who shows a JWT to act for another: by the id or the name in the registry of agents, not all records have
/// both.
const ACTORS: &[&str] = &["metadata.actor_entity_id", "metadata.actor_entity_name"];
/// What a node that serves reads alone says of a request that it hands on: the active node writes it again, with
/// who made it.
const HANDED_ON: &str = "please forward to the active node";
/// How Vault begins the hash of a value.
const HASH: &str = "hmac-sha256:";

/// What the token's login method knows of its holder, the most telling first.
const CLASSES: &[&str] = &[
    // Of the holder of a JWT who acts for another.
    "metadata.actor_entity_name",
    "metadata.role_name",
    "metadata.role",
    "metadata.service_account_name",
    "metadata.username",
    // Of the workloads of Nomad, and of AWS.
    "metadata.Task",
    "metadata.canonical_arn",
    // Of a certificate: the role that takes it, else its holder.
    "metadata.cert_name",
    "metadata.common_name",
];

/// What whoever is to decide about a login says when it cannot: every other error of one refuses it.
const BROKEN: &[&str] = &[
    "could not load",
    "connection refused",
    "connection reset",
    "no such host",
    "timeout",
    "timed out",
    "deadline exceeded",
    "unavailable",
    "internal error",
    "internal server error",
    "is sealed",
    "not configured",
    "unsupported",
    "code 5",
    "code: 5",
    "status 5",
    "status: 5",
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
    let actor = auth.first(ACTORS);
    // Every token that was made by hand is displayed as `token`: that names nobody.
    let displayed = auth.text("display_name").filter(|name| *name != "token");
    let certificate = record.text("request.client_certificate_serial_number");
    draft.instance = auth.text("metadata.AllocationID").map(Into::into);
    if let Some(agent) = actor.or(auth.text("entity_id")).or(displayed) {
        draft.agent = Some(agent.into());
        draft.delegation.extend(actor.and(auth.text("entity_id")).map(Into::into));
        draft.class = Some(class(record, auth));
        draft.credential = login.map_or_else(
            || credential(record),
            |(kind, method)| Some((kind, format!("{method}:{agent}").into())),
        );
    } else if let (Some(serial), true) = (certificate, entry.is_some_and(is_of_kmip)) {
        // Whoever speaks KMIP shows a certificate and has no token.
        draft.agent = Some(format!("certificate:{serial}").into());
        draft.class = Some("vault:kmip-client".into());
        draft.credential = Some((CredentialKind::Certificate, serial.into()));
    } else if credential(record).is_none() && has_policies(auth) {
        // There was a token, of which nothing is told but what its holder is.
        draft.agent = auth.first(CLASSES).map(Into::into);
        draft.class = Some(class(record, auth));
    } else if record.at("request").is_some()
        && credential(record).is_none()
        && !is_handed_on(record)
    {
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        draft.credential = Some(shown(record, login));
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
        let is_refused = is_login && !BROKEN.iter().any(|words| error.contains(words));
        let outcome = if is_refused { Outcome::Denied } else { verdict::of_error(error) };
        return (outcome, Some(error.trim().to_owned().into()));
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

/// Whether nobody looked yet at who asks.
fn is_handed_on(record: &Json<'_>) -> bool {
    record.text("error").is_some_and(|error| error.contains(HANDED_ON))
}

/// Whether somebody had a token, whatever the record tells of it.
fn has_policies(auth: &Json<'_>) -> bool {
    ["policies", "token_policies", "identity_policies"].iter().any(|name| auth.text(name).is_some())
}

/// What somebody without a token shows: at a login what its method takes, named as far as the request
/// tells; else nothing.
fn shown<'a>(
    record: &'a Json<'_>,
    login: Option<(CredentialKind, &'a str)>,
) -> (CredentialKind, Word<'a>) {
    let from = record.text("request.remote_address").unwrap_or("unknown");
    match login {
        Some((kind, method)) if kind != CredentialKind::Unknown => {
            let certificate = record.text("request.client_certificate_serial_number");
            let certificate = certificate.filter(|_| kind == CredentialKind::Certificate);
            let name = named_by_path(record).or(certificate).unwrap_or(from);
            (kind, format!("{method}:{name}").into())
        }
        Some(_) | None => (CredentialKind::Anonymous, format!("anonymous:{from}").into()),
    }
}

fn is_of_kmip(entry: &str) -> bool {
    entry.starts_with("kmip")
}

fn class<'a>(record: &'a Json<'_>, auth: &'a Json<'_>) -> Word<'a> {
    let kind = auth.text("token_type").or_else(|| record.text("request.client_token_type"));
    // The same name may be in each namespace of Kubernetes.
    let space = auth.text("metadata.service_account_namespace");
    let is_account = auth.first(&["metadata.role_name", "metadata.role"]).is_none();
    match (auth.first(CLASSES), auth.text("display_name"), kind) {
        (Some(class), ..) => match space.filter(|_| is_account) {
            Some(space) => format!("{space}/{class}").into(),
            None => class.into(),
        },
        (None, Some("root"), _) => "vault:root".into(),
        (None, ..) if auth.text(JWT_ID).is_some() => "vault:oauth-jwt".into(),
        (None, _, Some(kind)) => format!("vault:{kind}-token").into(),
        // Who was refused at a login is named after what was shown, and has no token.
        (None, ..)
            if login_method(record).is_some()
                && !has_policies(auth)
                && credential(record).is_none() =>
        {
            UNAUTHENTICATED.into()
        }
        (None, _, None) => "vault:token".into(),
    }
}

fn credential<'a>(record: &'a Json<'_>) -> Option<(CredentialKind, Word<'a>)> {
    if let Some(id) = record.at("auth").and_then(|auth| auth.text(JWT_ID)) {
        return Some((CredentialKind::AccessToken, id.into()));
    }
    let accessor = record.first(&["auth.accessor", "request.client_token_accessor"]);
    let tokens = ["auth.client_token", "request.client_token"];
    let hashed = tokens.iter().filter_map(|path| record.text(path));
    let id = accessor.or_else(|| hashed.into_iter().find(|token| token.starts_with(HASH)))?;
    // A root token alone lives for ever, if it was not made to end.
    let ends = record.text("auth.token_ttl").is_some_and(|seconds| seconds != "0");
    let is_root = record.text("auth.display_name") == Some("root")
        || record.list("auth.policies").iter().any(|policy| policy.as_text() == Some("root"));
    let kind =
        if is_root && !ends { CredentialKind::StaticKey } else { CredentialKind::AccessToken };
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
        // Of the first five a proof that the cloud signed, or would take.
        "aws" | "gcp" | "azure" | "alicloud" | "oci" | "jwt" | "oidc" | "saml" | "github"
        | "kerberos" => CredentialKind::AccessToken,
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

/// The token whose path this is: what is done to a token was once addressed so, before it was told in the
/// request's data.
pub(super) fn token_in_path<'j>(record: &'j Json<'_>) -> Option<&'j str> {
    let (_, behind) = record.text("request.path")?.split_once("auth/token/")?;
    let (verb, token) = behind.trim_end_matches('/').split_once('/')?;
    matches!(verb, "lookup" | "renew" | "revoke" | "revoke-orphan").then_some(token)
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

/// Parts of the paths under which an engine makes a key or certificate.
const MAKERS: &[&str] = &["creds", "sts", "rotate-root", "issue", "sign", "sign-verbatim"];

/// The id of the key or certificate that an engine made, where the log is told not to hash it
/// (`audit_non_hmac_response_keys`).
fn issued<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let name = match record.text("request.mount_type")? {
        "aws" | "alicloud" => "response.data.access_key",
        "pki" | "ssh" => "response.data.serial_number",
        _ => return None,
    };
    let mut parts = record.text("request.path")?.split('/');
    parts.find(|part| MAKERS.contains(part))?;
    record.text(name).filter(|id| !id.starts_with(HASH))
}

fn keep<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep("issued_credential_id", issued(record));
    draft.keep_each(
        record,
        &[
            ("display_name", "auth.display_name"),
            ("entity_id", "auth.entity_id"),
            ("entry", "type"),
            ("issued_accessor", "response.auth.accessor"),
            ("issued_policies", "response.auth.policies"),
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
