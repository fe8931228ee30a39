//! CloudEvents 1.0 in structured mode: an envelope around a record of another format, and the events
//! of Microsoft's agent mesh, which have no format of their own.
//!
//! Invariant: what is inside is read by the reader of its format and by no other; an envelope that does
//! not say what is inside, and whose data do not say themselves what they are, is a reject. An envelope
//! inside an envelope is none.
//!
//! Source: CNCF, *CloudEvents 1.0* and its JSON format; Argo Events, its events (`context` and `data`);
//! Google Cloud, *Eventarc* (messages of Pub/Sub); Microsoft, *Agent Governance Toolkit* (event types
//! `ai.agentmesh.*`).

use std::borrow::Cow;

use schemas::{Attributes, CredentialEvent, CredentialKind, Format, Outcome, RejectReason};

use super::clean::Look;
use super::draft::{Draft, Needs, time_of};
use super::envelope::{self, LAYERS_MAX, decoded, text_of_base64};
use super::json::Json;
use super::{
    Fault, Left, Normaliser, Unread, batch, more_than_one, object, read, shallow, verdict,
};
use crate::{RawRecord, Redactor};

pub(super) const NEEDS: Needs = Needs { agent: "source", action: "type", time: "time" };

const MESH: &str = "ai.agentmesh.";
const MESH_ARGUMENTS: &[&str] = &["arguments", "tool_args", "parameters", "args"];
/// What a policy decides.
const MESH_DECISIONS: &[&str] = &[
    "allow",
    "allowed",
    "deny",
    "denied",
    "block",
    "blocked",
    "audit",
    "log",
    "warn",
    "require_approval",
];
/// Data that have a place of their own in the event.
const MESH_KNOWN: &[&str] = &[
    "session_id",
    "model",
    "source_ip",
    "client_ip",
    "arguments",
    "tool_args",
    "parameters",
    "args",
];

/// Words of a type, source or schema in lower case that say what is inside, the surest first.
const MARKS: &[(&str, Format)] = &[
    ("surety.credential_event", Format::Native),
    ("cloudtrail", Format::CloudTrail),
    ("google.cloud.audit", Format::Gcp),
    ("cloudaudit.googleapis.com", Format::Gcp),
    ("k8s.io", Format::Kubernetes),
    ("kubernetes", Format::Kubernetes),
    ("k8s", Format::Kubernetes),
    ("okta", Format::Okta),
    ("github", Format::GitHub),
    ("microsoft.aad", Format::Entra),
    ("microsoft.graph", Format::Entra),
    ("azuread", Format::Entra),
    ("entra", Format::Entra),
    ("vault", Format::Vault),
    ("teleport", Format::Teleport),
    ("anthropic", Format::Anthropic),
    ("openai", Format::OpenAi),
    ("ocsf", Format::Ocsf),
    ("opentelemetry", Format::Otel),
    ("otlp", Format::Otel),
    ("genai", Format::Otel),
    ("gen_ai", Format::Otel),
    ("agentgateway", Format::Mcp),
    ("modelcontextprotocol", Format::Mcp),
    ("mcp", Format::Mcp),
];

/// Fields of data that no other format has side by side.
const OWN: &[(&[&str], Format)] = &[
    (&["eventVersion", "userIdentity", "eventSource"], Format::CloudTrail),
    (&["protoPayload", "logName"], Format::Gcp),
    (&["auditID", "verb", "stage"], Format::Kubernetes),
    (&["eventType", "published", "actor"], Format::Okta),
    (&["class_uid", "metadata"], Format::Ocsf),
    (&["resourceSpans"], Format::Otel),
    (&["mcp.method.name"], Format::Mcp),
];

/// How the attributes of an event are marked where they stand beside the data, in headers of Kafka or HTTP.
const PREFIXES: [&str; 2] = ["ce_", "ce-"];
/// Where who writes down a message with its headers has these, and the data.
const HEADERS: &[&str] = &["headers", "attributes", "metadata"];
const BODIES: &[&str] = &["data", "body", "value", "payload"];

