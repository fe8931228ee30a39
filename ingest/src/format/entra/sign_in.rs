//! Sign-ins: who signed in, with what, to which app, and what their errors mean.
//!
//! Invariant: what does not show that it is a sign-in is not called one; an error that asks for another
//! step refuses nobody.

use schemas::{CredentialKind, Outcome};

use super::super::draft::{Draft, Word};
use super::super::json::Json;
use super::{Fault, agent_type, tenant};

pub(super) fn read<'a>(record: &'a Json<'_>, properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let category = record.text("category").unwrap_or_default();
    let code = error_code(record, properties);
    let user = properties.first(&["userPrincipalName", "userId"]);
    // Beside a user the name of a service principal is that of the app that was signed in to.
    let name = properties.text("servicePrincipalName").filter(|_| user.is_none());
    let is_agent = agent_type(properties).is_some();
    let is_of_user = !is_agent && user.is_some() && is_of_user(record, properties);
    // The app that a user signs in with may have one, too.
    let principal = properties.text("servicePrincipalId").or(name).filter(|_| !is_of_user);
    if is_of_user {
        draft.keep("service_principal_id", properties.text("servicePrincipalId"));
    }
    let app = properties.text("appId");
    draft.agent = match (principal, user) {
        (Some(principal), _) => Some(principal.into()),
        (None, Some(_)) if is_agent => app.map(Into::into),
        (None, user) => user.or(app).map(Into::into),
    };
    let is_program = principal.is_some() || is_agent || user.is_none();
    draft.class = match (is_program, properties.text("agent.parentAppId").or(app)) {
        (true, Some(blueprint)) => Some(blueprint.into()),
        (true, None) => Some("entra:service-principal".into()),
        (false, _) => Some("entra:user".into()),
    };
    // The user that an agent has of its own is no person; what stands behind it is the agent's identity.
    let subject = properties.text("agent.agentSubjectType").or_else(|| agent_type(properties));
    let is_own_user = subject.is_some_and(|kind| kind.eq_ignore_ascii_case("agentIDuser"));
    if is_own_user {
        draft.delegation.extend(properties.text("agent.agentSubjectParentId").map(Into::into));
        draft.keep("agent_user", user);
    } else if is_program {
        draft.delegation.extend(user.map(Into::into));
    }
    let kinds = ["managedIdentityType", "managedServiceIdentity.msiType"];
    let kind = properties.first(&kinds).filter(|kind| *kind != "none");
    let managed = properties.first(&["servicePrincipalId", "appId"]);
    draft.credential = match managed {
        Some(id) if category == "ManagedIdentitySignInLogs" || kind.is_some() => {
            Some((CredentialKind::Platform, format!("managed-identity:{id}").into()))
        }
        Some(_) | None => credential(properties, is_program, code)
            .or_else(|| unnamed(properties, category, code, draft.agent.as_deref()?)),
    };
    for (name, path) in [
        ("sign_in_identifier", "signInIdentifier"),
        ("alternate_sign_in_name", "alternateSignInName"),
    ] {
        // Of a person mostly the name that they are known by.
        draft
            .keep(name, properties.text(path).filter(|told| draft.agent.as_deref() != Some(*told)));
    }
    let resource = properties.first(&["resourceDisplayName", "resourceId"]);
    draft.resource = resource.map(Into::into);
    draft.resource_kind = resource.map(|_| "app".into());
    draft.counterparty = other_tenant(record, properties)
        .map(|tenant| ("tenant".into(), tenant.into()))
        .or_else(|| Some(("app".into(), properties.first(APPS)?.into())));
}

/// Whether a record says of itself that a user signs in, and no service principal.
fn is_of_user(record: &Json<'_>, properties: &Json<'_>) -> bool {
    const CATEGORIES: [&str; 2] = ["SignInLogs", "NonInteractiveUserSignInLogs"];
    let category = record.text("category").or_else(|| properties.text("category"));
    // Log Analytics has the list as a text.
    let mut events = properties.list("signInEventTypes").iter().filter_map(Json::as_text);
    category.is_some_and(|category| CATEGORIES.contains(&category))
        || events.any(|event| event.to_ascii_lowercase().contains("interactiveuser"))
        || (category.is_none() && has_client(properties))
}

/// Whether a browser or another program of a person's is told, of which a service principal has none.
fn has_client(properties: &Json<'_>) -> bool {
    properties.text("clientAppUsed").is_some_and(|client| !client.eq_ignore_ascii_case("unknown"))
}

/// Where an app that was signed in to is told, its id first: Log Analytics has it as `ResourceIdentity`.
const APPS: &[&str] =
    &["resourceServicePrincipalId", "resourceIdentity", "resourceId", "resourceDisplayName"];

/// The tenant of the principal or of the app that is not the log's own, if one is.
fn other_tenant<'a>(record: &'a Json<'_>, properties: &'a Json<'_>) -> Option<&'a str> {
    let home = properties.text("homeTenantId")?;
    let resource = properties.text("resourceTenantId").filter(|resource| *resource != home)?;
    Some(if tenant(record) == Some(resource) { home } else { resource })
}

