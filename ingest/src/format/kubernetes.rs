//! Kubernetes audit events (`audit.k8s.io/v1`), one event or a list of one, and the audit log of Rancher's API,
//! which passes requests on to Kubernetes' own.
//!
//! Invariant: the body of a request or answer is not kept, since a Secret's is Base64 that nothing
//! recognises; only what a workload runs, which role is bound and which signer is asked is taken from it. Nor
//! are the arguments of a command that is run in a container.
//!
//! Source: Kubernetes, *kube-apiserver Audit Configuration (v1)*, *Auditing* and *Audit Annotations*; ids of
//! credentials: KEP-4193 (bound service account token improvements); sign-ins: Red Hat, *Viewing audit
//! logs*; Microsoft, *AKS: monitoring data reference*; Rancher, *Enabling the API Audit Log to Record System
//! Events*.

mod body;
mod object;

use std::borrow::Cow;

use schemas::{CredentialKind, Outcome};

use self::object::Object;
use super::draft::{Draft, Needs, Word, address_of};
use super::json::Json;
use super::words::{assumed_role, aws_key};
use super::{Fault, single, verdict};
use crate::redact::without_percents;

pub(super) const NEEDS: Needs =
    Needs { agent: "user.username", action: "verb", time: "requestReceivedTimestamp" };
const TIMES: &[&str] = &[
    "requestReceivedTimestamp",
    "stageTimestamp",
    // Of the first version.
    "timestamp",
    "metadata.creationTimestamp",
    // Of Rancher's API.
    "requestTimestamp",
    // Of Azure's table of audit events.
    "RequestReceivedTime",
    "StageReceivedTime",
    "TimeGenerated",
];
const UNAUTHENTICATED: &str = "kubernetes:unauthenticated";
/// Whoever showed nothing: as a user, as the group that some rules name in its place, and as Rancher calls whom
/// it could not tell.
const NOBODY: [&str; 3] = [ANONYMOUS, "system:unauthenticated", "system:cattle:error"];
const ANONYMOUS: &str = "system:anonymous";
/// The administrator that k3s and `OpenShift` set up, whose name is no component's.
const ADMIN: &str = "system:admin";
/// Those who may do all, of whom kubeadm makes the second. No token of Kubernetes' own makes anybody one of
/// them, a certificate does.
const MASTERS: [&str; 2] = ["system:masters", "kubeadm:cluster-admins"];
const NODES: &str = "system:nodes";
const BOOTSTRAP: &str = "system:bootstrap:";

/// The first stage of a request, before it is known whether it is allowed and how it ends. What becomes of it is
/// told again.
const RECEIVED: &str = "RequestReceived";

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// How a request was answered; the second is Rancher's.
const STATUSES: &[&str] = &["responseStatus.code", "responseCode"];
/// Where Rancher gives a cluster that is imported what it shall run: behind it stands the token of the cluster.
const IMPORT: &str = "/v3/import";

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let record = single(record, "items")?;
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    let stage = record.text("stage");
    if stage == Some(RECEIVED) && record.at("responseStatus").is_none() {
        let detail = "wanted a request that was answered, found one that was only received";
        return Err(Fault::bad_field(detail));
    }
    draft.event_id = match (record.text("auditID"), stage) {
        // Each stage of a request is an event of its own under the same id.
        (Some(id), Some(stage)) => Some(format!("{id}:{stage}").into()),
        (id, _) => id.map(Into::into),
    };
    draft.source = record.first(&["sourceIPs", "remoteAddr"]).map(Into::into);
    draft.user_agent = record.first(&["userAgent", "requestHeader.User-Agent"]).map(Into::into);
    draft.session = extra(record, "sessionName").map(Into::into);
    draft.instance = extra(record, "authentication.kubernetes.io/pod-name").map(Into::into);
    let user = record.first(&["user.username", "user.name", "user"]);
    let user = user.filter(|user| !user.starts_with('{'));
    let signed_in = || note(record, SIGNED_IN).or_else(|| record.text(RANCHER_LOGIN));
    let signed_in = user.filter(|user| NOBODY.contains(user)).and_then(|_| signed_in());
    if let Some(person) = signed_in {
        draft.agent = Some(person.into());
        draft.class = Some("kubernetes:user".into());
        draft.credential = Some(shown_at_sign_in(record, person));
    } else if let Some(user) = user {
        draft.agent = Some(user.into());
        draft.class = Some(class(record, user).into());
        draft.credential = Some(credential(record, user));
    } else if record.first(STATUSES) == Some("401") {
        // Whoever showed nothing that the cluster knows is nobody yet.
        draft.agent = Some(UNAUTHENTICATED.into());
        draft.class = Some(UNAUTHENTICATED.into());
        draft.credential = Some(anonymous(record));
    }
    let impersonated = record.first(&["impersonatedUser.username", "user.requestUser"]);
    draft.delegation.extend(impersonated.map(Into::into));
    let object = Object::of(record);
    draft.action = action(record, object).map(Into::into);
    target(record, object, &mut draft);
    draft.counterparty = body::counterparty(record);
    draft.outcome = outcome(record);
    draft.outcome_reason = match draft.outcome {
        Outcome::Success => None,
        Outcome::Denied | Outcome::Error => {
            let reason = record.text("responseStatus.reason").or_else(|| note(record, SIGN_IN));
            reason.or_else(|| record.first(STATUSES)).map(Into::into)
        }
    };
    keep(record, object, &mut draft);
    Ok(draft)
}

