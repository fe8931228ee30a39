//! Microsoft Entra sign-ins (of users, service principals, managed identities and agents), audit events,
//! provisioning and calls to Microsoft Graph, as Azure's diagnostic settings stream them or as Microsoft
//! Graph returns them; Microsoft 365's unified audit log; and Azure's Activity Log.
//!
//! Invariant: a sign-in of an agent for a user names both: the agent acts, the user is whom it claims
//! to act for, unless the user is the agent's own. What Microsoft found out about a principal is no act of
//! it, and what does not show that it is a sign-in is none.
//!
//! Source: Microsoft, *Azure AD sign-in logs schema*, *Graph signIn, agentSignIn, directoryAudit,
//! provisioningObjectSummary and riskyServicePrincipal resource types*, *Error codes* (`AADSTS`).

pub(super) mod activity;
mod copilot;
mod elastic;
mod exchange;
mod exported;
mod sign_in;
mod unified;

use schemas::{CredentialEvent, CredentialKind, Outcome, RejectReason, Timestamp};

use self::sign_in::{error_code, of_code};
use super::clean::Clean;
use super::draft::{Draft, Needs, Word, address_of, time_of};
use super::json::Json;
use super::words::snake;
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
    // Of the unified audit log.
    "properties.creationTime",
    "creationTime",
    "time",
    // Of Log Analytics, and of its table of calls to Microsoft Graph.
    "properties.timeGenerated",
    "timeGenerated",
];

/// Parts of the categories that are read.
const CATEGORIES: [&str; 4] = ["SignInLogs", "AuditLogs", "ProvisioningLogs", CALLS];
const CALLS: &str = "GraphActivityLogs";
/// What their category was called at first.
const AUDIT: &str = "Audit";
/// What only a record about the risk of a principal has.
const RISKS: [&str; 2] = ["riskLastUpdatedDateTime", "riskEventType"];
/// Of what is no address.
const NONE: &str = "<null>";

pub(super) fn read(record: &Json<'_>, clean: &Clean<'_>) -> Result<CredentialEvent, Fault> {
    let record = single(record, "records")?;
    let inner = elastic::whole(record);
    let record = inner.as_ref().unwrap_or(record);
    if activity::is_activity(record) {
        return activity::draft(record)?.finish(clean);
    }
    match exported::whole(record) {
        Some(whole) => draft(&whole)?.finish(clean),
        None => draft(record)?.finish(clean),
    }
}

fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::timed(NEEDS, record, TIMES, |text| {
        time_of(text).or_else(|error| time_of_month_first(text).ok_or(error))
    })?;
    // Graph returns the properties alone.
    let properties = match record.at("properties") {
        Some(properties @ Json::Object(_)) => properties,
        Some(_) | None => record,
    };
    let category = record.text("category").or_else(|| properties.text("category"));
    // Rows of calls have none, but their table's name.
    let table = || record.text("type").filter(|table| table.ends_with(CALLS));
    let category = category.or_else(table);
    if RISKS.iter().any(|name| properties.has(name)) && !properties.has("status") {
        let detail = "wanted an act of a principal, found a risk that was detected";
        return Err(Fault::new(RejectReason::NoAgent, detail));
    }
    let called = properties.first(&["requestMethod", "httpMethod"]);
    let id = properties.text("id");
    let id = id.or_else(|| properties.text("requestId").filter(|_| called.is_some()));
    draft.event_id = id.map(Into::into);
    origin(record, properties, &mut draft);
    let is_audit = category == Some(AUDIT)
        || properties.at("initiatedBy").is_some()
        || properties.at("targetResources").is_some()
        || properties.at("activityDisplayName").is_some();
    let is_unified = unified::is_unified(properties);
    let is_read = category.is_none_or(|found| CATEGORIES.iter().any(|part| found.contains(part)));
    if !is_read && !is_audit && !is_unified {
        let detail =
            "`category`: wanted sign-ins, audit, provisioning or calls to Graph, found another";
        return Err(Fault::bad_field(detail));
    }
    (draft.outcome, draft.outcome_reason) = outcome(record, properties, is_audit);
    if properties.has("provisioningAction") || properties.has("provisioningSteps") {
        provisioned(properties, &mut draft);
    } else if is_audit {
        audit(properties, &mut draft);
        keep_key(properties, &mut draft);
    } else if is_unified {
        unified::read(properties, &mut draft);
    } else {
        sign_in::read(record, properties, &mut draft);
    }
    if draft.agent.is_none() {
        draft.agent = record.text("identity").map(Into::into);
        let is_user = properties.text("identityType") == Some("UPN");
        draft.class = draft.class.or_else(|| is_user.then(|| "entra:user".into()));
    }
    if called.is_some() {
        call(properties, &mut draft);
    }
    let operation = called
        .or_else(|| properties.first(&["activityDisplayName", "operationName", "operation"]))
        .or_else(|| record.text("operationName"));
    // Graph does not name its sign-ins.
    let operation = match operation {
        None if !is_audit && draft.agent.is_some() => Some(sign_in::name(record, properties)?),
        operation => operation,
    };
    // Of an alert there the category is the alert's.
    let workload = properties.first(&["workload", "officeWorkload"]).filter(|_| is_unified);
    let category = workload.or(category);
    draft.action = operation.map(|operation| {
        category.map_or(operation.into(), |category| format!("{category}:{operation}").into())
    });
    keep(record, properties, &mut draft);
    Ok(draft)
}

