//! What is taken from the bodies of requests: what a workload runs and what of its node it may reach, to whom
//! a role is bound, and the host that a webhook lets see and change requests.
//!
//! Invariant: nothing else of a body is read but the name of its object. A subject is called as it is where it
//! acts itself, so that the two are one.
//!
//! Sources: Kubernetes, *Pod Security Standards*, *Using RBAC Authorization*, *Dynamic Admission Control*;
//! patches: RFC 6902.

use super::super::arguments::host;
use super::super::draft::{Draft, Word};
use super::super::json::Json;
use super::super::words::snake;
use super::SERVICE_ACCOUNT;

/// Where what a workload runs is described: of one that makes pods, in their template.
const PODS: [&str; 4] = [
    "requestObject.spec.jobTemplate.spec.template.spec",
    "requestObject.spec.template.spec",
    "requestObject.template.spec",
    "requestObject.spec",
];
/// The namespaces of its node that a pod may share, and the attributes that say so.
const SHARED: [(&str, &str); 3] =
    [("host_ipc", "hostIPC"), ("host_network", "hostNetwork"), ("host_pid", "hostPID")];

/// Keeps what the pods of a request run, as whom and with what of their node.
pub(super) fn runs<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    let Some(spec) = PODS.iter().find_map(|path| record.at(path)) else { return };
    draft.keep("service_account", spec.text("serviceAccountName"));
    let kinds = ["containers", "initContainers", "ephemeralContainers"];
    let containers: Vec<_> = kinds.iter().flat_map(|kind| spec.list(kind)).collect();
    keep_all(draft, "images", containers.iter().filter_map(|one| one.text("image")));
    let is_privileged = containers.iter().any(|one| one.is_true("securityContext.privileged"));
    draft.keep("is_privileged", is_privileged.then_some("true"));
    for (name, path) in SHARED {
        draft.keep(name, spec.is_true(path).then_some("true"));
    }
    let paths = spec.list("volumes").iter().filter_map(|volume| volume.text("hostPath.path"));
    keep_all(draft, "host_paths", paths);
    let added = containers.iter().flat_map(|one| one.list("securityContext.capabilities.add"));
    keep_all(draft, "added_capabilities", added.filter_map(Json::as_text));
}

fn keep_all(
    draft: &mut Draft<'_>,
    name: &'static str,
    values: impl Iterator<Item = impl AsRef<str>>,
) {
    let mut all: Vec<String> = Vec::new();
    for value in values {
        if !all.iter().any(|one| one == value.as_ref()) {
            all.push(value.as_ref().to_owned());
        }
    }
    draft.keep(name, (!all.is_empty()).then(|| all.join(",")));
}

/// Whom a role was given to, or the host that a webhook lets see and change requests.
pub(super) fn counterparty<'a>(record: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    if let Some(subject) = subjects(record).into_iter().next() {
        return Some(subject);
    }
    let client = record.at("requestObject.webhooks.clientConfig")?;
    let address = client.text("url").and_then(host).map(Word::from);
    let service = || {
        let (name, namespace) = (client.text("service.name")?, client.text("service.namespace")?);
        Some(format!("{name}.{namespace}.svc").into())
    };
    Some(("host".into(), address.or_else(service)?))
}

/// Keeps all to whom a role was given.
pub(super) fn keep_subjects<'a>(record: &'a Json<'_>, draft: &mut Draft<'a>) {
    keep_all(draft, "subjects", subjects(record).iter().map(|(_, id)| id));
}

/// Kind and id of those to whom a role was given: in a binding, or in a patch of one.
fn subjects<'a>(record: &'a Json<'_>) -> Vec<(Word<'a>, Word<'a>)> {
    let whole = record.list("requestObject.subjects").iter();
    let patches = record.list("requestObject").iter();
    let patches = patches.filter(|patch| {
        let is_of_subjects = patch.text("path").is_some_and(|path| path.starts_with("/subjects"));
        is_of_subjects && patch.text("op") != Some("remove")
    });
    whole.chain(patches.flat_map(|patch| patch.list("value"))).filter_map(subject).collect()
}

fn subject<'a>(subject: &'a Json<'_>) -> Option<(Word<'a>, Word<'a>)> {
    let name = subject.text("name")?;
    let kind = subject.text("kind").map_or("subject".to_owned(), snake);
    let namespace = subject.text("namespace").filter(|_| kind == "service_account");
    let id = namespace
        .map_or(name.into(), |namespace| format!("{SERVICE_ACCOUNT}{namespace}:{name}").into());
    Some((kind.into(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_called_as_they_are_where_they_act() {
        for (body, wanted) in [
            (
                r#"{"subjects":[{"kind":"ServiceAccount","name":"default","namespace":"a"}]}"#,
                Some(("service_account", "system:serviceaccount:a:default")),
            ),
            (r#"{"subjects":[{"kind":"User","name":"jo"}]}"#, Some(("user", "jo"))),
            (r#"{"subjects":[{"kind":"Group","name":"ops"}]}"#, Some(("group", "ops"))),
            (
                r#"[{"op":"add","path":"/subjects/-","value":{"kind":"Group","name":"ops"}}]"#,
                Some(("group", "ops")),
            ),
            (
                r#"[{"op":"replace","path":"/subjects","value":[{"kind":"User","name":"jo"}]}]"#,
                Some(("user", "jo")),
            ),
            (r#"[{"op":"remove","path":"/subjects/0"}]"#, None),
            (
                r#"{"webhooks":[{"clientConfig":{"service":{"name":"w","namespace":"n"}}}]}"#,
                Some(("host", "w.n.svc")),
            ),
        ] {
            let text = format!("{{\"requestObject\":{body}}}");
            let json = Json::parse(&text).unwrap();
            let found = counterparty(&json);
            let found = found.as_ref().map(|(kind, id)| (kind.as_ref(), id.as_ref()));
            assert_eq!(found, wanted, "{body}");
        }
    }
}