/// The token whose object this is: `OpenShift` calls it by the token, in newer releases by its hash.
pub(super) fn token_in_name<'j>(record: &'j Json<'_>) -> Option<&'j str> {
    let record = single(record, "items").ok()?;
    let Object { resource, name, .. } = Object::of(record)?;
    let is_token =
        ["oauthaccesstokens", "oauthauthorizetokens"].iter().any(|kind| resource.ends_with(kind));
    name.filter(|name| is_token && !name.starts_with("sha256~"))
}

/// An annotation of the event.
fn note<'a>(record: &'a Json<'_>, name: &str) -> Option<&'a str> {
    labelled(record.at("annotations")?, name)
}

/// Who signed in at `OpenShift`, or tried to: to the cluster the request is anonymous.
const SIGNED_IN: &str = "authentication.openshift.io/username";
/// Who signed in to Rancher with a password, or tried to.
const RANCHER_LOGIN: &str = "userLoginName";
/// Whether that was let in: `allow`, `deny` or `error`.
const SIGN_IN: &str = "authentication.openshift.io/decision";

/// What was shown at a sign-in to `OpenShift`, whose form takes a password and whose providers give a code for
/// a token, or to Rancher.
fn shown_at_sign_in<'a>(record: &'a Json<'_>, person: &'a str) -> (CredentialKind, Word<'a>) {
    let path = record.text("requestURI").unwrap_or_default();
    let message = record.text("responseStatus.message").unwrap_or_default();
    let is_of_rancher = record.has(RANCHER_LOGIN);
    if is_of_rancher || path.starts_with("/login") || message.ends_with("attempted: basic") {
        return (CredentialKind::Password, format!("password:{person}").into());
    }
    if path.starts_with("/oauth2callback/") {
        return (CredentialKind::AccessToken, format!("token:{person}").into());
    }
    (CredentialKind::Unknown, format!("unknown:{person}").into())
}

/// A value that the authenticator added.
fn extra<'a>(record: &'a Json<'_>, name: &str) -> Option<&'a str> {
    labelled(record.at("user.extra")?, name)
}

/// What stands under a name with dots and slashes. Some exporters cannot write these.
fn labelled<'a>(labels: &'a Json<'_>, name: &str) -> Option<&'a str> {
    fn letters(name: &str) -> String {
        let name = name.replace("_slash_", "");
        name.chars().filter(char::is_ascii_alphanumeric).collect()
    }
    let fields = labels.fields();
    let exact = fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
    let found = exact.or_else(|| {
        let wanted = letters(name);
        fields.iter().find(|(found, _)| letters(found).eq_ignore_ascii_case(&wanted))
    });
    found?.1.as_text()
}

