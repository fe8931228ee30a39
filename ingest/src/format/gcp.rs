//! Google Cloud audit logs: a `LogEntry` whose payload is an `AuditLog`.
//!
//! Invariant: who asks is who Google authenticated; who stands behind a service account is only
//! claimed, and goes to the delegation.
//!
//! Source: Google Cloud, `AuditLog` and `LogEntry` references; codes: `google.rpc.Code`.

mod counterparty;
mod delegation;
mod outcome;

use schemas::{CredentialKind, Outcome};

use self::counterparty::DELTAS;
use self::outcome::{is_log, outcome};
use super::draft::{Draft, Needs, Word};
use super::json::Json;
use super::kubernetes::legacy_token;
use super::{Fault, is_browser};

pub(super) const NEEDS: Needs = Needs {
    agent: "protoPayload.authenticationInfo",
    action: "protoPayload.methodName",
    time: "timestamp",
};
const TIMES: &[&str] = &[
    "timestamp",
    "timestamp.seconds",
    "protoPayload.timestamp",
    "receiveTimestamp",
    "protoPayload.requestMetadata.requestAttributes.time",
    // Where the payload alone was exported.
    "requestMetadata.requestAttributes.time",
];
/// Where the payload is: in the entry, in Log Analytics, in a table of `BigQuery`, in an entry that was
/// logged again or is of Access Transparency.
const PAYLOADS: [&str; 4] =
    ["protoPayload", "protoPayload.auditLog", "protopayload_auditlog", "jsonPayload"];

const AGENTS: &[&str] = &[
    "authenticationInfo.principalEmail",
    // Whom the provider's token was taken for; its own subject means nothing elsewhere.
    "metadata.mapped_principal",
    "authenticationInfo.principalSubject",
    "authenticationInfo.authoritySelector",
    // Of Access Transparency: whose employee.
    EMPLOYER,
];
const EMPLOYER: &str = "location.principalEmployingEntity";
/// How an IAM policy writes the kind of a principal in front of its name.
const KINDS: [&str; 2] = ["serviceAccount:", "user:"];
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "gcp:unauthenticated";
const CONSOLE_USER: &str = "gcp:serial-console-user";
/// Who moves machines and closes what is not paid for.
const SYSTEM: &str = "system@google.com";
/// Of the identity that an agent has on Google's platforms for them.
const AGENT: &str = "principal://agents.";
/// Of that of one of Vertex AI: `projects/…/locations/…/reasoningEngines/…`.
const ENGINE: &str = "reasoningEngines";
const IDENTITY: &str = "principal://iam.googleapis.com/";
/// How the name of somebody begins whom another provider knows.
const FEDERATED: [&str; 3] = ["principal:", "principalSet:", "//iam.googleapis.com/"];
/// The account that Google warns of, or closes.
const AFFECTED: &str = "affected_email_address";
/// What a warning of Google's is called that may name the account as if it had acted.
const WARNINGS: [&str; 2] = ["attack_warning", "account_warning"];
/// The log of what Google's own systems did, which names nobody.
const SYSTEM_LOG: &str = "system_event";
/// The steps of a sign-in to Google Workspace.
const CHALLENGE: &str = "login_challenge_method";
/// How the services end that open serial consoles, one for each region.
const SERIAL_CONSOLE: &str = "ssh-serialport.googleapis.com";
/// Of the identity that a cluster gives its service accounts: `project.svc.id.goog[namespace/name]`.
const WORKLOAD_POOL: &str = ".svc.id.goog[";

/// The calls of Vertex AI that only a model takes that answers in words: the third and fourth pass on what
/// another publisher's own interface asks for.
const CONVERSATIONS: [&str; 5] = [
    "GenerateContent",
    "StreamGenerateContent",
    "RawPredict",
    "StreamRawPredict",
    "ChatCompletions",
];

/// Which entries of a machine's or a project's metadata were changed, such as `ssh-keys`.
const METADATA_DELTAS: [&str; 2] =
    ["metadata.instanceMetadataDelta", "metadata.projectMetadataDelta"];
