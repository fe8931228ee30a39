//! [`Normaliser`]: one record's bytes to one event, or to a reject that says why not; or to several of
//! either, if several stand in the record.
//!
//! Invariant (N1): total and pure. The same bytes at the same place, with the same time in Kafka, give
//! the same event with the same id; nothing panics and nothing is dropped. No parser that recurses sees more than
//! [`DEPTH_MAX`] levels, and no secret leaves.

mod anthropic;
mod arguments;
mod avro;
mod batch;
mod clean;
mod cloudevents;
mod cloudtrail;
mod draft;
mod elastic;
mod entra;
mod envelope;
mod fault;
mod frame;
mod gcp;
mod github;
mod json;
mod kubernetes;
mod logs;
mod mapped;
mod mcp;
mod moment;
mod native;
mod ocsf;
mod okta;
mod openai;
mod otel;
mod pairs;
mod rows;
mod teleport;
mod unfold;
mod vault;
mod verdict;
mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::{CredentialEvent, Format, Part, Reject, RejectReason, Timestamp};

pub use self::avro::{AvroSchemaError, AvroSchemas};
use self::clean::Look;
pub(crate) use self::cloudevents::event_of_message;
pub(crate) use self::fault::Fault;
use self::json::{Json, shallow};
pub use self::mapped::{
    Expression, ExpressionError, InvalidMapping, MappedField, Mapping, MappingCase,
};
use self::words::{is_browser, kebab};
use crate::rejected::Again;
use crate::{RawRecord, Redactor};

/// Longest text in bytes that is read as one record. An audit event that is longer is an attack or an
/// accident, and either belongs in the rejects.
pub(crate) const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Longest record in which several are looked for: Kafka's own default limit.
pub(crate) const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Deepest nesting of arrays and objects that is read.
const DEPTH_MAX: usize = 64;

/// Reads the records of one format.
#[derive(Clone, Debug)]
pub struct Normaliser {
    format: Format,
    kind: Kind,
    redactor: Redactor,
    avro: Arc<AvroSchemas>,
}

/// Who reads the records.
#[derive(Clone, Debug)]
enum Kind {
    BuiltIn,
    Mapped(Arc<Mapping>),
    /// Each record is a reject, in a format of its own.
    Again(Arc<Again>),
}

/// What a record is that is not one event.
#[derive(Clone, Debug, PartialEq)]
pub enum NotOne {
    Reject(Reject),
    /// Events and rejects, in their order in the record: the number of each is its [`Part`].
    Several(Vec<Result<CredentialEvent, Reject>>),
}

impl NotOne {
    /// All that the record holds, in its order.
    pub fn parts(self) -> Vec<Result<CredentialEvent, Reject>> {
        match self {
            Self::Reject(reject) => vec![Err(reject)],
            Self::Several(parts) => parts,
        }
    }
}

/// Why a text was not read to one event.
enum Unread {
    Fault(Fault),
    Several(batch::Several),
    /// More than is read of one record: then none of it is.
    Beyond(Fault),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How many more envelopes are opened around a text, and how many bytes of texts are looked at yet.
struct Left {
    layers: usize,
    bytes: usize,
}

impl Normaliser {
    /// A normaliser of a built-in format.
    pub fn new(format: Format, redactor: Redactor) -> Self {
        assert!(!matches!(format, Format::Mapped(_)), "a mapping is more than its name");
        Self::of(format, Kind::BuiltIn, redactor)
    }

    /// A normaliser of what a mapping describes.
    pub fn mapped(mapping: Arc<Mapping>, redactor: Redactor) -> Self {
        Self::of(Format::Mapped(mapping.name()), Kind::Mapped(mapping), redactor)
    }

    /// A normaliser of the records of [`Rejected`](crate::Rejected), with one for each of their formats.
    pub fn again(readers: BTreeMap<Format, Self>, redactor: Redactor) -> Self {
        let again = Again::new(readers);
        Self::of(Format::Native, Kind::Again(Arc::new(again)), redactor)
    }

    fn of(format: Format, kind: Kind, redactor: Redactor) -> Self {
        Self { format, kind, redactor, avro: Arc::default() }
    }

