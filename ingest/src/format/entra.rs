//! Microsoft Entra sign-ins (of users, service principals, managed identities and agents), audit events,
//! provisioning and calls to Microsoft Graph, as Azure's diagnostic settings stream them or as Microsoft
//! Graph returns them.
//!
//! Invariant: a sign-in of an agent for a user names both: the agent acts, the user is whom it claims
//! to act for, unless the user is the agent's own. What Microsoft found out about a principal is no act of it.
//!
//! Source: Microsoft, *Azure AD sign-in logs schema*, *Graph signIn, agentSignIn, directoryAudit,
//! provisioningObjectSummary and riskyServicePrincipal resource types*, *Error codes* (`AADSTS`).

use schemas::{CredentialKind, Outcome, RejectReason, Timestamp};

use super::draft::{Draft, Needs, Word, time_of};
use super::json::Json;
use super::{Fault, kebab, single, verdict};

pub(super) const NEEDS: Needs = Needs {
    agent: "properties.{servicePrincipalId,userPrincipalName,initiatedBy}",
    action: "operationName",
    time: "time",
};
const TIMES: &[&str] = &[
    "properties.createdDateTime",
    "properties.activityDateTime",
    "createdDateTime",
    "activityDateTime",
    "time",
    // Of Log Analytics, and of its table of calls to Microsoft Graph.
    "properties.timeGenerated",
    "timeGenerated",
];

/// Parts of the categories that are read.
const CATEGORIES: [&str; 4] = ["SignInLogs", "AuditLogs", "ProvisioningLogs", "GraphActivityLogs"];
/// What only a record about the risk of a principal has.
const RISKS: [&str; 2] = ["riskLastUpdatedDateTime", "riskEventType"];
/// Of what is no address.
const NONE: &str = "<null>";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let record = single(record, "records")?;
    let mut draft = Draft::timed(NEEDS, record, TIMES, |text| {
        time_of(text).or_else(|error| time_of_month_first(text).ok_or(error))
    })?;
    // Graph returns the properties alone.
    let properties = match record.at("properties") {
        Some(properties @ Json::Object(_)) => properties,
        Some(_) | None => record,
    };
    let category = record.text("category").or_else(|| properties.text("category"));
    if RISKS.iter().any(|name| properties.has(name)) && !properties.has("status") {
        let detail = "wanted an act of a principal, found a risk that was detected";
        return Err(Fault::new(RejectReason::NoAgent, detail));
    }
    let called = properties.text("requestMethod");
    let id = properties.text("id");
    let id = id.or_else(|| properties.text("requestId").filter(|_| called.is_some()));
    draft.event_id = id.map(Into::into);
    draft.session = properties.first(&["sessionId", "C_Sid"]).map(Into::into);
    origin(record, properties, &mut draft);
    let is_audit = properties.at("initiatedBy").is_some()
        || properties.at("targetResources").is_some()
        || properties.at("activityDisplayName").is_some();
    if properties.has("provisioningAction") || properties.has("provisioningSteps") {
        provisioned(properties, &mut draft);
    } else if is_audit {
        audit(properties, &mut draft);
    } else {
        let category = record.text("category").unwrap_or_default();
        sign_in(properties, category, error_code(record, properties), &mut draft);
    }
    if draft.agent.is_none() {
        draft.agent = record.text("identity").map(Into::into);
    }
    let is_read = category.is_none_or(|found| CATEGORIES.iter().any(|part| found.contains(part)));
    if draft.agent.is_none() && !is_read && !is_audit {
        let detail =
            "`category`: wanted sign-ins, audit, provisioning or calls to Graph, found another";
        return Err(Fault::bad_field(detail));
    }
    if called.is_some() {
        call(properties, &mut draft);
    }
    let operation = called
        .or_else(|| properties.first(&["activityDisplayName", "operationName"]))
        .or_else(|| record.text("operationName"));
    // Graph does not name its sign-ins.
    let operation =
        operation.or((!is_audit && draft.agent.is_some()).then_some("Sign-in activity"));
    draft.action = operation.map(|operation| {
        category.map_or(operation.into(), |category| format!("{category}:{operation}").into())
    });
    (draft.outcome, draft.outcome_reason) = outcome(record, properties, is_audit);
    keep(record, properties, &mut draft);
    Ok(draft)
}

