//! CloudEvents 1.0 in structured mode: an envelope around a record of another format, and the events of
//! vendors that have no format of their own. The events of buses with a schema of their own are read so too.
//!
//! Invariant: what is inside is read by the reader of its format and by no other; an envelope that does
//! not say what is inside, and whose data do not say themselves what they are, is a reject. An envelope
//! inside an envelope is none.
//!
//! Source: CNCF, *CloudEvents 1.0* and its JSON format; Google Cloud, *Eventarc* (messages of Pub/Sub).

mod actiontrail;
mod binary;
mod bus;
mod confluent;
mod harbor;
mod mesh;
mod message;
mod nebius;

use schemas::{Attributes, CredentialEvent, Format, RejectReason};

use super::clean::Look;
use super::draft::{Draft, Needs, time_of};
use super::entra::activity;
use super::envelope::{self, LAYERS_MAX, decoded};
use super::json::{Json, shallow};
use super::{Fault, Left, Normaliser, Unread, batch, more_than_one, object, read};
use crate::{RawRecord, Redactor};

pub(crate) use self::binary::structured as event_of_message;

pub(super) const NEEDS: Needs = Needs { agent: "source", action: "type", time: "time" };

/// How an event is read that has no other format inside.
type Own = for<'a, 'j> fn(&'a Json<'j>) -> Result<Draft<'a>, Fault>;

/// How the types begin of the events that vendors have, or after a colon what they hold, and who reads these.
const OWN_TYPES: &[(&str, Own)] = &[
    (mesh::TYPES, mesh::draft),
    (confluent::TYPES, confluent::draft),
    (nebius::TYPES, nebius::draft),
    (activity::TYPES, activity::event),
    (harbor::TYPES, harbor::draft),
    (actiontrail::TYPES, actiontrail::draft),
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

pub(super) fn read_envelope(json: &str, look: &Look<'_>) -> Result<CredentialEvent, Fault> {
    let Look { raw, redactor, .. } = *look;
    let mut envelope = object(json)?;
    let is_structured = envelope.text("specversion").is_some();
    if !is_structured {
        // Of a message in binary mode there may be nothing but the data.
        if confluent::is_entry(&envelope) {
            return own(confluent::draft, &format!("{{\"data\":{json}}}"), look);
        }
        let told = message::structured(&envelope).or_else(|| bus::structured(&envelope));
        envelope = told.or_else(|| message::of_pubsub(&envelope)).ok_or_else(|| {
            Fault::bad_field("wanted field `specversion` or header `ce_specversion`, found none")
        })?;
    }
    let kind = envelope.text("type").unwrap_or_default();
    let is_own =
        |part: &str| kind.starts_with(part) || (part.starts_with(':') && kind.contains(part));
    let reader = OWN_TYPES.iter().find(|(part, _)| is_own(part));
    let data =
        match (envelope.at("data"), envelope.text("data_base64")) {
            (Some(Json::Text(text)), _) => Some(text.clone().into_owned()),
            (Some(data), _) => Some(data.to_string()),
            (None, Some(text)) => Some(decoded(text).ok_or_else(|| {
                Fault::bad_field("wanted JSON in `data_base64`, found other bytes")
            })?),
            (None, None) => None,
        };
    if let Some((_, read)) = reader {
        let is_open = data.is_none() || matches!(envelope.at("data"), Some(Json::Object(_)));
        if is_structured && is_open {
            return own(*read, json, look);
        }
        return own(*read, &opened(envelope, data).to_string(), look);
    }
    let data = data.ok_or_else(|| Fault::bad_field("wanted JSON in `data`, found none"))?;
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

/// The event with its data as they are, of which a text may hold the JSON.
fn opened(mut envelope: Json<'_>, data: Option<String>) -> Json<'_> {
    let data = data.and_then(|data| Json::parse(&data).ok().map(Json::owned));
    if let (Json::Object(fields), Some(data)) = (&mut envelope, data) {
        fields.retain(|(name, _)| !["data", "data_base64"].contains(&&**name));
        fields.push(("data".into(), data));
    }
    envelope
}

/// The event of a vendor that has no other format inside.
fn own(read: Own, json: &str, look: &Look<'_>) -> Result<CredentialEvent, Fault> {
    look.event(json, |told, clean| read(told)?.finish(clean))
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