/// The service account that a machine, a function, a service or a job will run as.
const RUNS_AS: [&str; 7] = [
    "request.serviceAccounts.email",
    "request.function.serviceAccountEmail",
    "request.function.serviceConfig.serviceAccountEmail",
    "request.service.template.serviceAccount",
    "request.service.spec.template.spec.serviceAccountName",
    "request.build.serviceAccount",
    "request.customJob.jobSpec.serviceAccount",
];
/// Of a query of `BigQuery`'s: the kind of its statement, the table that it wrote or dropped, and those that it
/// read.
const STATEMENTS: [&str; 2] = [
    "serviceData.jobCompletedEvent.job.jobConfiguration.query.statementType",
    "metadata.jobChange.job.jobConfig.queryConfig.statementType",
];
const DESTINATIONS: [&str; 2] = [
    "serviceData.jobCompletedEvent.job.jobConfiguration.query.destinationTable",
    "metadata.jobChange.job.jobConfig.queryConfig.destinationTable",
];
const TABLES: [&str; 2] = [
    "serviceData.jobCompletedEvent.job.jobStatistics.referencedTables",
    "metadata.jobChange.job.jobStats.queryStats.referencedTables",
];

pub(super) fn draft<'a>(record: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let mut draft = Draft::new(NEEDS, record, TIMES)?;
    // Where the payload alone was exported, the record is the payload.
    let mut payloads = PAYLOADS.iter().filter_map(|path| record.at(path));
    let marks = ["methodName", "authenticationInfo", "accesses", "serviceName"];
    let payload = payloads.find(|payload| marks.iter().any(|mark| payload.has(mark)));
    let payload = payload.unwrap_or(record);
    let statement = statement(payload);
    draft.event_id = match (record.text("logName"), record.text("insertId")) {
        (Some(log), Some(id)) => Some(format!("{log}:{id}").into()),
        (_, id) => id.map(Into::into),
    };
    draft.source = caller(payload, "callerIp").map(Into::into);
    draft.user_agent = caller(payload, "callerSuppliedUserAgent").map(Into::into);
    (draft.outcome, draft.outcome_reason) = outcome(record, payload);
    // Google names nobody where it refused who asked.
    let nobody = Some(UNAUTHENTICATED).filter(|_| draft.outcome == Outcome::Denied);
    let user = statement.and_then(|statement| statement.text("user"));
    let is_of_system = record.text("logName").is_some_and(|log| is_log(log, SYSTEM_LOG));
    let system = payload.text("serviceName").filter(|_| is_of_system);
    let user = user.or_else(|| console_user(payload));
    if let Some(agent) = agent(payload).or(user).or(system).or(nobody) {
        let class = class(record, payload, agent);
        draft.agent = Some(agent.into());
        draft.class = Some(class.into());
        draft.credential = Some(credential(record, payload, agent, class));
    }
    draft.delegation = delegation::of(record, payload);
    let method = payload.first(&["methodName", "accesses.methodName"]);
    let method = method.or(system.and(Some(SYSTEM_LOG)));
    // Some exporters lose the method; what it needed a right for is told yet.
    let method = method.or_else(|| payload.text("authorizationInfo.permission"));
    draft.action = method.map(|method| {
        payload.text("serviceName").map_or(method.into(), |name| format!("{name}:{method}").into())
    });
    let places = [
        "resourceName",
        "authorizationInfo.resource",
        "accesses.resourceName",
        "request.resource",
        // Of an exchange of tokens: the provider in whose name it was asked for.
        "request.audience",
        // What a right was needed to: of a call that makes something, the parent.
        "authorizationInfo.resourceAttributes.name",
        // What is behind the perimeter that refused.
        "metadata.ingressViolations.targetResource",
        "metadata.egressViolations.targetResource",
    ];
    draft.resource = payload.first(&places).map(Into::into);
    let kind = record.first(&["resource.type", "protoPayload.resource.type"]);
    draft.resource_kind =
        kind.or_else(|| payload.text("authorizationInfo.resourceAttributes.type")).map(Into::into);
    if let Some(statement) = statement {
        let database = statement.first(&["database", "objects.db"]);
        draft.reach([(database, "database")]);
        draft.source = draft.source.or(statement.text("ip").map(Into::into));
    }
    draft.model = model(payload).map(Into::into);
    draft.counterparty = counterparty::of(record, payload);
    keep(record, payload, &mut draft);
    draft.keep("issued_credential_id", minted(payload));
    if draft.outcome == Outcome::Success {
        let message = payload.text("status.message").filter(|text| *text != "OK");
        draft.keep("status_message", message);
    }
    Ok(draft)
}