/// The service account without generated parts of its name, the role on EKS, else the kind of user.
fn class(record: &Json<'_>, user: &str) -> String {
    if let Some((namespace, name)) =
        user.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'))
    {
        return format!("{namespace}/{}", without_generated(name));
    }
    if let Some(role) = extra(record, "canonicalArn").or_else(|| extra(record, "arn")) {
        return role.to_owned();
    }
    if let Some(role) = assumed_role(user) {
        return role;
    }
    let class = match user {
        _ if NOBODY.contains(&user) => UNAUTHENTICATED,
        _ if is_node(record, user) => "kubernetes:node",
        _ if is_component(user) => "kubernetes:system",
        _ if extra(record, ENTRA_ID) == Some(user) => "kubernetes:service-principal",
        _ => "kubernetes:user",
    };
    class.to_owned()
}

/// Where Azure's clusters have the id that Entra knows somebody by; who is called by it alone is no person.
const ENTRA_ID: &str = "oid";

/// Whom AWS knows the user as.
const AWS_ARN: &str = "canonicalArn";
/// How the ids begin that the authenticator of AWS gives, today and under its first name.
const AWS_UIDS: [&str; 2] = ["aws-iam-authenticator:", "heptio-authenticator-aws:"];

/// Whether a part of the control plane acts under this name.
fn is_component(user: &str) -> bool {
    let is_of_system = user.starts_with("system:") && user != ADMIN;
    is_of_system || user.starts_with("eks:") || user == "aksService"
}

fn is_node(record: &Json<'_>, user: &str) -> bool {
    user.starts_with("system:node:") || is_in(record, NODES)
}

/// Whether the user is in this group.
fn is_in(record: &Json<'_>, group: &str) -> bool {
    record.list("user.groups").iter().any(|one| one.as_text() == Some(group))
}

/// `name` without the suffixes that controllers generate and without ordinals.
fn without_generated(name: &str) -> &str {
    let mut name = name;
    while let Some((stem, last)) = name.rsplit_once('-')
        && !stem.is_empty()
        && is_generated(last)
    {
        name = stem;
    }
    name
}

/// Whether a part of a name was generated: digits, or without vowels and with a digit, as Kubernetes
/// draws them, or hexadecimal and long.
///
/// Source: the alphabet of `k8s.io/apimachinery/pkg/util/rand`. One suffix in five has no digit and
/// stays: a word such as `https` must.
fn is_generated(part: &str) -> bool {
    let has_digit = part.bytes().any(|byte| byte.is_ascii_digit());
    let is_drawn = |byte: u8| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte);
    has_digit
        && (part.bytes().all(|byte| byte.is_ascii_digit())
            || ((5..=10).contains(&part.len()) && part.bytes().all(is_drawn))
            || (8 <= part.len() && part.bytes().all(|byte| byte.is_ascii_hexdigit())))
}

/// Which Secret the token of a service account stands in.
const LEGACY_SECRETS: [&str; 2] = [
    "authentication.k8s.io/legacy-token-autogenerated-secret",
    "authentication.k8s.io/legacy-token-manual-secret",
];

fn credential<'a>(record: &'a Json<'_>, user: &'a str) -> (CredentialKind, Word<'a>) {
    let is_service_account = user.starts_with(SERVICE_ACCOUNT);
    if let Some(id) = extra(record, "authentication.kubernetes.io/credential-id") {
        let kind = match id.split('=').next() {
            Some("X509SHA256") => CredentialKind::Certificate,
            _ if is_service_account => CredentialKind::ServiceAccountToken,
            _ => CredentialKind::AccessToken,
        };
        return (kind, id.into());
    }
    if let Some(token) = extra(record, "requesttokenid") {
        // Rancher's own, by the half of it that it is known by.
        return (CredentialKind::AccessToken, token.into());
    }
    if let Some(key) = extra(record, "accessKeyId") {
        return (aws_key(key).unwrap_or(CredentialKind::TemporaryKey), key.into());
    }
    if let Some(token) = record.at("annotations").and_then(|notes| legacy_token(notes, user)) {
        return (CredentialKind::StaticKey, token.into());
    }
    if is_service_account {
        // A token bound to a pod dies with it, so the pod's id tells tokens apart.
        let pod = extra(record, "authentication.kubernetes.io/pod-uid");
        let id = pod.map_or_else(|| format!("token:{user}"), |pod| format!("pod:{pod}"));
        return (CredentialKind::ServiceAccountToken, id.into());
    }
    if NOBODY.contains(&user) {
        return anonymous(record);
    }
    if let Some(token) = user.strip_prefix(BOOTSTRAP) {
        // What a node shows before it has a certificate, by the public half of it.
        return (CredentialKind::AccessToken, format!("bootstrap-token:{token}").into());
    }
    // OpenShift tells by a group of how a person signed in, Azure by what else it knows of one, the
    // authenticator of AWS by the id and the ARN that it gives to whoever shows it a token.
    let uid = record.text("user.uid").unwrap_or_default();
    let has_token = is_in(record, "system:authenticated:oauth")
        || [ENTRA_ID, AWS_ARN].iter().any(|name| extra(record, name).is_some())
        || AWS_UIDS.iter().any(|start| uid.starts_with(start));
    let (kind, prefix) = match user {
        _ if has_token => (CredentialKind::AccessToken, "token"),
        _ if is_node(record, user) => (CredentialKind::Certificate, "certificate"),
        _ if is_component(user) => (CredentialKind::Platform, "service"),
        _ if user == ADMIN || MASTERS.iter().any(|group| is_in(record, group)) => {
            (CredentialKind::Certificate, "certificate")
        }
        _ => (CredentialKind::Unknown, "unknown"),
    };
    (kind, format!("{prefix}:{user}").into())
}