/// Whence it came, and with which program.
fn origin<'a>(record: &'a Json<'_>, properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let own = properties.first(&["ipAddress", "initiatedBy.user.ipAddress"]);
    let detail = |name: &str| {
        let details = properties.list("additionalDetails").iter();
        details.filter(|one| one.text("key") == Some(name)).find_map(|one| one.text("value"))
    };
    let source = own.or_else(|| detail("ipaddr")).or_else(|| record.text("callerIpAddress"));
    draft.source = source.filter(|address| *address != NONE).map(Into::into);
    let program = properties.text("userAgent").or_else(|| detail("User-Agent"));
    draft.user_agent = program.map(Into::into);
}

/// What an agent is, if Entra says that the actor is one.
fn agent_type<'a>(properties: &'a Json<'_>) -> Option<&'a str> {
    properties
        .first(&[
            "agent.agentType",
            "agentType",
            "initiatedBy.app.agentType",
            "performedBy.agentType",
        ])
        .filter(|kind| !kind.eq_ignore_ascii_case("notAgentic"))
}

/// A time as some of Azure's services write it, e.g. `12/31/2025 3:03:58 PM` or `1/9/2007 09:41:00.5
/// +01:00`; in UTC if there is no other.
fn time_of_month_first(text: &str) -> Option<Timestamp> {
    let mut words = text.split(' ').peekable();
    let (date, clock) = (words.next()?, words.next()?);
    let half = words.next_if(|word| matches!(*word, "AM" | "PM"));
    let offset = words.next().unwrap_or("Z");
    let number = |part: Option<&str>| part?.parse::<u32>().ok();
    let mut date = date.split('/');
    let (month, day, year) = (number(date.next())?, number(date.next())?, number(date.next())?);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':');
    let (hour, minute, second) =
        (number(clock.next())?, number(clock.next())?, number(clock.next())?);
    let hour = match half {
        None => hour,
        Some("AM") => hour % 12,
        Some(_) => hour % 12 + 12,
    };
    if words.next().is_some() {
        return None;
    }
    let day = format!("{year:04}-{month:02}-{day:02}");
    let text = format!("{day}T{hour:02}:{minute:02}:{second:02}.{fraction}{offset}");
    Timestamp::parse(&text).ok()
}

fn sign_in<'a>(properties: &'a Json<'_>, category: &str, code: &str, draft: &mut Draft<'a>) {
    let user = properties.first(&["userPrincipalName", "userId"]);
    // Beside a user the name of a service principal is that of the app that was signed in to.
    let name = properties.text("servicePrincipalName").filter(|_| user.is_none());
    let principal = properties.text("servicePrincipalId").or(name);
    let app = properties.text("appId");
    let is_agent = agent_type(properties).is_some();
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
            .or_else(|| unnamed(properties, category, code, principal.or(user).or(app)?)),
    };
    let resource = properties.first(&["resourceDisplayName", "resourceId"]);
    draft.resource = resource.map(Into::into);
    draft.resource_kind = resource.map(|_| "app".into());
    let (home, other) = (properties.text("homeTenantId"), properties.text("resourceTenantId"));
    draft.counterparty = match (home, other) {
        (Some(home), Some(other)) if home != other => Some(("tenant".into(), other.into())),
        _ => properties
            .first(&["resourceServicePrincipalId", "resourceId", "resourceDisplayName"])
            .map(|app| ("app".into(), app.into())),
    };
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
    if let Some(federated) = properties.text("federatedCredentialId") {
        return Some((CredentialKind::AccessToken, federated.into()));
    }
    let user = properties.first(&["userPrincipalName", "userId"]).filter(|_| !is_program);
    if let (Some(kind), Some(user)) = (shown_by_person(properties, code), user) {
        return Some((kind, format!("{kind}:{user}").into()));
    }
    let is_secret_refused = SECRET_ERRORS.contains(&code);
    let token = properties.first(&["uniqueTokenIdentifier", "signInActivityId"]);
    Some((CredentialKind::AccessToken, token.filter(|_| !is_secret_refused)?.into()))
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

