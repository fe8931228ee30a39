//! [`unfolded`]: a record of which an exporter wrote objects and lists as JSON inside of texts, as tables
//! without nested columns make it, with these parts as they were.
//!
//! Invariant: only fields that the vendor documents as objects or lists are unfolded, and only texts that
//! are the JSON of one; nothing else of the record changes but a name that told so (`metadataJson`), and the
//! names of a row that says that it is one of a custom table, or is one of Okta's, or of a document of
//! Elastic's ([`elastic`]). A record without either is not touched, and no text is spelled otherwise: secrets are
//! looked for in what comes out.

use memchr::memmem;
use schemas::Format;

use super::elastic;
use super::json::{Json, is_same_name};
use super::okta::row;

/// The column in which a row of Log Analytics names its table, and how the names of custom tables end.
const TABLE: &str = "Type";
const CUSTOM: &str = "_CL";
/// What stands behind the names of their columns: of one that is the table's own, and the type of one that
/// came through the Data Collector API.
///
/// Source: Microsoft, *Azure Monitor*, custom tables and columns; *HTTP Data Collector API*.
const SUFFIXES: &[&str] = &["_CF", "_s", "_d", "_b", "_g", "_t"];

/// The deepest field that is unfolded, below the record.
const LEVELS_MAX: usize = 4;

/// How JSON begins that stands in a text which is itself JSON.
const STARTS: [&str; 3] = [r#""{\"#, r#""[{\"#, r#""[\"#];

/// Whether there may be JSON in a text of the record, by a cheap look: quotes in a text are escaped.
pub(super) fn has_json_in_text(json: &str) -> bool {
    json.as_bytes().contains(&b'\\') && STARTS.iter().any(|start| json.contains(start))
}

/// The record with its parts as objects and lists, and of a row of a custom table or a document of Elastic's
/// with the vendor's names; `None` if neither changes anything.
pub(super) fn unfolded(format: Format, json: &str) -> Option<String> {
    let (_, parts) = PARTS.iter().find(|(known, _)| *known == format)?;
    let may_be_row = memmem::find(json.as_bytes(), b"_CL\"").is_some();
    let may_be_flat = format == Format::Okta && row::may_be_row(json);
    let may_be_document = elastic::may_be_document(format, json);
    if !may_be_row && !may_be_flat && !may_be_document && !has_json_in_text(json) {
        return None;
    }
    let mut tree = Json::parse(json).ok()?;
    let is_flat = may_be_flat && row::is_row(&tree);
    let is_row = may_be_row && without_table(&mut tree) || is_flat;
    if is_row {
        without_suffixes(&mut tree);
    }
    if is_flat {
        row::nest(&mut tree);
    }
    // The details of an event of OpenAI's stand under the name of its type, also without dots.
    let kind = tree.text("type").filter(|_| format == Format::OpenAi).unwrap_or_default();
    let (kind, undotted) = (kind.to_owned(), kind.replace('.', "_"));
    let own = [kind.as_str(), &undotted].into_iter().filter(|name| !name.is_empty());
    let parts: Vec<&str> = parts.iter().copied().chain(own).collect();
    let has_changed = unfold(&mut tree, &parts, LEVELS_MAX);
    let record = may_be_document.then(|| elastic::record(format, &tree)).flatten();
    record.or_else(|| (is_row || has_changed).then_some(tree)).map(|tree| tree.to_string())
}

/// Takes off a row of a custom table of Log Analytics the column that names the table; returns whether it is
/// such a row.
fn without_table(row: &mut Json<'_>) -> bool {
    let Json::Object(columns) = row else { return false };
    let is_table = |name: &str, value: &Json<'_>| {
        name == TABLE && value.as_text().is_some_and(|table| table.ends_with(CUSTOM))
    };
    let Some(at) = columns.iter().position(|(name, value)| is_table(name, value)) else {
        return false;
    };
    columns.remove(at);
    true
}

/// Takes off what stands behind the names of a row's columns.
fn without_suffixes(row: &mut Json<'_>) {
    let Json::Object(columns) = row else { return };
    for at in 0..columns.len() {
        let name = &columns[at].0;
        let plain = SUFFIXES.iter().find_map(|suffix| {
            let (plain, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
            end.eq_ignore_ascii_case(suffix).then_some(plain)
        });
        let Some(plain) = plain.filter(|plain| !plain.is_empty()).map(str::to_owned) else {
            continue;
        };
        if !columns.iter().any(|(other, _)| is_same_name(other, &plain)) {
            columns[at].0 = plain.into();
        }
    }
}

/// Unfolds what is below `tree`; returns whether anything was.
fn unfold(tree: &mut Json<'_>, parts: &[&str], levels: usize) -> bool {
    let mut has_changed = false;
    let fields = match tree {
        Json::Object(fields) => fields,
        Json::List(elements) => {
            for element in elements {
                has_changed |= unfold(element, parts, levels);
            }
            return has_changed;
        }
        Json::Null | Json::Literal(_) | Json::Text(_) => return false,
    };
    for at in 0..fields.len() {
        if let Some(part) = told_by(&fields[at].0, parts)
            && !fields.iter().any(|(name, _)| is_same_name(name, part))
        {
            fields[at].0 = part.to_owned().into();
        }
    }
    for (name, value) in fields {
        if !parts.iter().any(|part| is_same_name(name, part)) {
            continue;
        }
        if let Some(inside) = inside(value) {
            *value = inside;
            has_changed = true;
        }
        if let Some(levels) = levels.checked_sub(1) {
            has_changed |= unfold(value, parts, levels);
        }
    }
    has_changed
}

/// The part whose JSON stands under a name that says so, as `metadataJson` in a table of `BigQuery`.
fn told_by<'p>(name: &str, parts: &[&'p str]) -> Option<&'p str> {
    let (part, end) = name.split_at_checked(name.len().checked_sub("Json".len())?)?;
    let is_json = end.eq_ignore_ascii_case("Json");
    parts.iter().copied().find(|known| is_json && is_same_name(part, known))
}