    /// The same, for records that may be Avro of these schemas.
    #[must_use]
    pub fn with_avro(self, avro: Arc<AvroSchemas>) -> Self {
        Self { avro, ..self }
    }

    /// The event that `record` tells of. `now` is stamped on a reject and on nothing else.
    ///
    /// # Errors
    ///
    /// [`NotOne`]: a reject, or the events and rejects of a record that holds several.
    pub fn normalise(
        &self,
        record: &RawRecord<'_>,
        now: Timestamp,
    ) -> Result<CredentialEvent, NotOne> {
        if let Kind::Again(again) = &self.kind {
            return again.read(record, &self.redactor, now);
        }
        let payload = record.payload.unwrap_or_default();
        let opened = match payload.first() {
            Some(b'{') => Ok(Cow::Borrowed(payload)),
            Some(_) | None => frame::opened(payload, &self.avro),
        };
        let (unread, plain) = match opened {
            Ok(plain) => {
                let opened = RawRecord { payload: record.payload.map(|_| &*plain), ..*record };
                match self.read_opened(&opened) {
                    Ok(event) => return Ok(event),
                    Err(unread) => (unread, plain),
                }
            }
            Err(frame::Unopened { fault, shown }) => (Unread::Fault(fault), shown),
        };
        Err(self.not_one(unread, record, &plain, now))
    }

    /// The same where one event is wanted: several are a reject too.
    ///
    /// # Errors
    ///
    /// The [`Reject`], its texts free of secrets.
    pub fn normalise_one(
        &self,
        record: &RawRecord<'_>,
        now: Timestamp,
    ) -> Result<CredentialEvent, Reject> {
        self.normalise(record, now).map_err(|not_one| match not_one {
            NotOne::Reject(reject) => reject,
            NotOne::Several(parts) => {
                let fault = more_than_one(parts.len());
                fault.into_reject(record, self.format, &self.redactor, now)
            }
        })
    }

    /// The bytes of a record as they may be shown to a person: without secrets, and with marks for what is no
    /// UTF-8.
    pub fn shown(&self, payload: &[u8]) -> String {
        self.redactor.shown(&clean::kept(payload, &self.redactor))
    }

    /// Reads a record that is a text.
    fn read_opened(&self, record: &RawRecord<'_>) -> Result<CredentialEvent, Unread> {
        let json = text_of(record, BATCH_BYTES_MAX)?;
        let mut left = Left { layers: envelope::LAYERS_MAX, bytes: batch::TEXT_BYTES_MAX };
        self.read_text(json, record, &mut left)
    }

    /// What becomes of a record that is not one event; `plain` is it without what stood around it.
    #[cold]
    fn not_one(
        &self,
        unread: Unread,
        record: &RawRecord<'_>,
        plain: &[u8],
        now: Timestamp,
    ) -> NotOne {
        let fault = match unread {
            Unread::Fault(fault) | Unread::Beyond(fault) => fault,
            // A part that is read again has the place of one: there is none for more.
            Unread::Several(several) if record.part != Part::FIRST => {
                more_than_one(several.texts.len())
            }
            Unread::Several(several) => {
                let (parts, bytes_left) = (Vec::new(), batch::TEXT_BYTES_MAX);
                let mut apart = batch::Apart { normaliser: self, record, now, parts, bytes_left };
                match apart.take(several) {
                    Ok(None) => return NotOne::Several(apart.parts),
                    Ok(Some(fault)) | Err(fault) => fault,
                }
            }
        };
        let shown = RawRecord { payload: Some(plain), ..*record };
        let reject = fault.into_reject(&shown, self.format, &self.redactor, now);
        let raw_bytes = record.payload.unwrap_or_default().len() as u64;
        NotOne::Reject(Reject { raw_bytes, ..reject })
    }

    /// Reads a text that is a record, or has one inside.
    fn read_text(
        &self,
        json: &str,
        record: &RawRecord<'_>,
        left: &mut Left,
    ) -> Result<CredentialEvent, Unread> {
        let event = match self.read(json, record) {
            Ok(event) => event,
            Err(fault) => match self.read_inside(json, record, &fault, left)? {
                Some(event) => event,
                None => return Err(fault.into()),
            },
        };
        moment::check(&event, record.record_time)?;
        Ok(event)
    }