/// The key or certificate that was shown, else the token that was given for it.
fn credential<'a>(
    properties: &'a Json<'_>,
    is_program: bool,
    code: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    let print = properties.text("servicePrincipalCredentialThumbprint");
    let kind = match properties.text("clientCredentialType").unwrap_or_default() {
        "clientAssertion" | "certificate" => CredentialKind::Certificate,
        "federatedIdentityCredential" | "managedIdentity" => CredentialKind::AccessToken,
        // Only a certificate has a thumbprint.
        _ if print.is_some() => CredentialKind::Certificate,
        _ => CredentialKind::StaticKey,
    };
    if let Some(key) = properties.text("servicePrincipalCredentialKeyId") {
        return Some((kind, key.into()));
    }
    if let Some(print) = print {
        return Some((CredentialKind::Certificate, print.into()));
    }
    let user = properties.first(&["userPrincipalName", "userId"]).filter(|_| !is_program);
    if let (Some(kind), Some(user)) = (shown_by_person(properties, code), user) {
        return Some((kind, format!("{kind}:{user}").into()));
    }
    if let Some(federated) = properties.text("federatedCredentialId") {
        return Some((CredentialKind::AccessToken, federated.into()));
    }
    // A program that was not let in got none, and there is nothing else that it was asked for.
    let is_without = is_program && of_code(code) != Outcome::Success;
    let token = properties.first(&["uniqueTokenIdentifier", "signInActivityId"]);
    Some((CredentialKind::AccessToken, token.filter(|_| !is_without)?.into()))
}

/// What a person was asked for first, where it is a password, a code or a certificate; of a key that
/// leaves no device, as of what was satisfied before, nothing but the token is told.
fn shown_by_person(properties: &Json<'_>, code: &str) -> Option<CredentialKind> {
    const CODES: [&str; 6] =
        ["password", "temporary access pass", "text message", "sms", "oath", "verification code"];
    let mut methods = properties.list("authenticationDetails").iter();
    let methods = methods.by_ref().filter_map(|one| one.text("authenticationMethod"));
    let mut methods = methods.filter(|method| !method.eq_ignore_ascii_case("previously satisfied"));
    let first = methods.next().unwrap_or_default().to_ascii_lowercase();
    // These are named after passwords that they do without.
    let is_code =
        CODES.iter().any(|word| first.contains(word)) || first == "pass-through authentication";
    let is_without = first.contains("passwordless");
    if PASSWORD_ERRORS.contains(&code) || (is_code && !is_without) {
        return Some(CredentialKind::Password);
    }
    first.contains("x.509").then_some(CredentialKind::Certificate)
}

/// What a sign-in is called where its record does not say so.
pub(super) fn name(record: &Json<'_>, properties: &Json<'_>) -> Result<&'static str, Fault> {
    let marks = ["status.errorCode", "resultType", "errorCode", "signInEventTypes"];
    let has_any = |names: &[&str]| [record, properties].iter().any(|at| at.first(names).is_some());
    if has_any(&marks) && has_any(&["createdDateTime", "time", "timeGenerated"]) {
        return Ok("Sign-in activity");
    }
    let detail = "wanted sign-ins, audit, provisioning or calls to Graph, found another record";
    Err(Fault::bad_field(detail))
}

/// Of what sort the credential was, where no id of it is told.
fn unnamed<'a>(
    properties: &'a Json<'_>,
    category: &str,
    code: &str,
    agent: &str,
) -> Option<(CredentialKind, Word<'a>)> {
    let shown = properties.text("clientCredentialType").unwrap_or_default();
    let incoming = properties.text("incomingTokenType").filter(|kind| *kind != "none");
    let (kind, prefix) = match shown {
        _ if SECRET_ERRORS.contains(&code) => (CredentialKind::StaticKey, "secret"),
        "clientSecret" => (CredentialKind::StaticKey, "secret"),
        "clientAssertion" | "certificate" => (CredentialKind::Certificate, "certificate"),
        "federatedIdentityCredential" => (CredentialKind::AccessToken, "token"),
        // Nobody is asked: an application shows the token that it has.
        _ if incoming.is_some() || category == "NonInteractiveUserSignInLogs" => {
            (CredentialKind::AccessToken, "token")
        }
        _ => return None,
    };
    Some((kind, format!("{prefix}:{agent}").into()))
}

/// Errors that tell that a password was typed: wrong, locked, expired, none.
pub(super) const PASSWORD_ERRORS: &[&str] = &["50126", "50053", "50055", "50056"];
/// Errors that tell that an application's secret was shown: wrong, expired.
const SECRET_ERRORS: &[&str] = &["7000215", "7000222"];
/// Errors with which Entra asks for another step or finds a request malformed, and refuses nobody.
const INTERRUPTS: &[&str] = &[
    "16000", "16001", "16003", "40008", "50011", "50058", "50059", "50072", "50076", "50079",
    "50097", "50125", "50129", "50140", "50143", "50158", "50199", "50203", "50206", "51006",
    "65001", "70003", "70005", "70011", "70016", "165900", "500011", "700016", "900144", "900561",
    "9002313",
];
/// Of the service's own errors those that refuse: who is no member of the tenant, and what only an
/// administrator may consent to.
const REFUSALS: &[&str] = &["90072", "90093", "90094", "90095"];

pub(super) fn error_code<'a>(record: &'a Json<'_>, properties: &'a Json<'_>) -> &'a str {
    let code = properties.first(&["status.errorCode", "errorCode"]);
    code.or_else(|| record.text("resultType")).unwrap_or("0")
}

/// How a sign-in with this error ended.
pub(super) fn of_code(code: &str) -> Outcome {
    match code.parse::<u32>() {
        Ok(0) => Outcome::Success,
        _ if INTERRUPTS.contains(&code) => Outcome::Error,
        _ if REFUSALS.contains(&code) => Outcome::Denied,
        // 90000 and up: the service itself could not, and trying again may help.
        Ok(90_000..=99_999) => Outcome::Error,
        Err(_) if code.eq_ignore_ascii_case("success") => Outcome::Success,
        Ok(_) | Err(_) => Outcome::Denied,
    }
}