/// The token without an end of a service account, by what the cluster notes of it.
pub(super) fn legacy_token(notes: &Json<'_>, user: &str) -> Option<String> {
    if let Some(secret) = LEGACY_SECRETS.iter().find_map(|name| labelled(notes, name)) {
        // It lives as long as the Secret; the user tells its namespace.
        let namespace = user.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split(':').next());
        return Some(format!("secret:{}/{secret}", namespace.unwrap_or_default()));
    }
    labelled(notes, "authentication.k8s.io/legacy-token").map(|_| format!("token:{user}"))
}

fn anonymous<'a>(record: &'a Json<'_>) -> (CredentialKind, Word<'a>) {
    let from = record.text("sourceIPs").map(Cow::Borrowed);
    // Each connection to Rancher comes from a port of its own.
    let from = from.or_else(|| Some(address_of(record.text("remoteAddr")?)?.to_string().into()));
    let from = from.unwrap_or(Cow::Borrowed("unknown"));
    (CredentialKind::Anonymous, format!("anonymous:{from}").into())
}

/// `pods/exec.create`; of what is no resource, `url.get`.
fn action(record: &Json<'_>, object: Option<Object<'_>>) -> Option<String> {
    let verb = match record.text("verb") {
        Some(verb) => verb.to_ascii_lowercase(),
        None => rancher_verb(record, object.is_some())?,
    };
    Some(match object {
        Some(Object { resource, part: Some(part), .. }) => format!("{resource}/{part}.{verb}"),
        Some(Object { resource, .. }) => format!("{resource}.{verb}"),
        None => format!("url.{verb}"),
    })
}

/// What Rancher was asked to do: the `action` of the query, else the method, which of what it passes on to
/// Kubernetes is a verb there.
fn rancher_verb(record: &Json<'_>, is_object: bool) -> Option<String> {
    let mut pairs = record.text("requestURI")?.split(['?', '&']).skip(1);
    if let Some(asked) = pairs.find_map(|pair| pair.strip_prefix("action=")) {
        return Some(asked.to_owned());
    }
    let method = record.text("method")?.to_ascii_lowercase();
    Some(match method.as_str() {
        "post" if is_object => "create".to_owned(),
        "put" if is_object => "update".to_owned(),
        _ => method,
    })
}

/// The path that was asked for, without the token that Rancher has in one.
fn path<'a>(record: &'a Json<'_>) -> Option<&'a str> {
    let path = record.text("requestURI")?.split('?').next()?;
    Some(if path.starts_with(IMPORT) { IMPORT } else { path })
}

/// `namespace/pods/name`, or the path of what is no resource.
fn target<'a>(record: &'a Json<'_>, object: Option<Object<'a>>, draft: &mut Draft<'a>) {
    let Some(Object { namespace, resource, name, part }) = object else {
        let path = path(record);
        draft.resource = path.map(Into::into);
        draft.resource_kind = path.map(|_| "url".into());
        return;
    };
    let parts: Vec<&str> = [namespace, Some(resource), name, part].into_iter().flatten().collect();
    draft.resource = Some(parts.join("/").into());
    draft.resource_kind = Some(resource.into());
}