/// Whence it came, in which session, and with which program.
fn origin<'a>(record: &'a Json<'_>, properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    const OWN: [&str; 6] = [
        "ipAddress",
        "initiatedBy.user.ipAddress",
        "clientIP",
        "clientIPAddress",
        "callerIpAddress",
        "actorIpAddress",
    ];
    let detail = |name| detail(properties, name);
    let sources = || {
        let own = OWN.iter().filter_map(|path| properties.text(path));
        let told = own.chain(detail("ipaddr")).chain(detail("ClientIpAddress"));
        told.chain(record.text("callerIpAddress"))
    };
    // Some services write what is no address in the first place that they have for one.
    let source = sources().find(|text| address_of(text).is_some()).or_else(|| sources().next());
    draft.source = source.filter(|address| *address != NONE).map(Into::into);
    let session = properties.first(&["sessionId", "C_Sid", "appAccessContext.aadSessionId"]);
    draft.session = session.or_else(|| detail("SessionId")).map(Into::into);
    let program = properties.text("userAgent").or_else(|| detail("User-Agent"));
    draft.user_agent = program.or_else(|| detail("UserAgent")).map(Into::into);
}

/// What stands in the lists of names and values.
fn detail<'a>(properties: &'a Json<'_>, name: &str) -> Option<&'a str> {
    let lists = ["additionalDetails", "extendedProperties", "deviceProperties"];
    let mut details = lists.iter().flat_map(|list| properties.list(list));
    details.find(|one| one.first(&["key", "name"]) == Some(name))?.text("value")
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

/// The tenant whose log it is. Of rows of Log Analytics `TenantId` is the workspace.
fn tenant<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let streamed = || record.text("tenantId").filter(|_| !record.has("timeGenerated"));
    record.text("aadTenantId").or_else(streamed)
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
    draft.keep_each(
        properties,
        &[
            ("client_auth_method", "clientAuthMethod"),
            ("device_id", "C_DeviceId"),
            ("roles", "roles"),
            ("scopes", "scopes"),
        ],
    );
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
            ("provisioning_status", "provisioningStatusInfo.status"),
            ("source_identity", "sourceIdentity.id"),
        ],
    );
}

/// How provisioning ended; what was left out on purpose did not fail.
const STATUSES: [&str; 2] = ["provisioningStatusInfo", "statusInfo"];

/// What names the app that acted, the most telling first.
const APPS: [&str; 5] = [
    "initiatedBy.app.servicePrincipalId",
    "initiatedBy.app.appId",
    "performedBy.id",
    "initiatedBy.app.servicePrincipalName",
    "initiatedBy.app.displayName",
];
/// Those of them that only a service principal has.
const PRINCIPALS: &[&str] = &["initiatedBy.app.servicePrincipalId", "performedBy.id"];
/// What Entra's directories of customers (B2C) write for the id of an app that they do not tell.
const NO_APP: &str = "N/A";

fn audit<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let app = APPS.iter().filter_map(|path| properties.text(path)).find(|name| *name != NO_APP);
    let user = properties.first(&["initiatedBy.user.userPrincipalName", "initiatedBy.user.id"]);
    // What a user acts through, as a portal, has no principal of its own there.
    let is_tool = user.is_some()
        && properties.first(PRINCIPALS).is_none()
        && agent_type(properties).is_none();
    let app = app.filter(|_| !is_tool);
    if is_tool {
        draft.keep("app_id", properties.text("initiatedBy.app.appId"));
    }
    draft.agent = app.or(user).map(Into::into);
    draft.class = match (app, properties.first(&["initiatedBy.app.appId", "performedBy.appId"])) {
        (Some(_), Some(blueprint)) if blueprint != NO_APP => Some(blueprint.into()),
        (Some(_), _) => Some("entra:service-principal".into()),
        (None, _) => user.map(|_| "entra:user".into()),
    };
    if app.is_some() {
        draft.delegation.extend(user.map(Into::into));
    }
    let name = |one: &'a Json<'_>| one.first(&["userPrincipalName", "displayName", "id"]);
    let targets = properties.list("targetResources");
    if let Some((target, name)) = targets.iter().find_map(|one| Some((one, name(one)?))) {
        draft.resource = Some(name.into());
        draft.resource_kind = kind_of(target).map(|kind| kebab(kind).into());
    }
    if let Some(target) = properties.text("targetResourceName") {
        // The name of a user has its tenant and numbers behind it.
        draft.resource = target.split("__").next().map(Into::into);
    }
    if draft.resource.is_none() {
        draft.reach([(detail(properties, "Scope"), "scope")]);
    }
    let is_of = |kind: &str, one: &&Json<'_>| kind_of(one) == Some(kind);
    // A grant names the principal that got it among what was changed, or beside what it got.
    let told = |what: &str| {
        let mut changes = targets.iter().flat_map(|one| one.list("modifiedProperties"));
        let change = changes.find(|one| one.text("displayName") == Some(what))?;
        change.text("newValue").map(|name| name.trim_matches('"')).filter(|name| !name.is_empty())
    };
    let beside = || {
        let mut last = targets.iter().rev().filter(|_| 1 < targets.len());
        last.find(|one| is_of("ServicePrincipal", one)).and_then(name)
    };
    let principal = || told(GRANTED).or_else(beside).or_else(|| told(GRANTED_ID));
    draft.counterparty = match targets.iter().find(|one| is_of("User", one)).and_then(name) {
        Some(user) => Some(("entra_user".into(), user.into())),
        None => principal().map(|principal| ("app".into(), principal.into())),
    };
    for (kind, name) in targets.iter().filter_map(|one| Some((kind_of(one)?, name(one)?))) {
        draft.keep_target(kind, name);
    }
}

