//! Azure's Activity Log: what people and programs did through the Resource Manager, as Azure streams or
//! archives it, as its API and Log Analytics return it, and as Event Grid tells of it in `CloudEvents`.
//!
//! Invariant: who acted is told by the claims of the token that was shown, and a service principal has the
//! id here that it has in sign-ins and audit. One operation and one resource have one spelling, though some
//! of these write them in capitals. A record of the platform's own, which shows no token, is none, but for one
//! of Privileged Identity Management, which names who asked.
//!
//! Source: Microsoft, *Azure Activity Log event schema*, *Azure resource group as an Event Grid source*,
//! *`AzureActivity`*, *Access token claims reference*.

use schemas::{CredentialKind, Outcome};

use super::super::draft::{Draft, Needs, Word};
use super::super::json::Json;
use super::super::{Fault, verdict};

/// How the types begin of Event Grid's events about this.
pub(in crate::format) const TYPES: &str = "Microsoft.Resources.Resource";

const NEEDS: Needs = Needs { agent: "identity.claims", action: "operationName", time: "time" };
const TIMES: &[&str] = &["time", "eventTimestamp", "timeGenerated"];

/// Where the claims stand of the token, and what was asked with it: as it is streamed, and elsewhere.
const CLAIMS: [&str; 3] = ["identity.claims", "claims", INITIATED];
const AUTHORIZATIONS: [&str; 2] = ["identity.authorization", "authorization"];

/// Claims that name a person, the most telling first.
const PEOPLE: [&str; 2] = [
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
];
/// The claim that names a user or service principal by its id; also as Elastic has it, without dots.
const OBJECTS: [&str; 2] = [
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "http://schemas_microsoft_com/identity/claims/objectidentifier",
];
/// Where Elastic has the claims that name a person.
const INITIATED: &str = "identity.claimsInitiatedByUser";

const OPERATIONS: [&str; 3] = ["operationNameValue", "operationName.value", "operationName"];
const RESOURCES: [&str; 3] = ["resourceUri", "_ResourceId", "resourceId"];
const ADDRESSES: [&str; 2] = ["httpRequest.clientIpAddress", "callerIpAddress"];
/// How it ended, and what tells why, the most telling first.
const STATUSES: [&str; 4] = ["activityStatusValue", "status.value", "status", "resultType"];
const REASONS: [&str; 5] = [
    "properties.statusCode",
    "activitySubstatusValue",
    "subStatus.value",
    "subStatus",
    "resultSignature",
];
/// Who asked for a role at Privileged Identity Management, which tells of no token.
const CALLER: &str = "properties.callerInfo";
/// What a policy does to a request that it forbids.
const POLICY_DENIED: &str = "Microsoft.Authorization/policies/deny/action";

/// Whether this is a record of the Activity Log that shows with what it was done.
pub(super) fn is_activity(record: &Json<'_>) -> bool {
    let is_told = CLAIMS.iter().any(|path| matches!(record.at(path), Some(Json::Object(_))))
        || matches!(record.at(CALLER), Some(Json::List(_)));
    is_told && OPERATIONS.iter().any(|path| record.text(path).is_some())
}

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    draft.event_id = record.text("eventDataId").map(Into::into);
    read(record, None, &mut draft);
    Ok(draft)
}

/// An event of Event Grid's.
pub(in crate::format) fn event<'a>(envelope: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(Needs { agent: "data.claims", ..NEEDS }, envelope, TIMES)?;
    draft.event_id = envelope.text("id").map(Into::into);
    // `ResourceWriteFailure` and its like tell the end, too.
    let kind = envelope.text("type").unwrap_or_default();
    let end = kind.rfind(char::is_uppercase).map(|at| &kind[at..]);
    read(envelope.at("data").unwrap_or(&Json::Null), end, &mut draft);
    Ok(draft)
}

fn read<'a>(record: &'a Json<'_>, end: Option<&str>, draft: &mut Draft<'a>) {
    let none = &Json::Null;
    let claims = CLAIMS.iter().find_map(|path| record.at(path)).unwrap_or(none);
    let asked = AUTHORIZATIONS.iter().find_map(|path| record.at(path)).unwrap_or(none);
    actor(record, claims, asked, draft);
    let told = record.first(&OPERATIONS);
    let others = [asked.text("action"), record.text("properties.message")];
    let operation = told.map(|told| spelled(told, &others));
    draft.action = operation.map(Into::into);
    let resource = record.first(&RESOURCES).or_else(|| asked.text("scope"));
    let resource = resource.map(|resource| spelled(resource, &[asked.text("scope")]));
    draft.reach([(resource, "azure-resource")]);
    draft.source = record.first(&ADDRESSES).or_else(|| claims.text("ipaddr")).map(Into::into);
    (draft.outcome, draft.outcome_reason) = outcome(record, end, operation);
    keep(record, claims, asked, draft);
}