/// Of who called; some services put it into their metadata.
fn caller<'a>(payload: &'a Json<'_>, name: &str) -> Option<&'a str> {
    let own = payload.at("requestMetadata").and_then(|metadata| metadata.text(name));
    own.or_else(|| payload.at("metadata.requestMetadata")?.text(name))
}

/// The model that was asked for an answer in words, of those that a publisher offers.
fn model<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    let method = payload.text("methodName")?.rsplit('.').next();
    let resource = payload.text("resourceName")?;
    let (_, name) = resource.rsplit_once("/models/")?;
    let is_published = resource.contains("/publishers/");
    Some(name).filter(|_| is_published && method.is_some_and(|name| CONVERSATIONS.contains(&name)))
}

/// Who acted. Where Google itself warns of an account, that account did nothing.
fn agent<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    let told = principal(payload);
    match warned(payload) {
        Some(account) if told.is_none_or(|told| told == account) => payload.text("serviceName"),
        Some(_) | None => told,
    }
}

/// Who is named as the one who acted.
fn principal<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    payload.first(AGENTS).map(without_kind)
}

/// The account that Google warns of, or closes.
///
/// Source: Google Workspace, *Login Audit Activity Events*.
fn warned<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    let affected = parameter(payload, AFFECTED).and_then(Json::as_text);
    let kind = payload.text("metadata.event.eventType");
    let is_warning = kind.is_some_and(|kind| WARNINGS.contains(&kind));
    affected.or_else(|| principal(payload).filter(|_| is_warning))
}

/// A principal as it is named elsewhere.
fn without_kind(name: &str) -> &str {
    KINDS.iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name)
}

/// Whether another provider knows whom this names.
fn is_federated(name: &str) -> bool {
    FEDERATED.iter().any(|kind| name.starts_with(kind))
}

/// Whether it names an agent. In a pool of identities the subject could be called anything.
fn is_agent(name: &str) -> bool {
    let kind = name.strip_prefix(IDENTITY).and_then(|path| path.split('/').nth(4));
    name.starts_with(AGENT) || kind == Some(ENGINE)
}

/// What a database was asked, as its own audit tells it.
///
/// Source: Google Cloud, *View database audit logs* of Cloud SQL and `AlloyDB` (`PgAuditEntry`,
/// `MysqlAuditEntry`).
fn statement<'j, 'a>(payload: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let is_told = |request: &&Json<'_>| {
        request.text("@type").is_some_and(|kind| kind.ends_with("AuditEntry"))
    };
    payload.at("request").filter(is_told)
}

/// Who opened the serial console of a machine, by the name that they have on it.
///
/// Source: Google Cloud, *Troubleshooting using the serial console* (audit logging).
fn console_user<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    let is_console = payload.text("serviceName").is_some_and(|name| name.ends_with(SERIAL_CONSOLE));
    payload.text("request.username").filter(|_| is_console)
}

/// What an event of Google Workspace says under this name.
fn parameter<'j, 'a>(payload: &'j Json<'a>, name: &str) -> Option<&'j Json<'a>> {
    let events = payload.list("metadata.event").iter();
    let mut parameters = events.flat_map(|event| event.list("parameter"));
    let is_named =
        |one: &&Json<'_>| one.text("name").is_some_and(|found| found.eq_ignore_ascii_case(name));
    let found = parameters.find(is_named)?;
    ["value", "multiStrValue", "multiValue"].iter().find_map(|path| found.at(path))
}

