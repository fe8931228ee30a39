//! [`of`]: who or what is on the other side of a call.
//!
//! Invariant: whoever is given a right comes first, then the account that something was done to, then where data
//! go, then the account that is lent.
//!
//! Source: Google Cloud, `AuditLog`, `AuditData` (`policyDelta`); Google Workspace, *Login* and *Admin Audit
//! Activity Events*.

use super::super::draft::Word;
use super::super::json::Json;
use super::{parameter, warned};

/// Where roles are given and taken.
pub(super) const DELTAS: [&str; 4] = [
    "serviceData.policyDelta.bindingDeltas",
    "servicedata_v1_iam.policyDelta.bindingDeltas",
    "metadata.policyDelta.bindingDeltas",
    "metadata.datasetChange.bindingDeltas",
];
/// Whom an event of Google Workspace is about, with what it is.
const PARTIES: [(&str, &str); 3] = [
    ("email_forwarding_destination_address", "recipient"),
    ("user_email", "principal"),
    ("client_id", "oauth_client"),
];
/// The call by which somebody of another organisation is made an owner.
const INVITATION: &str = "InsertProjectOwnershipInvite";
/// The calls that ask for the token or the signature of a service account.
const LENDING: [&str; 4] = ["GenerateAccessToken", "GenerateIdToken", "SignJwt", "SignBlob"];

/// Who was given a role or let in, whom Google warned of, or where data were sent.
pub(super) fn of<'a>(record: &'a Json<'_>, payload: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    let account = || Some(("service_account".into(), lent(record, payload).next()?.into()));
    told(payload).or_else(account)
}

fn told<'a>(payload: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    let deltas = DELTAS.iter().flat_map(|path| payload.list(path));
    let mut given = deltas.filter(|delta| delta.text("action") == Some("ADD"));
    if let Some(member) = given.find_map(|delta| delta.text("member")) {
        return Some(("principal".into(), member.into()));
    }
    let invited = payload.text("request.member");
    if let Some(member) = invited.filter(|_| payload.text("methodName") == Some(INVITATION)) {
        return Some(("principal".into(), member.into()));
    }
    if let Some(account) = warned(payload) {
        return Some(("principal".into(), account.into()));
    }
    let party = |(name, kind)| Some((kind, parameter(payload, name)?.as_text()?));
    if let Some((kind, id)) = PARTIES.into_iter().find_map(party) {
        return Some((kind.into(), id.into()));
    }
    let places = [
        "metadata.destination",
        "request.sink.destination",
        "request.destination",
        // Of a database that is written out.
        "request.body.exportContext.uri",
        "request.exportContext.uri",
    ];
    Some(("destination".into(), payload.first(&places)?.into()))
}

/// The names under which a call has the service account whose token or signature it asks for.
pub(super) fn lent<'a>(
    record: &'a Json<'_>,
    payload: &'a Json<'_>,
) -> impl Iterator<Item = &'a str> {
    let method = payload.text("methodName").and_then(|method| method.rsplit('.').next());
    let is_lent = method.is_some_and(|method| LENDING.contains(&method));
    let own = |path| payload.text(path).and_then(|name| name.rsplit('/').next());
    // A resource that is called by its number has no name.
    let resource = own("resourceName").filter(|name| name.contains('@'));
    let names = [record.text("resource.labels.email_id"), own("request.name"), resource];
    names.into_iter().flatten().filter(move |_| is_lent)
}