/// The object or list whose JSON a text is.
fn inside(value: &Json<'_>) -> Option<Json<'static>> {
    let Json::Text(text) = value else { return None };
    text.trim_start().starts_with(['{', '[']).then(|| Json::parse(text).ok().map(Json::owned))?
}

/// The fields of a format that are objects or lists of them, at any depth. CloudTrail has a way of its
/// own, and what is in a `CloudEvent` is unfolded as its format is.
const PARTS: &[(Format, &[&str])] = &[
    (
        Format::Mcp,
        &[
            "action",
            "actor",
            "ai",
            "authentication",
            "audit",
            "consumer",
            "context",
            "delegation_chain",
            "details",
            "error_information",
            "extra",
            "identity",
            "jwt",
            "mcp",
            "mcp_request",
            "mcp_response",
            "mcp_server",
            "mcp_tool_call_metadata",
            "message",
            "metadata",
            "network",
            "outcome",
            "payload",
            "policy",
            "properties",
            "request",
            "requestParams",
            "resource",
            "response",
            "rpc",
            "security",
            "source",
            "subject",
            "subjects",
            "target",
            "timestamp",
            "tool_parameters",
            "toolCall",
            "toolResult",
            "trace",
            "user",
        ],
    ),
    (
        Format::Otel,
        &[
            "attributes",
            "attributes_string",
            "customDimensions",
            "Properties",
            "resource",
            "ResourceAttributes",
            "resources",
            "resources_string",
            "SpanAttributes",
            "status",
        ],
    ),
    (
        Format::Kubernetes,
        &[
            "user",
            "extra",
            "impersonatedUser",
            "sourceIPs",
            "objectRef",
            "responseStatus",
            "annotations",
            "requestObject",
        ],
    ),
    (
        Format::Gcp,
        &[
            "protoPayload",
            "protopayload_auditlog",
            "jsonPayload",
            "authenticationInfo",
            "serviceAccountDelegationInfo",
            "authorizationInfo",
            "requestMetadata",
            "resource",
            "labels",
            "status",
            "metadata",
            "request",
            "response",
            "serviceData",
        ],
    ),
    (
        Format::Okta,
        &[
            "okta",
            "actor",
            "authenticationContext",
            "client",
            "debugContext",
            "debugData",
            "detail",
            "detailEntry",
            "outcome",
            "request",
            "securityContext",
            "target",
            "transaction",
            "userAgent",
        ],
    ),
    (
        Format::Entra,
        &[
            "records",
            "azure",
            "o365",
            "source",
            "properties",
            "actor",
            "additionalDetails",
            "agent",
            "appAccessContext",
            "auditData",
            "authenticationDetails",
            "authorization",
            "callerInfo",
            "claims",
            "copilotEventData",
            "deviceDetail",
            "deviceProperties",
            "errorInformation",
            "event",
            "extendedProperties",
            "http",
            "httpRequest",
            "identity",
            "initiatedBy",
            "item",
            "location",
            "locationDetails",
            "managedServiceIdentity",
            "modifiedProperties",
            "organization",
            "parameters",
            "performedBy",
            "provisioningStatusInfo",
            "rawEventData",
            "session",
            "sourceIdentity",
            "status",
            "statusInfo",
            "target",
            "targetIdentity",
            "targetResources",
            "targetSystem",
            "url",
            "user",
            "user_agent",
        ],
    ),
    (
        Format::GitHub,
        &[
            "actor_location",
            "alert",
            "check_run",
            "check_suite",
            "config",
            "data",
            "deployment_status",
            "event",
            "exemption_request",
            "github",
            "hook",
            "installation",
            "member",
            "membership",
            "organization",
            "repository",
            "sender",
            "source",
            "user",
            "user_agent",
            "workflow_job",
            "workflow_run",
        ],
    ),
    (
        Format::Teleport,
        &[
            "attributes",
            "client",
            "event",
            "host",
            "identity",
            "message",
            "request",
            "response",
            "service",
            "status",
            "target",
            "teleport",
            "user",
        ],
    ),
    (
        Format::Anthropic,
        &[
            "actor",
            "anthropic",
            "api_key",
            "audit",
            "event",
            "organization",
            "project",
            "session",
            "source",
            "user",
            "user_agent",
        ],
    ),
    (
        Format::OpenAi,
        &[
            "action_data",
            "actor",
            "agent_runtime",
            "agent_task",
            "api_key",
            "author",
            "certificates",
            "changes_requested",
            "client_ip_details",
            "configs",
            "conversation",
            "data",
            "delegator",
            "event",
            "event_details",
            "message",
            "openai",
            "principal",
            "project",
            "request_metadata",
            "service",
            "service_account",
            "session",
            "source",
            "tool_meta",
            "user",
            "user_agent",
        ],
    ),
    (Format::Vault, &["auth", "metadata", "namespace", "request", "response"]),
    (
        Format::Ocsf,
        &[
            "actor",
            "ai_agent",
            "api",
            "auth_factors",
            "app",
            "certificate",
            "data",
            "delegation",
            "device",
            "dst_endpoint",
            "entity",
            "file",
            "group",
            "http_request",
            "iam_role",
            "managed_entity",
            "metadata",
            "operation",
            "owner",
            "params",
            "request",
            "resource",
            "resources",
            "service",
            "session",
            "src_endpoint",
            "unmapped",
            "user",
            "web_resources",
        ],
    ),
];