    /// The event in the envelope `json`, which cannot be read as it is because of `around`; `None` if there
    /// is neither one in it nor something that shows what it is.
    #[cold]
    fn read_inside(
        &self,
        json: &str,
        record: &RawRecord<'_>,
        around: &Fault,
        left: &mut Left,
    ) -> Result<Option<CredentialEvent>, Unread> {
        let may_be_around = match around.reason {
            RejectReason::NotJson
            | RejectReason::BadField
            | RejectReason::NoAgent
            | RejectReason::SeveralRecords
            | RejectReason::TooLarge => true,
            // One of several may be so, and spoils no other.
            RejectReason::TooDeep | RejectReason::DuplicateField => false,
            RejectReason::Empty
            | RejectReason::NotUtf8
            | RejectReason::UnsupportedEncoding
            | RejectReason::Lost => return Ok(None),
        };
        let Some(layers_left) = left.layers.checked_sub(1) else { return Ok(None) };
        let insides = match batch::parts(json, self.format)? {
            Some(texts) if texts.len() == 1 => {
                texts.into_iter().map(|json| envelope::Inside { json, is_certain: true }).collect()
            }
            Some(texts) => {
                return Err(Unread::Several(batch::Several { texts, layers_left, unless: None }));
            }
            None if !may_be_around => Vec::new(),
            None => {
                if let Ok(tree) = Json::parse(json) {
                    envelope::insides(&tree)?
                } else {
                    let line = envelope::behind_prefix(json).or_else(|| self.of_pairs(json));
                    line.into_iter().collect()
                }
            }
        };
        let (mut told, mut held) = (None, None);
        for envelope::Inside { json, is_certain } in insides {
            left.layers = layers_left;
            left.bytes = left
                .bytes
                .checked_sub(json.len())
                .ok_or_else(|| Unread::Beyond(batch::too_long()))?;
            let fault = match self.read(&json, record) {
                Ok(event) => return Ok(Some(event)),
                Err(fault) => fault,
            };
            match self.read_inside(&json, record, &fault, left) {
                Ok(None) => told = told.or(is_certain.then_some(fault)),
                Err(Unread::Fault(fault)) => told = told.or(Some(fault)),
                // What stands beside it may be the record.
                Err(Unread::Several(several)) if !is_certain => held = held.or(Some(several)),
                found => return found,
            }
        }
        match (held, told) {
            (Some(several), _) => {
                let unless = Some(around.clone());
                Err(Unread::Several(batch::Several { unless, ..several }))
            }
            (None, Some(fault)) => Err(fault.into()),
            (None, None) => Ok(None),
        }
    }

    /// What stands in a line of pairs, as gateways write it.
    fn of_pairs(&self, line: &str) -> Option<envelope::Inside> {
        let json = pairs::json(line).filter(|_| self.format == Format::Mcp)?;
        Some(envelope::Inside { json, is_certain: true })
    }

