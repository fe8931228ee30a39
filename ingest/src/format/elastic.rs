//! [`record`]: the vendor's record out of a document that one of Elastic's integrations made of it and did
//! not keep as it came.
//!
//! Invariant: what an integration moved stands again where the vendor has it, and nothing is put where
//! something stands; no text is spelled otherwise, since secrets are looked for in what comes out. Of
//! Teleport nothing is taken but what is named here, since its documents hold statements and arguments, which
//! are never kept, under names of their own. What an integration failed at is not read, nor is a document that
//! has the record beside it (`event.original`).
//!
//! Source: Elastic, integrations *GitHub*, *Teleport*, *Anthropic* and *`OpenAI`*, ingest pipelines and
//! exported fields. Those for Okta and Entra keep the vendors' own names and are read by their formats.

use memchr::memmem;
use schemas::Format;

use super::json::Json;

/// The field that each of Elastic's documents has.
const SCHEMA: &[u8] = br#""ecs""#;

/// What an integration does with a record.
struct Integration {
    format: Format,
    /// Where it puts what it has no other field for.
    object: &'static str,
    /// Whether that is taken as it is.
    is_taken: bool,
    /// The vendor's name for what happened.
    action: &'static str,
    /// Where the document has what was moved, and where the vendor has it.
    moved: &'static [(&'static str, &'static str)],
}

const INTEGRATIONS: &[Integration] = &[
    Integration {
        format: Format::GitHub,
        object: "github",
        is_taken: true,
        action: "action",
        moved: &[
            ("@timestamp", "@timestamp"),
            ("event.id", "_document_id"),
            ("user.name", "actor"),
            ("user.target.name", "user"),
            ("client.ip", "actor_ip"),
            ("source.ip", "actor_ip"),
            ("user_agent.original", "user_agent"),
        ],
    },
    Integration {
        format: Format::Anthropic,
        object: "anthropic.audit",
        is_taken: true,
        action: "type",
        moved: &[
            ("@timestamp", "created_at"),
            ("event.id", "id"),
            ("organization.id", "organization_id"),
            ("http.request.method", "request_method"),
            ("http.request.id", "request_id"),
            ("http.response.status_code", "status_code"),
            ("url.original", "url"),
            ("source.ip", "actor.ip_address"),
            ("user_agent.original", "actor.user_agent"),
            ("user.email", "actor.email_address"),
            // Of an actor who is not signed in.
            ("user.email", "actor.unauthenticated_email_address"),
            ("user.id", "actor.user_id"),
            ("user.target.email", "user_email"),
            ("user.target.id", "user_id"),
        ],
    },
    Integration {
        format: Format::OpenAi,
        object: "openai.audit",
        is_taken: true,
        action: "type",
        moved: &[
            ("@timestamp", "effective_at"),
            ("event.id", "id"),
            ("service.id", "actor.api_key.service_account.id"),
            ("source.ip", "actor.session.ip_address"),
            ("user_agent.original", "actor.session.user_agent"),
            ("user.email", "actor.session.user.email"),
            ("user.id", "actor.session.user.id"),
        ],
    },
    Integration {
        format: Format::Teleport,
        object: "teleport.audit",
        is_taken: false,
        action: "event",
        moved: OF_TELEPORT,
    },
];

