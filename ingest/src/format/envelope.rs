//! What others put around a record on its way: event buses, log shippers, Kafka Connect.
//!
//! Invariant: an envelope is looked for only around what its format cannot read as it is, so that it
//! can change no event; and what is inside has to be a whole record of the format, or several of them
//! (`batch.rs`).
//!
//! Sources: the documentation of AWS (event buses, subscriptions of logs, what Lambda gets from queues),
//! of Google (Pub/Sub push), Okta (event hooks), Splunk (HTTP Event Collector), Kafka Connect (JSON
//! converter), Elastic (Common Schema, `event.original`) and Microsoft (Advanced Security Information
//! Model).

use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;

use super::json::Json;
use super::{BATCH_BYTES_MAX, Fault};

/// Envelopes in envelopes that are opened, a batch being one.
pub(super) const LAYERS_MAX: usize = 4;

/// Longest text in bytes that stands before a record on its line: a syslog header, a shipper's stamp.
const PREFIX_BYTES_MAX: usize = 512;

/// Base64 of either alphabet, padded or not.
const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, PADDING),
    GeneralPurpose::new(&alphabet::URL_SAFE, PADDING),
];

/// An object with more fields than that is an envelope only if it shows itself as one.
const FIELDS_MAX: usize = 12;
/// What ships logs as the Common Schema has them puts more around a record, and always this.
const SHIPPED_FIELDS_MAX: usize = 32;
const SHIPPED_AT: &str = "@timestamp";

/// What may be in an envelope.
#[derive(Debug, PartialEq)]
pub(super) struct Inside {
    pub(super) json: String,
    /// Whether the envelope shows that it is one, so that what is wrong inside is what is wrong.
    pub(super) is_certain: bool,
}

/// Where an envelope that shows itself has its record, the texts that must stand beside it, and how many
/// fields it has at most.
const KNOWN: &[(&str, &[&str], usize)] = &[
    // The diagnostic logs of a managed Kubernetes on Azure.
    ("properties.log", &["category"], 16),
    // The same as a row of Log Analytics.
    ("log_s", &["Category"], 64),
    // CloudTrail's own answers to a search.
    ("CloudTrailEvent", &[], 16),
    // EventBridge.
    ("detail", &["detail-type"], 16),
    // An element of a CloudWatch Logs subscription.
    ("message", &["id", "timestamp"], 4),
    ("awslogs.data", &[], 16),
    // An event of CloudWatch Logs as its queries show it.
    ("@message", &[], 64),
    ("kinesis.data", &[], 16),
    ("Sns.Message", &[], 16),
    ("Message", &["TopicArn"], 16),
    ("body", &["messageId"], 16),
    // A message of Kafka as Lambda gets it.
    ("value", &["topic", "timestampType"], 16),
    // Pub/Sub.
    ("message.data", &[], 16),
    // Kafka Connect.
    ("payload", &["schema.type"], 2),
    // Splunk.
    ("event", &["sourcetype"], 16),
    ("event", &["host"], 16),
    // An answer of GitHub's API for queries (GraphQL).
    ("data.organization.auditLog", &[], 4),
    // A row of Teleport's events in DynamoDB.
    ("FieldsMap", &["EventType"], 16),
    ("event.original", &[], 64),
    ("_raw", &[], 64),
    // A line of a log whose attributes hold an event of OCSF.
    (OCSF_RAW, &[], 64),
];

const OCSF_RAW: &str = "ocsf.raw";
/// How the attributes of a line begin that are the fields of an event of OCSF, one each.
pub(super) const OCSF_FIELD: &str = "ocsf.";
/// Deepest path of such an attribute.
const OCSF_LEVELS_MAX: usize = 16;
/// The column in which Microsoft's normalised tables (ASIM) have what their schema has no place for, and
/// most columns of a row.
const ASIM_REST: &str = "AdditionalFields";
const ASIM_COLUMNS_MAX: usize = 256;
/// What is told in a column of its own instead, and where OCSF has it.
const ASIM_LENT: &[(&str, &str)] = &[
    ("SrcIpAddr", "src_endpoint.ip"),
    ("EventResult", "status"),
    ("EventResultDetails", "status_detail"),
];