/// A call to Microsoft Graph: by whom it was is told as of a sign-in.
fn call<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let uri = properties.text("requestUri").and_then(|uri| uri.split('?').next());
    draft.resource = uri.map(Into::into);
    draft.resource_kind = uri.map(|_| "url".into());
    draft.counterparty =
        uri.and_then(super::arguments::host).map(|host| ("host".into(), host.into()));
    let agent = draft.agent.clone();
    if let (None, Some(agent)) = (&draft.credential, agent) {
        let kind = match properties.text("clientAuthMethod") {
            Some("1") => Some((CredentialKind::StaticKey, "secret")),
            Some("2") => Some((CredentialKind::Certificate, "certificate")),
            _ => None,
        };
        draft.credential = kind.map(|(kind, prefix)| (kind, format!("{prefix}:{agent}").into()));
    }
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
const PASSWORD_ERRORS: &[&str] = &["50126", "50053", "50055", "50056"];
/// Errors that tell that an application's secret was shown: wrong, expired.
const SECRET_ERRORS: &[&str] = &["7000215", "7000222"];
/// Errors with which Entra asks for another step or finds a request malformed, and refuses nobody.
const INTERRUPTS: &[&str] = &[
    "16000", "16001", "16003", "40008", "50011", "50058", "50059", "50072", "50079", "50097",
    "50125", "50129", "50140", "50143", "50199", "50203", "50206", "51006", "65001", "70003",
    "70005", "70011", "70016", "165900", "500011", "700016", "900144", "900561", "9002313",
];
/// Of the service's own errors those that refuse: who is no member of the tenant.
const REFUSALS: &[&str] = &["90072"];

fn error_code<'a>(record: &'a Json<'_>, properties: &'a Json<'_>) -> &'a str {
    let code = properties.first(&["status.errorCode", "errorCode"]);
    code.or_else(|| record.text("resultType")).unwrap_or("0")
}

/// What the provisioning service did, and for whom.
fn provisioned<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let initiator = properties.first(&["initiatedBy.id", "initiatedBy.displayName"]);
    draft.agent = initiator.or_else(|| properties.text("initiatedBy.name")).map(Into::into);
    let kind = properties.first(&["initiatedBy.initiatorType", "initiatedBy.type"]);
    let class = match kind.unwrap_or_default().to_ascii_lowercase().as_str() {
        "user" => "entra:user",
        "application" | "app" => "entra:service-principal",
        _ => "entra:system",
    };
    draft.class = Some(class.into());
    if let (Some(agent), "entra:system") = (&draft.agent, class) {
        draft.credential = Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    let name = |name: &str| properties.at(name)?.first(&["displayName", "name", "id"]);
    draft.resource = name("targetIdentity").or_else(|| name("sourceIdentity")).map(Into::into);
    let kinds =
        ["targetIdentity.identityType", "targetIdentity.type", "sourceIdentity.identityType"];
    draft.resource_kind = properties.first(&kinds).map(|kind| kebab(kind).into());
    draft.counterparty = name("targetSystem").map(|system| ("app".into(), system.into()));
    draft.keep_each(
        properties,
        &[
            ("initiated_by", "initiatedBy.displayName"),
            ("provisioning_action", "provisioningAction"),
            ("source_identity", "sourceIdentity.id"),
        ],
    );
}

/// How provisioning ended; what was left out on purpose did not fail.
const STATUSES: [&str; 2] = ["provisioningStatusInfo", "statusInfo"];

fn audit<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let app = properties
        .first(&["initiatedBy.app.servicePrincipalId", "initiatedBy.app.appId", "performedBy.id"])
        .or_else(|| properties.text("initiatedBy.app.displayName"));
    let user = properties.first(&["initiatedBy.user.userPrincipalName", "initiatedBy.user.id"]);
    draft.agent = app.or(user).map(Into::into);
    draft.class = match (app, properties.first(&["initiatedBy.app.appId", "performedBy.appId"])) {
        (Some(_), Some(blueprint)) => Some(blueprint.into()),
        (Some(_), None) => Some("entra:service-principal".into()),
        (None, _) => user.map(|_| "entra:user".into()),
    };
    if app.is_some() {
        draft.delegation.extend(user.map(Into::into));
    }
    let name = |one: &'a Json<'_>| one.first(&["userPrincipalName", "displayName", "id"]);
    let targets = properties.list("targetResources");
    if let Some((target, name)) = targets.iter().find_map(|one| Some((one, name(one)?))) {
        draft.resource = Some(name.into());
        draft.resource_kind = target.text("type").map(|kind| kebab(kind).into());
    }
    let user = targets.iter().find(|one| one.text("type") == Some("User"));
    draft.counterparty = user.and_then(name).map(|user| ("entra_user".into(), user.into()));
}