    /// Reads a text as one record, and replaces its secrets.
    fn read(&self, json: &str, record: &RawRecord<'_>) -> Result<CredentialEvent, Fault> {
        if RECORD_BYTES_MAX < json.len() {
            return Err(too_large(json.len(), RECORD_BYTES_MAX));
        }
        shallow(json)?;
        match &self.kind {
            Kind::BuiltIn => read(self.format, json, record, &self.redactor),
            Kind::Mapped(mapping) => {
                let look = Look { format: self.format, raw: record, redactor: &self.redactor };
                look.event(json, |record, clean| mapping.read(record, clean))
            }
            Kind::Again(_) => unreachable!("its readers are others"),
        }
    }
}

/// The event that `json` tells of, without its secrets.
fn read(
    format: Format,
    json: &str,
    record: &RawRecord<'_>,
    redactor: &Redactor,
) -> Result<CredentialEvent, Fault> {
    let unfolded = unfold::unfolded(format, json);
    let json = unfolded.as_deref().unwrap_or(json);
    let look = Look { format, raw: record, redactor };
    let draft = match format {
        Format::Native => {
            // Its texts are kept whole, so they are looked at when they are an event.
            let mut event = native::read(json, record, redactor)?;
            redactor.event(&mut event, json.as_bytes());
            return Ok(event);
        }
        Format::CloudTrail => {
            return look.event_of_text(json, |json, _| cloudtrail::read(json, record, redactor));
        }
        Format::Kubernetes => kubernetes::draft,
        Format::Gcp => gcp::draft,
        Format::Okta => okta::draft,
        Format::Entra => return look.event(json, entra::read),
        Format::GitHub => github::draft,
        Format::Teleport => teleport::draft,
        Format::Anthropic => anthropic::draft,
        Format::OpenAi => openai::draft,
        Format::Vault => vault::draft,
        Format::Ocsf => ocsf::draft,
        Format::Mcp => return look.event(json, mcp::read),
        Format::Otel => return look.event(json, otel::read),
        Format::CloudEvents => return cloudevents::read_envelope(json, &look),
        Format::Mapped(_) => unreachable!("a mapping reads its records itself"),
    };
    look.event(json, |record, clean| draft(record)?.finish(clean))
}

/// The field that a format's time stands in.
fn time_field(format: Format) -> &'static str {
    match format {
        Format::Native => "time",
        Format::CloudTrail => "eventTime",
        Format::Kubernetes => kubernetes::NEEDS.time,
        Format::Gcp => gcp::NEEDS.time,
        Format::Okta => okta::NEEDS.time,
        Format::Entra => entra::NEEDS.time,
        Format::GitHub => github::NEEDS.time,
        Format::Teleport => teleport::NEEDS.time,
        Format::Anthropic => anthropic::NEEDS.time,
        Format::OpenAi => openai::NEEDS.time,
        Format::Vault => vault::NEEDS.time,
        Format::Ocsf => ocsf::NEEDS.time,
        Format::Mcp => mcp::NEEDS.time,
        Format::Otel => otel::NEEDS.time,
        Format::CloudEvents => cloudevents::NEEDS.time,
        Format::Mapped(_) => mapped::NEEDS.time,
    }
}

fn object(json: &str) -> Result<Json<'_>, Fault> {
    let object = Json::parse(json)?;
    if !matches!(object, Json::Object(_)) {
        return Err(Fault::bad_field("wanted a JSON object, found other JSON"));
    }
    Ok(object)
}

/// The one record of a batch that stands in the list `name`, or alone in its place; the record itself where
/// there is none.
fn single<'j, 'a>(record: &'j Json<'a>, name: &str) -> Result<&'j Json<'a>, Fault> {
    match record.at(name) {
        Some(Json::List(records)) => match &records[..] {
            [one] => Ok(one),
            [] => Err(Fault::bad_field(format!("wanted one record in `{name}`, found none"))),
            _ => {
                let detail = format!("wanted one record in `{name}`, found {}", records.len());
                Err(Fault::new(RejectReason::SeveralRecords, detail))
            }
        },
        Some(one @ Json::Object(_)) => Ok(one),
        Some(_) | None => Ok(record),
    }
}

/// The record's text, if it is one that may be given to a JSON parser.
pub(crate) fn readable<'a>(record: &RawRecord<'a>) -> Result<&'a str, Fault> {
    let text = text_of(record, RECORD_BYTES_MAX)?;
    shallow(text)?;
    Ok(text)
}

/// The record's text, if it has one of at most so many bytes.
fn text_of<'a>(record: &RawRecord<'a>, bytes_max: usize) -> Result<&'a str, Fault> {
    let payload = record.payload.unwrap_or_default();
    if payload.is_empty() {
        return Err(Fault::new(RejectReason::Empty, "wanted a JSON object, found no value"));
    }
    if bytes_max < payload.len() {
        return Err(too_large(payload.len(), bytes_max));
    }
    std::str::from_utf8(payload).map_err(|error| {
        let detail = format!("wanted UTF-8, found another byte at {}", error.valid_up_to());
        Fault::new(RejectReason::NotUtf8, detail)
    })
}

#[cold]
fn too_large(bytes: usize, bytes_max: usize) -> Fault {
    let detail = format!("wanted at most {bytes_max} bytes, found {bytes}");
    Fault::new(RejectReason::TooLarge, detail)
}

fn more_than_one(count: usize) -> Fault {
    Fault::new(RejectReason::SeveralRecords, format!("wanted one record, found {count}"))
}

#[cfg(test)]
mod tests;