/// The event of a message in binary mode that was written down with its headers, as if in structured mode.
fn structured(message: &Json<'_>) -> Option<Json<'static>> {
    // Pub/Sub has the message in one of its own.
    let inner = message.field("message").filter(|inner| inner.has("attributes"));
    let message = inner.unwrap_or(message);
    let headers =
        HEADERS.iter().find_map(|name| message.field(name)).map_or_else(Vec::new, headers);
    let beside = message.fields().iter().map(|(name, value)| (&**name, value));
    let told = headers.into_iter().chain(beside).filter_map(|(name, value)| {
        let start = name
            .get(..3)
            .filter(|start| PREFIXES.iter().any(|prefix| start.eq_ignore_ascii_case(prefix)))?;
        Some((name[start.len()..].to_ascii_lowercase().into(), Json::Text(word(value)?.into())))
    });
    // Argo Events has the attributes in `context`, under their own names.
    let context = message.field("context").filter(|context| context.has("specversion"));
    let own = context.map_or(&[][..], Json::fields).iter().filter_map(|(name, value)| {
        Some((name.to_ascii_lowercase().into(), Json::Text(word(value)?.into())))
    });
    let mut fields: Vec<(Cow<'static, str>, Json<'static>)> = told.chain(own).collect();
    let version = fields
        .iter()
        .find_map(|(name, value)| if name == "specversion" { value.as_text() } else { None })?;
    // A number and a dot are no Base64: then all headers are.
    if !version.contains('.') {
        for (_, value) in &mut fields {
            *value = Json::Text(text_of_base64(value.as_text()?)?.into());
        }
    }
    fields.retain(|(name, _)| name != "data");
    let data = BODIES.iter().find_map(|name| message.field(name))?;
    let data = match data {
        Json::Text(text) => match Json::parse(text) {
            Ok(data) => Some(data.owned()),
            Err(_) => decoded(text).and_then(|text| Json::parse(&text).ok().map(Json::owned)),
        },
        Json::Null | Json::Literal(_) | Json::List(_) | Json::Object(_) => None,
    }
    .unwrap_or_else(|| data.clone().owned());
    fields.push(("data".into(), data));
    Some(Json::Object(fields))
}

/// The headers of a message by their names: an object, a list of such, of pairs of a name and a value (an
/// object or a list), or a list of names and values in turn.
fn headers<'j, 'a>(headers: &'j Json<'a>) -> Vec<(&'j str, &'j Json<'a>)> {
    let Json::List(elements) = headers else {
        let fields = headers.fields().iter();
        return fields.map(|(name, value)| (&**name, value)).collect();
    };
    if let [Json::Text(_), ..] = &elements[..] {
        let pairs = elements.chunks_exact(2);
        return pairs.filter_map(|pair| Some((pair[0].as_text()?, &pair[1]))).collect();
    }
    let mut found = Vec::new();
    for element in elements {
        let named = element.field("key").or_else(|| element.field("name"));
        match (element, named.and_then(Json::as_text), element.field("value")) {
            (Json::List(pair), ..) => {
                if let [name, value] = &pair[..] {
                    found.extend(name.as_text().map(|name| (name, value)));
                }
            }
            (_, Some(name), Some(value)) => found.push((name, value)),
            _ => found.extend(element.fields().iter().map(|(name, value)| (&**name, value))),
        }
    }
    found
}

/// The text of a header, which may be a list of its bytes.
fn word(value: &Json<'_>) -> Option<String> {
    match value {
        Json::List(bytes) => {
            let bytes = bytes.iter().map(|byte| byte.as_text()?.parse().ok());
            String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
        }
        Json::Null | Json::Literal(_) | Json::Text(_) | Json::Object(_) => {
            value.as_text().map(str::to_owned)
        }
    }
}

pub(super) fn read_envelope(json: &str, look: &Look<'_>) -> Result<CredentialEvent, Fault> {
    let Look { raw, redactor, .. } = *look;
    let mut envelope = object(json)?;
    if envelope.text("specversion").is_none() {
        envelope = structured(&envelope).ok_or_else(|| {
            Fault::bad_field("wanted field `specversion` or header `ce_specversion`, found none")
        })?;
    }
    let kind = envelope.text("type").unwrap_or_default();
    if kind.starts_with(MESH) {
        return look.event(json, |told, clean| {
            let structured = structured(told).filter(|_| told.text("specversion").is_none());
            mesh(structured.as_ref().unwrap_or(told))?.finish(clean)
        });
    }
    let data = match (envelope.at("data"), envelope.text("data_base64")) {
        (Some(Json::Text(text)), _) => text.clone().into_owned(),
        (Some(data), _) => data.to_string(),
        (None, Some(text)) => decoded(text)
            .ok_or_else(|| Fault::bad_field("wanted JSON in `data_base64`, found other bytes"))?,
        (None, None) => return Err(Fault::bad_field("wanted JSON in `data`, found none")),
    };
    // What the record inside does not tell, the envelope may.
    let time = envelope.text("time").and_then(|text| time_of(text).ok());
    let inner = RawRecord { record_time: time.or(raw.record_time), ..*raw };
    let (format, mut event) = read_data(format_of(&envelope), &data, &inner, redactor)?;
    event.format = Format::CloudEvents;
    if event.event_id == raw.position().event_id()
        && let Some(id) = envelope.text("id")
    {
        event.event_id = super::draft::required("id", id.into())?;
    }
    for (name, path) in [("cloudevents.type", "type"), ("cloudevents.source", "source")] {
        if let Some(text) = envelope.text(path) {
            let text = redactor.before_cut(text, Attributes::VALUE_BYTES_MAX);
            event.attributes.insert(name, &text);
        }
    }
    event.attributes.insert("cloudevents.format", format.as_str());
    if time.is_some() && event.attributes.get("time_from").is_some() {
        event.attributes.insert("time_from", "cloudevents");
    }
    // What was inside is clean; what the envelope lent is kept whole.
    redactor.event(&mut event, json.as_bytes());
    Ok(event)
}

/// The event of the data, or of the one record in the envelopes in them, as the format that is named or
/// that they say themselves.
fn read_data(
    named: Option<Format>,
    data: &str,
    raw: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<(Format, CredentialEvent), Fault> {
    shallow(data)?;
    let mut left = Left { layers: LAYERS_MAX, bytes: batch::TEXT_BYTES_MAX };
    let Some(format) = named.or_else(|| format_in(data, left.layers, &mut left.bytes)) else {
        let detail = "wanted a `type`, `source` or `dataschema` that names a format, found none";
        return Err(Fault::bad_field(detail));
    };
    let fault = match read(format, data, raw, redactor) {
        Ok(event) => return Ok((format, event)),
        Err(fault) => fault,
    };
    // An event inside an event is none.
    if Json::parse(data).is_ok_and(|tree| tree.has("specversion")) {
        return Err(fault);
    }
    let reader = Normaliser::new(format, redactor.clone());
    match reader.read_inside(data, raw, &fault, &mut left) {
        Ok(Some(event)) => Ok((format, event)),
        Ok(None) => Err(fault),
        Err(Unread::Fault(fault) | Unread::Beyond(fault)) => Err(fault),
        Err(Unread::Several(several)) => Err(match several.unless {
            None if fault.reason != RejectReason::SeveralRecords => {
                more_than_one(several.texts.len())
            }
            _ => fault,
        }),
    }
}

/// The format of the data, or of the first in the envelopes in them that says itself what it is.
fn format_in(data: &str, layers: usize, bytes: &mut usize) -> Option<Format> {
    *bytes = bytes.checked_sub(data.len())?;
    let tree = Json::parse(data).unwrap_or_else(|_| Json::Text(data.into()));
    let own = format_of_data(&tree);
    if own.is_some() || tree.has("specversion") {
        return own;
    }
    let layers = layers.checked_sub(1)?;
    let insides = match batch::parts(data, Format::CloudEvents) {
        Ok(Some(texts)) => texts,
        Ok(None) => envelope::insides(&tree).ok()?.into_iter().map(|inside| inside.json).collect(),
        Err(_) => return None,
    };
    insides.iter().find_map(|json| format_in(json, layers, bytes))
}

/// What the data are by their own fields.
fn format_of_data(data: &Json<'_>) -> Option<Format> {
    let is_it = |fields: &[&str]| fields.iter().all(|name| data.has(name));
    OWN.iter().find(|(fields, _)| is_it(fields)).map(|(_, format)| *format)
}

fn format_of(envelope: &Json<'_>) -> Option<Format> {
    let words = ["dataschema", "type", "source", "data.schema", "data.apiVersion"];
    let words = words.iter().filter_map(|path| envelope.text(path)).map(str::to_ascii_lowercase);
    let words: Vec<String> = words.collect();
    let named = |mark: &str| words.iter().any(|word| has_word(word, mark));
    MARKS.iter().find(|(mark, _)| named(mark)).map(|(_, format)| *format)
}

/// Whether `word` stands in `text` by itself: `vault` does not in `microsoft.keyvault`.
fn has_word(text: &str, word: &str) -> bool {
    let is_border = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    text.match_indices(word).any(|(start, _)| {
        let (before, behind) = (&text[..start], &text[start + word.len()..]);
        is_border(before.chars().next_back()) && is_border(behind.chars().next())
    })
}

/// An event of the agent mesh: the source is the agent, by its decentralised identifier.
fn mesh<'a>(envelope: &'a Json<'_>) -> Result<Draft<'a>, Fault> {
    let kind = envelope.text("type").unwrap_or_default();
    let mut draft = Draft::new(NEEDS, envelope, &["time"])?;
    let data = envelope.at("data").unwrap_or(&Json::Null);
    draft.event_id = envelope.text("id").map(Into::into);
    let agent = envelope.first(&["data.agent_did", "data.agent_id", "source"]);
    draft.agent = agent.map(Into::into);
    draft.class = data.first(&["agent_class", "agent_type", "role"]).map(Into::into);
    draft.model = data.text("model").map(Into::into);
    draft.session = envelope.first(&["data.session_id", "sessionid"]).map(Into::into);
    draft.task = data.first(&["task_id", "taskId"]).map(Into::into);
    draft.credential = match (data.first(&["credential_id", "key_id", "token_id"]), agent) {
        (Some(id), _) => Some((CredentialKind::Unknown, id.into())),
        // Whoever speaks for a DID holds its key.
        (None, Some(did)) if did.starts_with("did:") => Some((CredentialKind::Unknown, did.into())),
        (None, _) => None,
    };
    let behind =
        ["delegator", "delegated_by", "parent_agent", "sponsor", "user_id", "on_behalf_of"];
    draft.delegation = behind.iter().filter_map(|path| data.text(path)).map(Into::into).collect();
    let event = kind.strip_prefix(MESH).unwrap_or(kind);
    let subject = envelope.text("subject");
    let tool = subject.and_then(|subject| subject.strip_prefix("tool:"));
    let tool = tool.or_else(|| data.first(&["tool", "tool_name"]));
    // What some call the action is what a policy decided of it.
    let (decided, done) = match data.text("action") {
        Some(word) if MESH_DECISIONS.iter().any(|known| word.eq_ignore_ascii_case(known)) => {
            (Some(word), None)
        }
        done => (None, done.filter(|done| !done.contains(' '))),
    };
    draft.action = Some(match tool.or(done) {
        Some(done) => format!("{event}:{done}").into(),
        None => event.into(),
    });
    let resource = data.text("resource").or(subject);
    draft.resource = tool.or(resource).map(Into::into);
    let resource_kind = if tool.is_some() { "tool" } else { "resource" };
    draft.resource_kind = draft.resource.as_ref().map(|_| resource_kind.into());
    draft.source = data.first(&["source_ip", "client_ip"]).map(Into::into);
    let reason = data.first(&["reason", "violation", "error", "matched_rule", "policy"]);
    let decision = data.first(&["policy_decision", "decision"]).or(decided);
    draft.outcome = mesh_outcome(event, [decision, data.text("outcome")], reason);
    draft.outcome_reason = reason.map(Into::into);
    if let Some(arguments) = MESH_ARGUMENTS.iter().find_map(|path| data.at(path)) {
        draft.stake(arguments);
    }
    draft.keep_rest(data, MESH_KNOWN);
    Ok(draft)
}

/// A refusal counts before a failure, whether the policy's decision, the outcome or the type tells it.
fn mesh_outcome(event: &str, told: [Option<&str>; 2], reason: Option<&str>) -> Outcome {
    let ended = |word: &str| match word.to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "completed" | "ok" | "allow" | "allowed" | "audit" | "log"
        | "warn" => Outcome::Success,
        word => verdict::of_error(word),
    };
    let told = told.into_iter().flatten().map(ended).chain([verdict::of_name(event)]);
    match told.fold(Outcome::Success, worse) {
        Outcome::Error => verdict::of_error(reason.unwrap_or_default()),
        ended @ (Outcome::Denied | Outcome::Success) => ended,
    }
}

fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Denied, _) | (_, Outcome::Denied) => Outcome::Denied,
        (Outcome::Error, _) | (_, Outcome::Error) => Outcome::Error,
        (Outcome::Success, Outcome::Success) => Outcome::Success,
    }
}