/// `User`, `Group`, `ServicePrincipal` …; Graph once told it as the type of the object alone.
fn kind_of<'a>(target: &'a Json<'_>) -> Option<&'a str> {
    let told = || {
        let (_, kind) = target.text("@odata.type")?.rsplit_once('.')?;
        let start = kind.get(..TARGET.len()).filter(|start| start.eq_ignore_ascii_case(TARGET));
        start.map(|start| &kind[start.len()..]).filter(|kind| !kind.is_empty())
    };
    target.text("type").or_else(told)
}

const TARGET: &str = "targetResource";

/// What a change says of the keys that an app or service principal has.
const KEYS: &str = "KeyDescription";

/// The key that was given to an app or taken from it, as sign-ins with it name it.
fn keep_key<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let targets = properties.list("targetResources").iter();
    let mut changes = targets.flat_map(|one| one.list("modifiedProperties"));
    let Some(change) = changes.find(|one| one.text("displayName") == Some(KEYS)) else { return };
    let keys = |name: &str| -> Vec<&'a str> {
        let told = change.text(name).unwrap_or_default().split("KeyIdentifier=").skip(1);
        told.filter_map(|rest| rest.split([',', ']']).next()).collect()
    };
    let (old, new) = (keys("oldValue"), keys("newValue"));
    let other = |some: &[&'a str], others: &[&'a str]| {
        some.iter().find(|key| !others.contains(key)).copied()
    };
    draft.keep("issued_credential_id", other(&new, &old));
    draft.keep("target_credential_id", other(&old, &new));
}

/// What a change says of the service principal that was given something.
const GRANTED: &str = "ServicePrincipal.DisplayName";
const GRANTED_ID: &str = "ServicePrincipal.ObjectID";

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
    if let Some(status) = properties.first(&["responseStatusCode", "httpStatusCode"]) {
        let outcome = verdict::of_http(status).unwrap_or(Outcome::Error);
        return (outcome, Some(status.into()).filter(|_| outcome != Outcome::Success));
    }
    let code = error_code(record, properties);
    let reason = properties.first(&["status.failureReason", "failureReason"]);
    let reason = reason.or_else(|| record.text("resultDescription")).unwrap_or(code);
    let outcome = of_code(code);
    (outcome, Some(reason.into()).filter(|_| outcome != Outcome::Success))
}

fn keep<'a>(record: &'a Json<'_>, properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(record, &[("correlation_id", "correlationId"), ("level", "Level")]);
    draft.keep("tenant_id", tenant(record));
    draft.keep("resource_id", properties.first(&["resourceIdentity", "resourceId"]));
    draft.keep("agent_type", agent_type(properties));
    let mut targets = properties.list("targetResources").iter();
    let changes = targets.find_map(|one| one.at("modifiedProperties")?.told());
    draft.keep("modified_properties", changes);
    // Nobody is given a token that is not let in.
    if draft.outcome == Outcome::Success {
        draft.keep_each(properties, &[("issued_token_id", "uniqueTokenIdentifier")]);
    }
    for detail in properties.list("additionalDetails") {
        // These have places of their own.
        let is_known = |key: &&str| {
            ["User-Agent", "UserAgent", "ipaddr", "ClientIpAddress", "SessionId"].contains(key)
        };
        if let Some(key) = detail.first(&["key", "name"]).filter(|key| !is_known(key)) {
            draft.keep(format!("additional_{}", snake(key)), detail.text("value"));
        }
    }
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
            ("logged_by", "loggedByService"),
            ("operation_type", "operationType"),
            ("os", "deviceDetail.operatingSystem"),
            ("resource_service_principal_id", "resourceServicePrincipalId"),
            ("risk_level", "riskLevelDuringSignIn"),
            ("risk_state", "riskState"),
            ("service_principal_name", "servicePrincipalName"),
            ("user_id", "userId"),
        ],
    );
}