/// The name as it is told elsewhere, if only its letters' case differs; there it may go on with a part of it.
fn spelled<'a>(name: &'a str, others: &[Option<&'a str>]) -> &'a str {
    let mut same = others.iter().flatten().filter_map(|other| {
        let (start, rest) = other.split_at_checked(name.len())?;
        let is_whole = rest.is_empty() || rest.starts_with('/');
        (is_whole && start.eq_ignore_ascii_case(name)).then_some(start)
    });
    same.next().unwrap_or(name)
}

/// What Privileged Identity Management tells of who asked, by the kind of it.
fn caller<'a>(record: &'a Json<'_>, kind: &str) -> Option<&'a str> {
    let mut told = record.list(CALLER).iter();
    told.find(|one| one.text("callerIdentityType") == Some(kind))?.text("callerIdentityValue")
}

/// Who acted, and the token that was shown: by its id, as sign-ins name what they issued.
fn actor<'a>(
    record: &'a Json<'_>,
    claims: &'a Json<'_>,
    asked: &'a Json<'_>,
    draft: &mut Draft<'a>,
) {
    let person = claims.first(&PEOPLE).map(str::trim).filter(|name| !name.is_empty());
    let initiated = record.at(INITIATED).and_then(|user| user.first(&["name", "fullname"]));
    let person = person.or(initiated).or_else(|| caller(record, "UPN"));
    let object = claims.first(&OBJECTS).or_else(|| caller(record, "ObjectID"));
    let app = claims.text("appid");
    let is_user = asked.text("evidence.principalType") == Some("User");
    let is_program = person.is_none() && !is_user;
    let agent = person.or(object).or(app);
    draft.agent = agent.map(Into::into);
    draft.class = agent.map(|_| match (is_program, app) {
        (true, Some(app)) => app.into(),
        (true, None) => "entra:service-principal".into(),
        (false, _) => "entra:user".into(),
    });
    let shown = claims.text("appidacr").filter(|_| is_program);
    draft.credential = match (claims.text("uti"), agent) {
        (Some(token), _) => Some((CredentialKind::AccessToken, token.into())),
        (None, Some(agent)) if *claims != Json::Null => Some(match shown {
            Some("1") => (CredentialKind::StaticKey, format!("secret:{agent}").into()),
            Some("2") => (CredentialKind::Certificate, format!("certificate:{agent}").into()),
            _ => (CredentialKind::AccessToken, format!("token:{agent}").into()),
        }),
        (None, _) => None,
    };
    draft.keep("caller_name", caller(record, "Name"));
    if !is_program {
        draft.keep("user_id", object);
    }
}

fn outcome<'a>(
    record: &'a Json<'_>,
    end: Option<&str>,
    operation: Option<&str>,
) -> (Outcome, Option<Word<'a>>) {
    let status = record.first(&STATUSES);
    let has_failed = [status, end].into_iter().flatten().any(|word| {
        let word = word.to_ascii_lowercase();
        word.starts_with("fail") || word.starts_with("cancel")
    });
    if !has_failed {
        return (Outcome::Success, None);
    }
    let is_denied = operation.is_some_and(|name| name.eq_ignore_ascii_case(POLICY_DENIED));
    let details = REASONS.iter().chain(&["properties.statusMessage"]);
    let details = details.filter_map(|path| record.text(path)).map(verdict::of_error);
    let outcome = details.fold(Outcome::Error, verdict::worse);
    let outcome = if is_denied { Outcome::Denied } else { outcome };
    (outcome, record.first(&REASONS).or(status).map(Into::into))
}

fn keep<'a>(
    record: &'a Json<'_>,
    claims: &'a Json<'_>,
    asked: &'a Json<'_>,
    draft: &mut Draft<'a>,
) {
    draft.keep_each(
        claims,
        &[
            ("app_id", "appid"),
            (
                "authentication_methods",
                "http://schemas.microsoft.com/claims/authnmethodsreferences",
            ),
            ("client_auth_method", "appidacr"),
            ("managed_identity", "xms_mirid"),
            ("tenant_id", "http://schemas.microsoft.com/identity/claims/tenantid"),
        ],
    );
    draft.keep_each(
        asked,
        &[
            ("principal_type", "evidence.principalType"),
            ("role", "evidence.role"),
            ("role_assignment_id", "evidence.roleAssignmentId"),
        ],
    );
    draft.keep_each(
        record,
        &[
            ("correlation_id", "correlationId"),
            ("http_method", "httpRequest.method"),
            ("operation_id", "operationId"),
            ("role", "properties.roleDefinition"),
            ("subject_id", "properties.subjectID"),
            ("subject_name", "properties.subjectName"),
        ],
    );
    draft.keep("category", record.first(&["categoryValue", "category.value", "category"]));
    draft.keep("result_type", record.first(&STATUSES));
}