const OF_TELEPORT: &[(&str, &str)] = &[
    ("@timestamp", "time"),
    ("event.id", "uid"),
    ("event.code", "code"),
    ("event.outcome", "success"),
    ("event.reason", "reason"),
    ("error.message", "error"),
    ("teleport.audit.error", "error"),
    ("user.name", "user"),
    ("user_agent.original", "user_agent"),
    ("client.ip", "addr_remote"),
    ("client.address", "addr_remote"),
    ("source.address", "src_addr"),
    ("destination.address", "dst_addr"),
    ("process.user.name", "login"),
    ("process.command_line", "command"),
    ("process.exit_code", "exit_code"),
    ("file.path", "path"),
    ("host.id", "server_id"),
    ("host.id", "host_id"),
    ("host.hostname", "server_hostname"),
    ("host.name", "node_name"),
    ("service.name", "db_service"),
    ("orchestrator.cluster.name", "kubernetes_cluster"),
    ("url.path", "request_path"),
    ("http.response.status_code", "response_code"),
    ("teleport.audit.cluster_name", "cluster_name"),
    ("teleport.audit.name", "name"),
    ("teleport.audit.resource.name", "name"),
    ("teleport.audit.resource.updated_by", "updated_by"),
    ("teleport.audit.session.id", "sid"),
    ("teleport.audit.user.impersonator", "impersonator"),
    ("teleport.audit.user.kind", "user_kind"),
    ("teleport.audit.join.bot_name", "bot_name"),
    ("teleport.audit.join.method", "method"),
    ("teleport.audit.join.attributes", "attributes"),
    ("teleport.audit.login.method", "method"),
    ("teleport.audit.login.identity_attributes", "attributes"),
    ("teleport.audit.certificate.type", "cert_type"),
    ("teleport.audit.certificate.identity", "identity"),
    ("teleport.audit.access_request.id", "id"),
    ("teleport.audit.access_request.state", "state"),
    ("teleport.audit.access_request.reviewer", "reviewer"),
    ("teleport.audit.access_list.name", "access_list_name"),
    ("teleport.audit.access_list.members", "members"),
    ("teleport.audit.app.name", "app_name"),
    ("teleport.audit.app.uri", "app_uri"),
    ("teleport.audit.app.public_address", "app_public_addr"),
    ("teleport.audit.database.name", "db_name"),
    ("teleport.audit.database.protocol", "db_protocol"),
    ("teleport.audit.database.user", "db_user"),
    ("teleport.audit.desktop.name", "desktop_name"),
    ("teleport.audit.device", "device"),
    ("teleport.audit.lock.target", "target"),
    ("teleport.audit.mfa_device.name", "mfa_device_name"),
    ("teleport.audit.network.action", "action"),
    ("teleport.audit.saml_idp_service_provider.entity_id", "service_provider_entity_id"),
    ("teleport.audit.saml_idp_service_provider.shortcut", "service_provider_shortcut"),
];

/// Whether the record's text may be such a document, by a cheap look.
pub(super) fn may_be_document(format: Format, json: &str) -> bool {
    INTEGRATIONS.iter().any(|one| one.format == format)
        && memmem::find(json.as_bytes(), SCHEMA).is_some()
}

/// The record that `document` was made of; `None` of what is no such document.
pub(super) fn record<'a>(format: Format, document: &Json<'a>) -> Option<Json<'a>> {
    let integration = INTEGRATIONS.iter().find(|one| one.format == format)?;
    // A path looks into the first of a list, and in that the others would be lost.
    if !matches!(document, Json::Object(_)) {
        return None;
    }
    let action = document.text("event.action")?;
    let has_failed = document.text("event.kind") == Some("pipeline_error");
    if has_failed || document.at("event.original").is_some() {
        return None;
    }
    let object = document.at(integration.object);
    let object = object.filter(|object| matches!(object, Json::Object(_)))?;
    let mut record = if integration.is_taken { object.clone() } else { Json::Object(Vec::new()) };
    record.put(integration.action, Json::Text(action.to_owned().into()));
    for (path, name) in integration.moved {
        if let Some(value) = document.at(path) {
            record.put(name, value.clone());
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_is_put_back_and_nothing_that_is_not_kept() {
        for (format, document, wanted) in [
            (
                Format::OpenAi,
                r#"{"event":{"action":"api_key-created","id":"1"},"openai":{"audit":{"object":"x"}}}"#,
                Some(r#"{"object":"x","type":"api_key-created","id":"1"}"#),
            ),
            (
                Format::Teleport,
                r#"{"event":{"action":"db.session.query","code":"TDB02I"},"service":{"name":"db"},
                    "teleport":{"audit":{"database":{"name":"n","query":"SELECT 1"},"join":{"token_name":"t"}}}}"#,
                Some(
                    r#"{"event":"db.session.query","code":"TDB02I","db_service":"db","db_name":"n"}"#,
                ),
            ),
            (
                Format::GitHub,
                r#"{"event":{"action":"a","original":"{}"},"github":{"org":"o"}}"#,
                None,
            ),
            (
                Format::GitHub,
                r#"{"event":{"action":"a","kind":"pipeline_error"},"github":{"org":"o"}}"#,
                None,
            ),
            (Format::GitHub, r#"{"event":{"action":"a"},"github":"o"}"#, None),
            (Format::GitHub, r#"{"github":{"org":"o"}}"#, None),
            (Format::GitHub, r#"[{"event":{"action":"a"},"github":{"org":"o"}},{}]"#, None),
            (Format::Teleport, r#"{"event":{"action":"a"},"github":{"org":"o"}}"#, None),
            (Format::Vault, r#"{"event":{"action":"a"},"github":{"org":"o"}}"#, None),
        ] {
            let document = Json::parse(document).unwrap();
            let found = record(format, &document).map(|record| record.to_string());
            assert_eq!(found.as_deref(), wanted);
        }
    }
}