/// Whether admission refused a request, which answers 403 or as it likes, 400 and 422 among others.
pub(super) fn is_refused_admission(message: &str) -> bool {
    ["admission webhook", "AdmissionPolicy"].iter().any(|who| message.contains(who))
        && ["denied the request", "denied request"].iter().any(|what| message.contains(what))
}

fn outcome(record: &Json<'_>) -> Outcome {
    const DECISION: &str = "authorization.k8s.io/decision";
    let decision = note(record, DECISION);
    let sign_in = note(record, SIGN_IN);
    let by_status = record.first(STATUSES).and_then(verdict::of_http);
    let is_refused = record.text("responseStatus.message").is_some_and(is_refused_admission);
    match by_status {
        _ if decision == Some("forbid") || sign_in == Some("deny") || is_refused => Outcome::Denied,
        _ if sign_in == Some("error") => Outcome::Error,
        Some(outcome @ (Outcome::Denied | Outcome::Error)) => outcome,
        _ if record.text("responseStatus.status") == Some("Failure") => {
            let words = ["responseStatus.reason", "responseStatus.message"];
            verdict::of_error(record.first(&words).unwrap_or_default())
        }
        _ if record.text("stage") == Some("Panic") => Outcome::Error,
        Some(Outcome::Success) | None => Outcome::Success,
    }
}

/// The path of a request, with the query where it selects objects. What is run in a container and what
/// is passed on to a service may be or hold a secret: of a command only the program is told.
fn asked<'a>(record: &'a Json<'_>, object: Option<Object<'_>>, draft: &mut Draft<'a>) {
    let (Some(uri), Some(path)) = (record.text("requestURI"), path(record)) else { return };
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let part = object.and_then(|object| object.part);
    let is_passed_on = matches!(part, Some("exec" | "attach" | "proxy" | "portforward"))
        || path.contains("/proxy")
        || path == IMPORT;
    draft.keep("request_uri", Some(if is_passed_on { path } else { uri }));
    let mut commands = query.split('&').filter_map(|pair| pair.strip_prefix("command="));
    // A plus sign is a blank, and a plus sign's own code is none.
    let command = commands.next().and_then(|command| command.split('+').next());
    let command = command.map(|command| without_percents(command.as_bytes()).into_owned());
    let command = String::from_utf8(command.unwrap_or_default()).unwrap_or_default();
    draft.keep("program", command.split_whitespace().next().map(str::to_owned));
}