fn class(record: &Json<'_>, payload: &Json<'_>, agent: &str) -> &'static str {
    let subject = payload.text("authenticationInfo.principalSubject").unwrap_or_default();
    if matches!(agent, ANONYMOUS | UNAUTHENTICATED) {
        UNAUTHENTICATED
    } else if is_agent(agent) {
        "gcp:agent"
    } else if is_service_agent(agent, record.text("resource.labels.project_id")) {
        "gcp:service-agent"
    } else if agent.starts_with("system:serviceaccount:") || agent.contains(WORKLOAD_POOL) {
        "gcp:kubernetes-service-account"
    } else if agent.ends_with("gserviceaccount.com") || subject.starts_with("serviceAccount:") {
        "gcp:service-account"
    } else if is_federated(subject) || is_federated(agent) {
        "gcp:federated"
    } else if agent.starts_with("system:") || agent == SYSTEM || is_google(payload, agent) {
        "gcp:system"
    } else if statement(payload).is_some_and(|statement| statement.text("user") == Some(agent)) {
        "gcp:database-user"
    } else if console_user(payload) == Some(agent) {
        CONSOLE_USER
    } else {
        "gcp:user"
    }
}

/// Whether it is a service of Google's, or its staff.
fn is_google(payload: &Json<'_>, agent: &str) -> bool {
    ["serviceName", EMPLOYER].iter().any(|path| payload.text(path) == Some(agent))
}

/// Whether a service account is Google's own, which its services use and nobody else can. What stands before
/// the number of whom it works for is a name that anybody may give to an account of a project of their own.
///
/// Source: Google Cloud, *Service agents*.
fn is_service_agent(agent: &str, own_project: Option<&str>) -> bool {
    let Some((name, domain)) = agent.split_once('@') else { return false };
    let project = match domain.strip_suffix("gserviceaccount.com") {
        Some("system." | "cloudservices.") => return true,
        Some(project) => project.strip_suffix(".iam."),
        None => None,
    };
    let Some(project) = project.filter(|project| Some(*project) != own_project) else {
        return false;
    };
    let number = name.strip_prefix("service-").unwrap_or_default();
    let number =
        ["org-", "folder-"].iter().find_map(|of| number.strip_prefix(of)).unwrap_or(number);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number || project.starts_with("gcp-sa-") || project == "bigquery-encryption"
}

fn credential<'a>(
    record: &Json<'_>,
    payload: &'a Json<'_>,
    agent: &'a str,
    class: &str,
) -> (CredentialKind, Word<'a>) {
    if let Some(key) = payload.text("authenticationInfo.serviceAccountKeyName") {
        return (CredentialKind::StaticKey, key.trim_start_matches('/').into());
    }
    if let Some(client) = payload.text("authenticationInfo.oauthInfo.oauthClientId") {
        // One application has many users: the two together are the grant.
        return (CredentialKind::AccessToken, format!("oauth:{client}:{agent}").into());
    }
    // What a cluster notes of a token is in the labels of its entry.
    if let Some(token) = record.at("labels").and_then(|notes| legacy_token(notes, agent)) {
        return (CredentialKind::StaticKey, token.into());
    }
    match class {
        UNAUTHENTICATED => {
            let from = caller(payload, "callerIp").unwrap_or("unknown");
            (CredentialKind::Anonymous, format!("anonymous:{from}").into())
        }
        "gcp:service-agent" | "gcp:system" => {
            (CredentialKind::Platform, format!("service:{agent}").into())
        }
        "gcp:service-account" | "gcp:kubernetes-service-account" => {
            (CredentialKind::ServiceAccountToken, format!("token:{agent}").into())
        }
        // The console lets nobody in by anything else.
        CONSOLE_USER => (CredentialKind::StaticKey, format!("ssh:{agent}").into()),
        "gcp:agent" | "gcp:federated" => {
            (CredentialKind::AccessToken, format!("token:{agent}").into())
        }
        _ => of_person(payload, agent),
    }
}

/// What a person shows: at a sign-in a password or what a provider says; else a token by a program or the
/// session of the console, and there is no third way in.
fn of_person<'a>(payload: &'a Json<'_>, agent: &'a str) -> (CredentialKind, Word<'a>) {
    let program = caller(payload, "callerSuppliedUserAgent");
    let is_console =
        program.is_some_and(|program| is_browser(program) || program == "GoogleCloudConsole");
    let told = |name| parameter(payload, name).and_then(Json::as_text);
    match told("login_type") {
        Some("saml") => (CredentialKind::AccessToken, format!("token:{agent}").into()),
        // What is called `unknown` or `reauth` tells its first step.
        kind if kind == Some("google_password") || told(CHALLENGE) == Some("password") => {
            (CredentialKind::Password, format!("password:{agent}").into())
        }
        _ if is_console => (CredentialKind::Session, format!("session:{agent}").into()),
        _ if program.is_some() => (CredentialKind::AccessToken, format!("token:{agent}").into()),
        _ => (CredentialKind::Unknown, format!("unknown:{agent}").into()),
    }
}