fn outcome<'a>(
    record: &'a Json<'_>,
    properties: &'a Json<'_>,
    is_audit: bool,
) -> (Outcome, Option<Word<'a>>) {
    if is_audit {
        let provisioned = STATUSES.iter().find_map(|name| properties.at(name));
        let result = provisioned.and_then(|info| info.text("status"));
        let result = result.or_else(|| properties.text("result"));
        let result = result.or_else(|| record.text("resultType"));
        let error = provisioned.and_then(|info| info.at("errorInformation"));
        let reason = error.and_then(|error| error.first(&["errorCode", "reason"]));
        let reason = reason.or_else(|| properties.text("resultReason"));
        return match result.map(str::to_ascii_lowercase).as_deref() {
            Some("success" | "0" | "skipped" | "warning") | None => (Outcome::Success, None),
            Some(_) => {
                (verdict::of_error(reason.unwrap_or_default()), reason.or(result).map(Into::into))
            }
        };
    }
    if let Some(status) = properties.text("responseStatusCode") {
        let outcome = verdict::of_http(status).unwrap_or(Outcome::Error);
        return (outcome, Some(status.into()).filter(|_| outcome != Outcome::Success));
    }
    let code = error_code(record, properties);
    let reason = properties.first(&["status.failureReason", "failureReason"]);
    let reason = reason.or_else(|| record.text("resultDescription")).unwrap_or(code);
    match code.parse::<u32>() {
        Ok(0) => (Outcome::Success, None),
        _ if INTERRUPTS.contains(&code) => (Outcome::Error, Some(reason.into())),
        _ if REFUSALS.contains(&code) => (Outcome::Denied, Some(reason.into())),
        // 90000 and up: the service itself could not, and trying again may help.
        Ok(90_000..=99_999) => (Outcome::Error, Some(reason.into())),
        Err(_) if code.eq_ignore_ascii_case("success") => (Outcome::Success, None),
        Ok(_) | Err(_) => (Outcome::Denied, Some(reason.into())),
    }
}

fn keep<'a>(record: &'a Json<'_>, properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[("correlation_id", "correlationId"), ("tenant_id", "tenantId"), ("level", "Level")],
    );
    draft.keep("agent_type", agent_type(properties));
    draft.keep_each(
        properties,
        &[
            ("app_id", "appId"),
            ("app_name", "appDisplayName"),
            ("authentication_protocol", "authenticationProtocol"),
            ("browser", "deviceDetail.browser"),
            ("city", "location.city"),
            ("client_app_used", "clientAppUsed"),
            ("client_credential_type", "clientCredentialType"),
            ("conditional_access_status", "conditionalAccessStatus"),
            ("country", "location.countryOrRegion"),
            ("cross_tenant_access_type", "crossTenantAccessType"),
            ("device_id", "deviceDetail.deviceId"),
            ("device_name", "deviceDetail.displayName"),
            ("error_code", "status.errorCode"),
            ("incoming_token_type", "incomingTokenType"),
            ("initiated_by_app", "initiatedBy.app.displayName"),
            ("is_interactive", "isInteractive"),
            ("issued_token_id", "uniqueTokenIdentifier"),
            ("logged_by", "loggedByService"),
            ("modified_properties", "targetResources.modifiedProperties"),
            ("operation_type", "operationType"),
            ("os", "deviceDetail.operatingSystem"),
            ("resource_id", "resourceId"),
            ("resource_service_principal_id", "resourceServicePrincipalId"),
            ("risk_level", "riskLevelDuringSignIn"),
            ("risk_state", "riskState"),
            ("service_principal_name", "servicePrincipalName"),
            ("user_id", "userId"),
        ],
    );
}
