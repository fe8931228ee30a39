//! Events of the registry Harbor, as its webhooks send them.
//!
//! Invariant: the agent is whom Harbor names as the operator, which stands beside the data and not in them.
//!
//! Source: Harbor, *Configure Webhook Notifications* and `src/pkg/notifier/formats/cloudevents.go`; *Create
//! Project Robot Accounts*.

use schemas::{CredentialKind, Outcome};

use crate::format::draft::{Draft, Needs};
use crate::format::json::Json;
use crate::format::{Fault, verdict};

pub(super) const TYPES: &str = "harbor.";

const NEEDS: Needs = Needs { agent: "operator", action: "type", time: "time" };

/// How the name of an account begins that is a program's; it shows a secret, and so does no other.
const ROBOT: &str = "robot$";
/// Accounts of Harbor's own parts.
const PARTS: [&str; 2] = ["harbor-core", "harbor-jobservice"];
const ANONYMOUS: &str = "anonymous";
const UNAUTHENTICATED: &str = "harbor:unauthenticated";

pub(super) fn draft<'a>(event: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, event, &["time"])?;
    draft.event_id = event.text("id").map(Into::into);
    let told = event.text("operator");
    let operator = told.map(|name| if name == ANONYMOUS { UNAUTHENTICATED } else { name });
    draft.agent = operator.map(Into::into);
    let class = operator.map(|name| match name {
        UNAUTHENTICATED => UNAUTHENTICATED,
        name if PARTS.contains(&name) => "harbor:system",
        name if name.starts_with(ROBOT) => "harbor:robot",
        _ => "harbor:user",
    });
    draft.class = class.map(Into::into);
    draft.credential = operator.zip(class).and_then(|(name, class)| {
        Some(match class {
            UNAUTHENTICATED => (CredentialKind::Anonymous, "anonymous:unknown".into()),
            "harbor:system" => (CredentialKind::Platform, format!("service:{name}").into()),
            "harbor:robot" => (CredentialKind::StaticKey, format!("secret:{name}").into()),
            _ => return None,
        })
    });
    let kind = event.text("type");
    draft.action = kind.map(Into::into);
    draft.reach([
        (event.text("data.repository.repo_full_name"), "repository"),
        (event.text("data.repository.name"), "repository"),
    ]);
    // A push beyond the quota is not taken.
    let by_name = kind.map_or(Outcome::Success, |kind| match kind {
        "harbor.quota.exceeded" => Outcome::Error,
        kind => verdict::of_name(kind),
    });
    let statuses = ["data.replication.job_status", "data.retention.status"];
    let by_status = event.first(&statuses).map_or(Outcome::Success, verdict::of_word);
    draft.outcome = verdict::worse(by_name, by_status);
    draft.keep_each(
        event,
        &[
            ("digest", "data.resources.digest"),
            ("policy", "source"),
            ("request_id", "requestid"),
            ("resource_url", "data.resources.resource_url"),
            ("tag", "data.resources.tag"),
        ],
    );
    Ok(draft)
}
