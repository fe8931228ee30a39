//! [`Normaliser`]: one record's bytes to one event, or to a reject that says why not.
//!
//! Invariant (N1): total and pure. The same bytes at the same place, with the same time in Kafka, give
//! the same event with the same id; nothing panics and nothing is dropped. No parser that recurses sees more than
//! [`DEPTH_MAX`] levels, and no secret leaves.

mod anthropic;
mod arguments;
mod cloudevents;
mod cloudtrail;
mod draft;
mod entra;
mod fault;
mod gcp;
mod github;
mod json;
mod kubernetes;
mod mcp;
mod native;
mod ocsf;
mod okta;
mod openai;
mod otel;
mod teleport;
mod vault;
mod verdict;

use schemas::{CredentialEvent, Format, Reject, RejectReason, Timestamp};

pub(crate) use self::fault::Fault;
use self::json::Json;
use crate::{RawRecord, Redactor};

/// Longest record in bytes that is read. Kafka's own default limit is 1 MiB; an audit event that
/// long is an attack or an accident, and either belongs in the rejects.
pub(crate) const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of arrays and objects that is read.
const DEPTH_MAX: usize = 64;

/// Reads the records of one format.
#[derive(Clone, Debug)]
pub struct Normaliser {
    format: Format,
    redactor: Redactor,
}

impl Normaliser {
    pub fn new(format: Format, redactor: Redactor) -> Self {
        Self { format, redactor }
    }

    /// The event that `record` tells of. `now` is stamped on a reject and on nothing else.
    ///
    /// # Errors
    ///
    /// The [`Reject`] to store, its texts free of secrets.
    pub fn normalise(
        &self,
        record: &RawRecord<'_>,
        now: Timestamp,
    ) -> Result<CredentialEvent, Reject> {
        let read =
            readable(record).and_then(|json| read(self.format, json, record, &self.redactor));
        match read {
            Ok(mut event) => {
                self.redactor.event(&mut event, record.payload.unwrap_or_default());
                Ok(event)
            }
            Err(fault) => Err(fault.into_reject(record, self.format, &self.redactor, now)),
        }
    }
}

/// The event that `json` tells of.
fn read(
    format: Format,
    json: &str,
    record: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<CredentialEvent, Fault> {
    let draft = match format {
        Format::Native => return native::read(json, record, redactor),
        Format::CloudTrail => return cloudtrail::read(json, record, redactor),
        Format::Kubernetes => kubernetes::draft,
        Format::Gcp => gcp::draft,
        Format::Okta => okta::draft,
        Format::Entra => entra::draft,
        Format::GitHub => github::draft,
        Format::Teleport => teleport::draft,
        Format::Anthropic => anthropic::draft,
        Format::OpenAi => openai::draft,
        Format::Vault => vault::draft,
        Format::Ocsf => ocsf::draft,
        Format::Mcp => mcp::draft,
        Format::Otel => return otel::read(&object(json)?, record, redactor),
        Format::CloudEvents => return cloudevents::read_envelope(&object(json)?, record, redactor),
    };
    draft(&object(json)?)?.finish(format, record, redactor)
}

fn object(json: &str) -> Result<Json<'_>, Fault> {
    let object = Json::parse(json)?;
    if !matches!(object, Json::Object(_)) {
        return Err(Fault::bad_field("wanted a JSON object, found other JSON"));
    }
    Ok(object)
}

/// The one record of a batch that stands in the list `name`, or the record itself where there is none.
fn single<'j, 'a>(record: &'j Json<'a>, name: &str) -> Result<&'j Json<'a>, Fault> {
    match record.at(name) {
        Some(Json::List(records)) => match &records[..] {
            [one] => Ok(one),
            _ => Err(Fault::bad_field(format!(
                "wanted one record in `{name}`, found {}; split the batch before it reaches the topic",
                records.len()
            ))),
        },
        Some(_) | None => Ok(record),
    }
}

/// `PublicClientApp`, `AIAgent` or `public_client app` as `public-client-app` and `ai-agent`.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let (mut before, mut letters) = ('-', name.chars().peekable());
    while let Some(letter) = letters.next() {
        let is_gap = letter == '_' || letter.is_whitespace();
        let is_last_capital =
            before.is_ascii_uppercase() && letters.peek().is_some_and(char::is_ascii_lowercase);
        let is_word =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || is_last_capital);
        if is_gap || is_word {
            text.push('-');
        }
        if !is_gap {
            text.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    text
}

/// The record's text, if it is one that may be given to a JSON parser.
pub(crate) fn readable<'a>(record: &RawRecord<'a>) -> Result<&'a str, Fault> {
    let payload = record.payload.unwrap_or_default();
    if payload.is_empty() {
        return Err(Fault::new(RejectReason::Empty, "wanted a JSON object, found no value"));
    }
    if RECORD_BYTES_MAX < payload.len() {
        let detail = format!("wanted at most {RECORD_BYTES_MAX} bytes, found {}", payload.len());
        return Err(Fault::new(RejectReason::TooLarge, detail));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        let detail = format!("wanted UTF-8, found another byte at {}", error.valid_up_to());
        Fault::new(RejectReason::NotUtf8, detail)
    })?;
    shallow(text)?;
    Ok(text)
}

/// Refuses a text that nests too deep for a parser that recurses.
fn shallow(json: &str) -> Result<(), Fault> {
    if is_too_deep(json.as_bytes()) {
        let detail = format!("wanted at most {DEPTH_MAX} levels of arrays and objects, found more");
        return Err(Fault::new(RejectReason::TooDeep, detail));
    }
    Ok(())
}

/// Whether arrays and objects are nested deeper than [`DEPTH_MAX`].
///
/// Finding brackets is SIMD and nearly free; only a record with many of them is looked at closely.
fn is_too_deep(json: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', json).nth(DEPTH_MAX).is_none() {
        return false;
    }
    let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            b'[' | b'{' if !is_in_text => {
                depth += 1;
                if DEPTH_MAX < depth {
                    return true;
                }
            }
            b']' | b'}' if !is_in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
