//! Nebius' audit log, which is in the attributes of its events and in no data.
//!
//! Invariant: the agent is the account, and its name is kept beside it; a masked token is no id.
//!
//! Source: Nebius, *Audit Logs*: reference of events.

use schemas::{CredentialKind, Outcome};

use crate::format::draft::{Draft, Needs};
use crate::format::json::Json;
use crate::format::words::kebab;
use crate::format::{Fault, verdict};

pub(super) const TYPES: &str = "ai.nebius.";

const NEEDS: Needs = Needs { agent: "authentication.subject", action: "type", time: "time" };

/// Ids of an account, and what it is.
const ACCOUNTS: &[(&str, &str)] = &[
    ("authentication.subject.service_account_id", "nebius:service-account"),
    ("authentication.subject.tenant_user_id", "nebius:user"),
];

pub(super) fn draft<'a>(event: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, event, &["time"])?;
    draft.event_id = event.text("id").map(Into::into);
    let account = ACCOUNTS.iter().find_map(|(path, class)| Some((event.text(path)?, *class)));
    (draft.agent, draft.class) = account.map(|(id, class)| (id.into(), class.into())).unzip();
    draft.credential = match (event.text("authentication.static_key.id"), account) {
        (Some(id), _) => Some((CredentialKind::StaticKey, id.into())),
        (None, Some((account, _)))
            if event.text("authentication.authentication_type") == Some("ACCESS_TOKEN") =>
        {
            Some((CredentialKind::AccessToken, format!("token:{account}").into()))
        }
        (None, _) => None,
    };
    draft.action = event.text("type").map(|kind| kind.strip_prefix(TYPES).unwrap_or(kind).into());
    draft.resource =
        event.first(&["resource.metadata.id", "resource.metadata.name"]).map(Into::into);
    let kind = event.text("resource.metadata.type").map(|kind| kebab(kind).into());
    draft.resource_kind = draft.resource.as_ref().and(kind);
    let is_refused = ["authorization.authorized", "authentication.authenticated"];
    draft.outcome = if is_refused.iter().any(|path| event.is_false(path)) {
        Outcome::Denied
    } else {
        event.text("status").map_or(Outcome::Success, verdict::of_word)
    };
    draft.keep_each(
        event,
        &[
            ("authentication_type", "authentication.authentication_type"),
            ("federation", "authentication.federation.id"),
            ("hierarchy", "resource.hierarchy"),
            ("method", "source"),
            ("resource_name", "resource.metadata.name"),
            ("service", "service.name"),
            ("user_name", "authentication.subject.name"),
        ],
    );
    Ok(draft)
}