fn keep<'a>(record: &'a Json<'_>, object: Option<Object<'_>>, draft: &mut Draft<'a>) {
    const ISSUED: &str = "authentication.kubernetes.io/issued-credential-id";
    const VALIDATION_FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";
    draft.keep_each(
        record,
        &[
            ("api_group", "objectRef.apiGroup"),
            ("decision_reason", "annotations.authorization.k8s.io/reason"),
            ("error_message", "responseStatus.message"),
            ("groups", "user.groups"),
            ("groups", "user.group"),
            ("impersonated_extra", "impersonatedUser.extra"),
            ("impersonated_groups", "impersonatedUser.groups"),
            ("impersonated_uid", "impersonatedUser.uid"),
            ("impersonation_constraint", "authenticationMetadata.impersonationConstraint"),
            ("level", "level"),
            ("node", "user.extra.authentication.kubernetes.io/node-name"),
            ("role", "requestObject.roleRef.name"),
            ("signer", "requestObject.spec.signerName"),
            ("stage", "stage"),
            ("user_uid", "user.uid"),
        ],
    );
    asked(record, object, draft);
    draft.keep("arn", extra(record, "arn"));
    draft.keep("login_name", extra(record, "username"));
    draft.keep("principal", extra(record, "principalid"));
    draft.keep("issued_credential_id", note(record, ISSUED));
    draft.keep("stale_token_warning", note(record, "authentication.k8s.io/stale-token"));
    draft
        .keep("invalidated_secret", note(record, "authentication.k8s.io/legacy-token-invalidated"));
    for (name, path) in [
        ("validation_failure", VALIDATION_FAILURE),
        ("pod_security_policy", "pod-security.kubernetes.io/enforce-policy"),
        ("pod_security_exempt", "pod-security.kubernetes.io/exempt"),
        ("pod_security_violations", "pod-security.kubernetes.io/audit-violations"),
    ] {
        draft.keep(name, note(record, path));
    }
    body::runs(record, draft);
    body::keep_subjects(record, draft);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_masters_has_a_certificate_unless_something_tells_of_a_token() {
        use CredentialKind::{AccessToken, Certificate, Platform, TemporaryKey, Unknown};
        for (user, kind) in [
            (r#"{"username":"jo","groups":["system:masters"]}"#, Certificate),
            (r#"{"username":"system:admin"}"#, Certificate),
            (r#"{"username":"kubernetes-admin","groups":["kubeadm:cluster-admins"]}"#, Certificate),
            (r#"{"username":"jo","groups":["ops"]}"#, Unknown),
            (r#"{"username":"system:apiserver","groups":["system:masters"]}"#, Platform),
            (
                r#"{"username":"jo","groups":["system:masters"],"uid":"heptio-authenticator-aws:1:AIDA"}"#,
                AccessToken,
            ),
            (
                r#"{"username":"jo","groups":["system:masters"],"extra":{"accessKeyId":["ASIA1"]}}"#,
                TemporaryKey,
            ),
            (r#"{"username":"jo","groups":["system:masters"],"extra":{"oid":["x"]}}"#, AccessToken),
        ] {
            let record = format!("{{\"user\":{user}}}");
            let record = Json::parse(&record).unwrap();
            let name = record.text("user.username").unwrap();
            assert_eq!(credential(&record, name).0, kind, "{user}");
        }
    }

    #[test]
    fn a_program_is_told_without_its_arguments_however_the_command_is_encoded() {
        let record = |command: &str| {
            format!("{{\"requestURI\":\"/exec?container=c&command={command}\",\"verb\":\"get\"}}")
        };
        for (command, program) in [
            ("sh&command=-c&command=x", Some("sh")),
            ("%2Fusr%2Fbin%2Fcurl", Some("/usr/bin/curl")),
            ("mysql+-phunter2", Some("mysql")),
            ("mysql%20-phunter2", Some("mysql")),
            ("g%2B%2B", Some("g++")),
            ("", None),
        ] {
            let text = record(command);
            let json = Json::parse(&text).unwrap();
            let mut draft = Draft::new(NEEDS, &json, TIMES).unwrap();
            asked(&json, Object::of(&json), &mut draft);
            let told = format!("{draft:?}");
            let found = program.is_none_or(|program| told.contains(&format!("\"{program}\"")));
            assert!(found && told.contains("\"program\"") == program.is_some(), "{told}");
        }
    }

    #[test]
    fn a_token_in_a_path_of_rancher_is_not_kept() {
        let token = ["x7k29", "qwmzt"].concat().repeat(5);
        let path = format!("/v3/import/{token}_c-m-7q2x.yaml?x={token}");
        let record = format!("{{\"requestURI\":\"{path}\",\"method\":\"GET\"}}");
        let told = format!("{:?}", draft(&Json::parse(&record).unwrap()).unwrap());
        assert!(told.contains("\"/v3/import\"") && !told.contains(&token), "{told}");
    }

    #[test]
    fn a_request_that_was_only_received_is_no_event() {
        for (record, is_event) in [
            (r#"{"stage":"RequestReceived","verb":"get"}"#, false),
            (r#"{"stage":"RequestReceived","responseStatus":null}"#, false),
            (r#"{"stage":"RequestReceived","responseStatus":{"code":200}}"#, true),
            (r#"{"stage":"Panic","responseStatus":{"code":500}}"#, true),
            (r#"{"stage":"ResponseComplete"}"#, true),
        ] {
            assert_eq!(draft(&Json::parse(record).unwrap()).is_ok(), is_event, "{record}");
        }
    }

    #[test]
    fn a_class_is_a_name_without_what_was_generated() {
        for (name, class) in [
            ("agent-7d9f8c6b5-x2k4q", "agent"),
            ("agent-7", "agent"),
            ("nightly-28431220", "nightly"),
            ("runner-5b9488ae", "runner"),
            ("serve-https", "serve-https"),
            ("agent-v2", "agent-v2"),
            ("coredns", "coredns"),
            ("7", "7"),
        ] {
            assert_eq!(without_generated(name), class);
        }
    }
}