/// Where a document of Elastic's agent has the record of Vault, without its time.
const VAULT_DOCUMENT: &str = "hashicorp_vault.audit";
/// Where others have a text or an object that may be a record.
const LIKELY: &[&str] = &[
    // Of Elastic's agent, and of CloudTrail Lake.
    "kubernetes.audit",
    VAULT_DOCUMENT,
    "eventData",
    "ocsf",
    "message",
    "log",
    "msg",
    "line",
    "event",
    "payload",
    "record",
    "data",
    "detail",
    "body",
    "json",
    "jsonPayload",
    "textPayload",
    "original",
    "attributes",
    "fields",
    "_source",
    "result",
    "after",
    // Of Wazuh, also in the `data` of its alerts: the record under the name of its source.
    "aws",
    "gcp",
    "github",
    "ms-graph",
    "office365",
    "okta",
    // Of Tempo's answers.
    "trace",
    // Of GraphQL's.
    "node",
];

/// What is no record and has none inside, by a field of its own.
const OTHERS: &[(&str, &str)] = &[
    ("s3.object", "the notice that a file of S3 is there"),
    ("s3ObjectKey", "the notice that a file of S3 is there"),
    ("QueryResultRows", "a page of the answer to a query"),
    ("UserIdentityArn", "a row of a table with the identity in columns of their own"),
];

