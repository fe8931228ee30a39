//! Events of Alibaba Cloud's `ActionTrail`, as its `EventBridge` delivers them.
//!
//! Invariant: an access key is the credential, by its id, and one that begins with `STS.` ends by itself. The
//! account itself, which every account calls `root`, is named by its id.
//!
//! Source: Alibaba Cloud, *`EventBridge`: `ActionTrail` events*, *`ActionTrail`: Management event structure*.

use schemas::{CredentialKind, Outcome};

use crate::format::draft::{Draft, Needs, Word};
use crate::format::json::Json;
use crate::format::words::{kebab, snake};
use crate::format::{Fault, verdict};

/// What the types hold of these events: `ecs:ActionTrail:ApiCall`.
pub(super) const TYPES: &str = ":ActionTrail:";

const NEEDS: Needs = Needs { agent: "data.userIdentity", action: "data.eventName", time: "time" };

/// How the ids of keys begin that end by themselves.
const TEMPORARY: &str = "STS.";

pub(super) fn draft<'a>(event: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, event, &["data.eventTime", "time"])?;
    let data = event.at("data").unwrap_or(&Json::Null);
    draft.event_id = data.text("eventId").or_else(|| event.text("id")).map(Into::into);
    let kind = data.text("userIdentity.type");
    let account = data.text("userIdentity.principalId").filter(|_| kind == Some("root-account"));
    let names = ["userIdentity.userName", "userIdentity.principalId", "userIdentity.accountId"];
    let agent = account.or_else(|| data.first(&names));
    draft.agent = agent.map(Into::into);
    // Of a session it is the role, which stands before the session's name.
    let role = agent.filter(|_| kind == Some("assumed-role")).and_then(|name| name.split_once(':'));
    draft.class = match (role, kind) {
        (Some((role, _)), _) => Some(role.into()),
        (None, kind) => kind.map(|kind| format!("alibaba:{}", kebab(kind)).into()),
    };
    draft.credential = credential(data, kind, agent);
    draft.action = action(data);
    let (kind, id) = resource(data).unzip();
    draft.resource = id.map(Into::into);
    draft.resource_kind = kind.map(|kind| snake(&kind.replace("::", "_")).into());
    draft.source = data.text("sourceIpAddress").map(Into::into);
    draft.user_agent = data.text("userAgent").map(Into::into);
    let (code, words) = (data.text("errorCode"), data.text("errorMessage"));
    if code.or(words).is_some() {
        let told = code.into_iter().chain(words).map(verdict::of_error);
        let is_sign_in = data.text("eventType") == Some("ConsoleSignin");
        let failed = if is_sign_in { Outcome::Denied } else { Outcome::Error };
        draft.outcome = told.fold(failed, verdict::worse);
        draft.outcome_reason = code.or(words).map(Into::into);
    } else {
        let issued =
            ["responseElements.AccessKey.AccessKeyId", "responseElements.Credentials.AccessKeyId"];
        draft.keep("issued_credential_id", data.first(&issued));
    }
    draft.keep_each(
        data,
        &[
            ("account_id", "userIdentity.accountId"),
            ("event_rw", "eventRW"),
            ("event_type", "eventType"),
            ("mfa", "userIdentity.sessionContext.attributes.mfaAuthenticated"),
            ("principal_id", "userIdentity.principalId"),
            ("region", "acsRegion"),
            ("request_id", "requestId"),
        ],
    );
    Ok(draft)
}

/// The key; without one a service's own right, or the session of who is signed in to the console.
fn credential<'a>(
    data: &'a Json<'_>,
    kind: Option<&str>,
    agent: Option<&str>,
) -> Option<(CredentialKind, Word<'a>)> {
    if let Some(key) = data.text("userIdentity.accessKeyId") {
        let is_temporary = key.starts_with(TEMPORARY);
        let kind =
            if is_temporary { CredentialKind::TemporaryKey } else { CredentialKind::StaticKey };
        return Some((kind, key.into()));
    }
    let agent = agent?;
    if kind == Some("system") {
        return Some((CredentialKind::Platform, format!("service:{agent}").into()));
    }
    data.at("userIdentity.sessionContext")?;
    Some((CredentialKind::Session, format!("session:{agent}").into()))
}

fn action<'a>(data: &'a Json<'_>) -> Option<Word<'a>> {
    let name = data.text("eventName")?;
    let service = data.text("serviceName");
    Some(service.map_or(name.into(), |service| format!("{service}:{name}").into()))
}

/// Kind and id of the resource, else of the first that is referred to.
fn resource<'a>(data: &'a Json<'_>) -> Option<(&'a str, &'a str)> {
    let own =
        data.text("resourceName").map(|id| (data.text("resourceType").unwrap_or("resource"), id));
    let others = data.at("referencedResources").map(Json::fields).unwrap_or_default();
    own.or_else(|| others.iter().find_map(|(kind, ids)| Some((kind.as_ref(), ids.as_text()?))))
}