/// The id of what a call makes, where its resource is no more than the parent: `workforcePoolId` of
/// `CreateWorkforcePool`.
///
/// Source: Google, *AIP-133: Standard methods: Create*.
fn created<'a>(payload: &'a Json<'_>) -> Option<&'a str> {
    let method = payload.text("methodName")?.rsplit('.').next()?;
    let id = match method.strip_prefix("Create")? {
        "ServiceAccount" => payload.text("request.accountId"),
        noun => payload.text(&format!("request.{noun}Id")),
    };
    let resource = payload.text("resourceName").unwrap_or_default();
    id.filter(|id| !resource.ends_with(id))
}

/// The key that the call made, by the name under which its uses have it.
fn minted<'a>(payload: &'a Json<'_>) -> Option<Word<'a>> {
    const MINTING: [(&str, &str); 3] = [
        ("CreateServiceAccountKey", "iam.googleapis.com"),
        ("UploadServiceAccountKey", "iam.googleapis.com"),
        ("ApiKeys.CreateKey", "apikeys.googleapis.com"),
    ];
    let method = payload.text("methodName")?;
    let (_, service) = MINTING.iter().find(|(end, _)| method.ends_with(end))?;
    let name = payload.text("response.name").filter(|name| name.contains("/keys/"))?;
    Some(format!("{service}/{name}").into())
}

fn keep<'a>(record: &'a Json<'_>, payload: &'a Json<'_>, draft: &mut Draft<'a>) {
    draft.keep_each(
        record,
        &[
            ("log_name", "logName"),
            ("operation_id", "operation.id"),
            ("project_id", "resource.labels.project_id"),
            ("resource_location", "resource.labels.location"),
            ("severity", "severity"),
        ],
    );
    draft.keep_each(
        payload,
        &[
            ("accesses", "accesses"),
            ("access_approvals", "accessApprovals"),
            ("access_reason", "reason"),
            // Where a tunnel leads.
            ("destination_ip", "requestMetadata.destinationAttributes.ip"),
            ("destination_port", "requestMetadata.destinationAttributes.port"),
            ("dry_run", "metadata.dryRun"),
            ("dry_run_result", "metadata.dryRunResult"),
            ("oauth_client_id", "authenticationInfo.oauthInfo.oauthClientId"),
            ("permission", "authorizationInfo.permission"),
            ("permission_delta", "serviceData.permissionDelta"),
            ("policy_bindings", "request.policy.bindings"),
            ("principal_subject", "authenticationInfo.principalSubject"),
            ("request_reason", "requestMetadata.requestAttributes.reason"),
            // What is behind the perimeter that refused, and why.
            ("resource_names", "metadata.resourceNames"),
            ("response_reason", "response.reason"),
            ("session_phase", "metadata.iap_tcp_session_info.phase"),
            ("third_party_principal", "authenticationInfo.thirdPartyPrincipal"),
            ("event_name", "metadata.event.eventName"),
            ("update_mask", "request.updateMask"),
            ("violation_reason", "metadata.violationReason"),
        ],
    );
    for (name, paths) in [
        ("policy_delta", &DELTAS[..]),
        ("metadata_delta", &METADATA_DELTAS[..]),
        ("service_account", &RUNS_AS[..]),
        ("statement_type", &STATEMENTS[..]),
        ("destination_table", &DESTINATIONS[..]),
        ("tables", &TABLES[..]),
    ] {
        draft.keep(name, paths.iter().find_map(|path| payload.at(path)?.told()));
    }
    draft.keep("created_id", created(payload));
    for name in [
        "app_name",
        "group_email",
        "inbound_sso_profile_name",
        "is_second_factor",
        CHALLENGE,
        "login_failure_type",
        "login_type",
        "role_name",
        "scope",
    ] {
        draft.keep(name, parameter(payload, name).and_then(Json::told));
    }
}