/// What may be inside of `json`: in what shows itself first.
///
/// # Errors
///
/// The [`Fault`] of an envelope around nothing.
pub(super) fn insides(json: &Json<'_>) -> Result<Vec<Inside>, Fault> {
    match json {
        Json::Text(text) => {
            let inside = opened_text(text).map(|json| Inside { json, is_certain: true });
            return Ok(inside.into_iter().collect());
        }
        Json::Null | Json::Literal(_) | Json::List(_) => return Ok(Vec::new()),
        Json::Object(_) => {}
    }
    if json.text("messageType") == Some("CONTROL_MESSAGE") {
        return Err(Fault::bad_field(
            "wanted a record, found a control message of CloudWatch Logs",
        ));
    }
    if let Some((_, found)) = OTHERS.iter().find(|(path, _)| json.at(path).is_some()) {
        return Err(Fault::bad_field(format!("wanted a record, found {found}")));
    }
    if let Some(json) = ocsf_of_asim(json).or_else(|| ocsf_of_flat(json)) {
        return Ok(vec![Inside { json, is_certain: true }]);
    }
    let fields = json.fields().len();
    let known = KNOWN.iter().filter(|(_, beside, fields_max)| {
        fields <= *fields_max && beside.iter().all(|path| json.text(path).is_some())
    });
    let fields_max = if json.has(SHIPPED_AT) { SHIPPED_FIELDS_MAX } else { FIELDS_MAX };
    let likely = LIKELY.iter().filter(|_| fields <= fields_max);
    let paths = known.map(|(path, ..)| (path, true)).chain(likely.map(|path| (path, false)));
    let mut places: Vec<(&Json<'_>, bool)> = Vec::new();
    for (path, is_certain) in paths {
        if let Some(place) = json.at(path)
            && !places.iter().any(|(found, _)| std::ptr::eq(*found, place))
        {
            places.push((place, is_certain));
        }
    }
    let places = places.into_iter();
    let inside =
        |(place, is_certain)| Some(Inside { json: with_time_of(json, opened(place)?), is_certain });
    Ok(places.filter_map(inside).collect())
}

/// The object at the end of a line of text, as syslog and the logs of containers write it.
pub(super) fn behind_prefix(text: &str) -> Option<Inside> {
    let text = text.trim();
    let start = text.find('{').filter(|start| (1..=PREFIX_BYTES_MAX).contains(start))?;
    let (prefix, json) = text.split_at(start);
    // What begins as JSON is JSON that is broken.
    let is_text = !prefix.starts_with(['[', '"']) && !prefix.contains('\n');
    let is_whole = is_text && Json::parse(json).is_ok();
    is_whole.then(|| Inside { json: json.to_owned(), is_certain: true })
}

/// The record in an entry of Google's logs or a document of Elastic's, with the time that their agents took out
/// of it.
fn with_time_of(entry: &Json<'_>, inside: String) -> String {
    let of_entry = entry.text("timestamp").filter(|_| entry.text("insertId").is_some());
    let of_document = entry.text(SHIPPED_AT).filter(|_| entry.at(VAULT_DOCUMENT).is_some());
    let time = of_entry.or(of_document);
    let is_without = |json: &Json<'_>| !json.fields().is_empty() && !json.has("time");
    match (time, inside.trim_start().strip_prefix('{')) {
        (Some(time), Some(rest)) if Json::parse(&inside).is_ok_and(|json| is_without(&json)) => {
            format!("{{\"time\":{},{rest}", Json::Text(time.into()))
        }
        _ => inside,
    }
}

/// The event of OCSF in a row of ASIM, with what the row tells beside it.
fn ocsf_of_asim(row: &Json<'_>) -> Option<String> {
    row.text("EventSchema").filter(|_| row.fields().len() <= ASIM_COLUMNS_MAX)?;
    let rest = Json::parse(&opened(row.field(ASIM_REST)?)?).ok()?.owned();
    let mut event = Json::parse(&opened(rest.field("ocsf")?)?).ok()?.owned();
    for (column, path) in ASIM_LENT {
        if let (Some(value), None) = (row.text(column), event.at(path)) {
            event.put(path, Json::Text(value.to_owned().into()));
        }
    }
    Some(event.to_string())
}

/// The event of OCSF whose fields are attributes of a line, each under its path.
fn ocsf_of_flat(line: &Json<'_>) -> Option<String> {
    line.field("ocsf.class_uid").or_else(|| line.field("ocsf.type_uid"))?;
    let mut event = Json::Object(Vec::new());
    for (name, value) in line.fields() {
        let path = name.strip_prefix(OCSF_FIELD).filter(|_| name != OCSF_RAW);
        let is_shallow = |path: &&str| path.split('.').count() <= OCSF_LEVELS_MAX;
        if let Some(path) = path.filter(is_shallow) {
            event.put(path, value.clone().owned());
        }
    }
    Some(event.to_string())
}

/// The JSON of an object, or of one in a text.
fn opened(json: &Json<'_>) -> Option<String> {
    match json {
        Json::Object(_) => Some(json.to_string()),
        Json::Text(text) => opened_text(text),
        Json::Null | Json::Literal(_) | Json::List(_) => None,
    }
}

/// The JSON object of a text: as it is, in Base64, or in gzip in Base64.
fn opened_text(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with('{') {
        return Some(text.to_owned());
    }
    // The first letters of Base64 of `{"`, `{ `, `{\n` and of gzip.
    if !["eyJ", "eyA", "ewo", "ew0", "H4sI"].iter().any(|start| text.starts_with(start)) {
        return None;
    }
    decoded(text)
}

/// The text in Base64.
pub(super) fn text_of_base64(text: &str) -> Option<String> {
    String::from_utf8(bytes_of(text)?).ok()
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    BASE64.iter().find_map(|base64| base64.decode(text).ok())
}

/// The JSON object in Base64, or in gzip in Base64.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = bytes_of(text)?;
    let bytes = match bytes.first() {
        Some(0x1f) => {
            let (mut plain, most) = (Vec::new(), BATCH_BYTES_MAX as u64 + 1);
            MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut plain).ok()?;
            if BATCH_BYTES_MAX < plain.len() {
                return None;
            }
            plain
        }
        _ => bytes,
    };
    String::from_utf8(bytes).ok().filter(|text| text.starts_with('{'))
}
