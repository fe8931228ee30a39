//! Microsoft 365's unified audit log: what users, applications and services did in Entra and with files,
//! mail and chats, as the Office 365 Management Activity API returns it, or as Azure streams it.
//!
//! Invariant: an application is named by an id of its own, not by an account that all of them share. A
//! sign-in that failed is no success, whatever `ResultStatus` says.
//!
//! Source: Microsoft, *Office 365 Management Activity API schema* (common schema, Azure Active Directory
//! STS logon schema).

use schemas::{CredentialKind, Outcome};

use super::super::draft::{Draft, Word};
use super::super::json::Json;
use super::super::{kebab, verdict};
use super::sign_in::{PASSWORD_ERRORS, of_code};
use super::{copilot, exchange};

/// What stands in the place of a user and names none.
const NOBODY: &[&str] = &["Not Available", "Unknown", ANY_APP];
/// What all applications are to `SharePoint`, which tells no type of user.
const ANY_APP: &str = "app@sharepoint";
/// In front of the id of a service principal that stands in the place of a user.
const PRINCIPAL: &str = "ServicePrincipal_";

/// Under whose name alerts are raised.
const ALERTS: &str = "SecurityComplianceAlerts";
/// Under whose name the services of a datacenter act.
const AUTHORITY: &str = r"NT AUTHORITY\";

/// Whether these are the properties of such a record.
pub(super) fn is_unified(properties: &Json<'_>) -> bool {
    let marks = ["workload", "officeWorkload", "recordType", "creationTime"];
    properties.has("operation") && marks.iter().any(|name| properties.has(name))
}

pub(super) fn read<'a>(properties: &'a Json<'_>, draft: &mut Draft<'a>) {
    let told = properties.text("userId");
    let user = told.filter(|user| !NOBODY.contains(user));
    let principal = user.and_then(|user| user.strip_prefix(PRINCIPAL));
    let app = properties.first(&["applicationId", "appId", "appAccessContext.clientAppId"]);
    let kind = properties.text("userType").unwrap_or_default().to_ascii_lowercase();
    let class = match kind.as_str() {
        _ if principal.is_some() || told == Some(ANY_APP) => "entra:service-principal",
        "5" | "6" | "application" | "serviceprincipal" => "entra:service-principal",
        _ if user.is_some_and(|user| user.starts_with(AUTHORITY) || user == ALERTS) => {
            "entra:system"
        }
        "3" | "4" | "7" | "8" | "dcadmin" | "system" | "custompolicy" | "systempolicy" => {
            "entra:system"
        }
        _ => "entra:user",
    };
    let is_program = class == "entra:service-principal";
    let agent = principal.or(app.filter(|_| is_program)).or(user);
    draft.agent = agent.map(Into::into);
    draft.class = Some(app.filter(|_| is_program).unwrap_or(class).into());
    let code = properties.first(&["errorNumber", "errorCode"]);
    let token = properties.text("appAccessContext.uniqueTokenId");
    let is_password = properties.text("logonError") == Some("InvalidUserNameOrPassword")
        || code.is_some_and(|code| PASSWORD_ERRORS.contains(&code));
    draft.credential = match (token, agent) {
        (Some(token), _) => Some((CredentialKind::AccessToken, token.into())),
        (None, Some(agent)) if is_password => {
            Some((CredentialKind::Password, format!("password:{agent}").into()))
        }
        (None, Some(agent)) if class == "entra:system" => {
            Some((CredentialKind::Platform, format!("service:{agent}").into()))
        }
        (None, _) => None,
    };
    let object = properties.first(&["objectId", "officeObjectId"]);
    let is_sign_in = properties.text("operation").is_some_and(|name| name.starts_with("UserLog"));
    draft.resource = object.map(Into::into);
    draft.resource_kind = match properties.text("itemType") {
        None if is_sign_in => object.map(|_| "app".into()),
        kind => kind.map(|kind| kebab(kind).into()),
    };
    let other = other(properties).filter(|other| agent != Some(other));
    draft.counterparty = match (other, object) {
        (Some(other), _) => Some(("entra_user".into(), other.into())),
        (None, Some(app)) if is_sign_in => Some(("app".into(), app.into())),
        (None, _) => None,
    };
    (draft.outcome, draft.outcome_reason) = outcome(properties);
    if copilot::is_copilot(properties) {
        copilot::read(properties, draft);
    }
    exchange::read(properties, draft);
    draft.keep("app_id", app);
    // An id alone says little of what is no person.
    let actors = properties.at("actor").filter(|_| class != "entra:user");
    draft.keep("actor", actors.and_then(Json::told));
    draft.keep_each(
        properties,
        &[
            ("extended_properties", "extendedProperties"),
            ("modified_properties", "modifiedProperties"),
            ("record_type", "recordType"),
            ("result_status", "resultStatus"),
            ("target", "target"),
            ("tenant_id", "organizationId"),
            ("user_key", "userKey"),
            ("user_type", "userType"),
            ("workload", "workload"),
        ],
    );
}

/// The user that it was done to, of the targets by the type of a user's name, or that something was shared
/// with.
fn other<'a>(properties: &'a Json<'_>) -> Option<&'a str> {
    let mut targets = properties.list("target").iter();
    let target = targets.find(|one| one.text("type") == Some("5"));
    let kind = properties.text("targetUserOrGroupType");
    let is_user = kind.is_some_and(|kind| ["Member", "Guest", "Partner"].contains(&kind));
    let shared = properties.text("targetUserOrGroupName").filter(|_| is_user);
    target.and_then(|one| one.text("id")).or(shared)
}

/// How it ended: by the error of a sign-in, else by its status.
fn outcome<'a>(properties: &'a Json<'_>) -> (Outcome, Option<Word<'a>>) {
    let code = properties.first(&["errorNumber", "errorCode"]);
    let code = code.filter(|code| code.parse::<u32>().is_ok_and(|code| 0 < code));
    let error = properties.text("logonError");
    let status = properties.text("resultStatus");
    let outcome = match (code, error) {
        (Some(code), _) => of_code(code),
        (None, Some(error)) if error.contains("Interrupt") => Outcome::Error,
        (None, Some(_)) => Outcome::Denied,
        (None, None) if properties.text("operation") == Some("UserLoginFailed") => Outcome::Denied,
        (None, None) => status.and_then(verdict::of_one_word).unwrap_or(Outcome::Success),
    };
    let reason = error.or(code).or(status).filter(|_| outcome != Outcome::Success);
    (outcome, reason.map(Into::into))
}
