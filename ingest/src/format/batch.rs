//! [`parts`]: the records that stand in one, each as a text of its own.
//!
//! Invariant: a batch is looked for only in what cannot be read as one record. Each text is cut out as it
//! was written, so that what is wrong with one of them is wrong with no other; none is left out, and their
//! order is theirs in the record. Nothing here recurses, whatever nests.
//!
//! Sources: the documentation of AWS (CloudTrail, subscriptions and queries of logs), Azure (Event Hubs), Google
//! (Pub/Sub, audit logs), Microsoft Graph, Kubernetes (`EventList`), Okta (event hooks), Anthropic and
//! OpenAI (lists of their APIs); CNCF, *CloudEvents: JSON batch format*.

use std::borrow::Cow;

use schemas::{CredentialEvent, Format, Part, Reject, RejectReason, Timestamp};
use serde_json::value::RawValue;

use super::native::{Fields, fields_of};
use super::{Fault, Left, Normaliser, Unread, logs, mcp, otel, rows};
use crate::RawRecord;

/// Most records that are taken out of one. The OpenTelemetry collector puts up to 8,192 spans into a batch
/// unless it is told otherwise; of 1 MiB that leaves 128 bytes for each.
pub(super) const PARTS_MAX: usize = 8_192;

/// Longest texts that are read of one record, all together: its parts with what is around and repeated
/// with each, and what was opened on the way to them.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 20;

/// An object with more fields than that is a batch only if it shows itself as one.
const FIELDS_MAX: usize = 6;

/// Lists that hold records, each with a field that must stand beside it, if any.
const LISTS: &[(&str, Option<&str>)] = &[
    ("Records", None),
    ("logEvents", Some("messageType")),
    ("items", Some("kind")),
    ("value", Some("@odata.context")),
    // The same where only the list was kept.
    ("value", None),
    // Of an answer of GitHub's API for queries (GraphQL).
    ("edges", None),
    ("nodes", None),
    ("data.events", Some("eventType")),
    ("data", Some("has_more")),
    ("data", Some("meta")),
    ("receivedMessages", None),
    ("events", None),
    ("logEntries", None),
    ("entries", None),
    ("auditEvents", None),
    ("audit_log", None),
];

/// Several records that stand in one.
pub(super) struct Several {
    pub(super) texts: Vec<String>,
    /// Envelopes around each of them that may still be opened.
    pub(super) layers_left: usize,
    /// What is wrong if none of them is an event: then what is around them was no envelope.
    pub(super) unless: Option<Fault>,
}

/// The records in `text`; `None` if it is no batch.
///
/// # Errors
///
/// The [`Fault`] of a batch that holds none ([`Unread::Fault`]) or too many ([`Unread::Beyond`]).
pub(super) fn parts(text: &str, format: Format) -> Result<Option<Vec<String>>, Unread> {
    if let Some(values) = values(text) {
        return taken(values.len(), values.iter()).map(Some);
    }
    let (name, list) = match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => {
            let list = elements(text);
            if let Some(row) = list.as_deref().and_then(rows::record) {
                return Ok(Some(vec![row]));
            }
            if let Some(list) = list.as_deref().filter(|_| format == Format::Otel)
                && let Some(spans) = otel::spans::listed(list).map_err(Unread::Beyond)?
            {
                return Ok(Some(spans));
            }
            ("the list", list)
        }
        Some(b'{') => {
            let Ok(fields) = fields_of(text) else { return Ok(None) };
            let own = if format == Format::Otel {
                otel::spans::parts(&fields)
            } else if format == Format::Mcp {
                mcp::calls::parts(text)
            } else {
                Ok(None)
            };
            if let Some(own) = own.map_err(Unread::Beyond)? {
                return Ok(Some(own));
            }
            if format != Format::Otel
                && let Some((name, records)) = logs::records(text, &fields)
            {
                if records.is_empty() {
                    return Err(none_in(name).into());
                }
                return taken(records.len(), records.iter()).map(Some);
            }
            if let Some(records) = rows::records(&fields) {
                return taken(records.len(), records.iter()).map(Some);
            }
            match named_list(&fields).or_else(|| Some(("records", of_partitions(&fields)?))) {
                Some((name, list)) => (name, Some(list)),
                None => return Ok(None),
            }
        }
        Some(_) | None => return Ok(None),
    };
    match list {
        None => Ok(None),
        Some(list) if list.is_empty() => Err(none_in(name).into()),
        Some(list) => taken(list.len(), list.iter().map(|one| one.get())).map(Some),
    }
}

fn none_in(list: &str) -> Fault {
    Fault::bad_field(format!("wanted one record in `{list}`, found none"))
}

fn taken<'t>(
    count: usize,
    texts: impl Iterator<Item = impl AsRef<str> + 't>,
) -> Result<Vec<String>, Unread> {
    if PARTS_MAX < count {
        return Err(Unread::Beyond(too_many(count)));
    }
    Ok(texts.map(|text| text.as_ref().to_owned()).collect())
}

/// That a record holds more than are taken out of one.
pub(super) fn too_many(count: usize) -> Fault {
    let detail = format!("wanted at most {PARTS_MAX} records in one, found {count}");
    Fault::new(RejectReason::SeveralRecords, detail)
}

/// That more would have to be read of one record than is.
pub(super) fn too_long() -> Fault {
    let detail = format!(
        "wanted records of at most {TEXT_BYTES_MAX} bytes in one when taken apart, found more"
    );
    Fault::new(RejectReason::TooLarge, detail)
}

/// Values of JSON that stand one after the other, at least two; lines with an object on each, where one
/// of them is broken.
fn values(text: &str) -> Option<Vec<&str>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let all: Result<Vec<&str>, _> = values.map(|value| value.map(RawValue::get)).collect();
    let all = all.unwrap_or_else(|_| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        let is_json = |line: &&str| serde_json::from_str::<&RawValue>(line).is_ok();
        let are_objects = lines.iter().all(|line| line.starts_with('{'));
        if are_objects && lines.iter().any(is_json) { lines } else { Vec::new() }
    });
    (1 < all.len()).then_some(all)
}

/// The elements of a list; `None` if it is none.
pub(super) fn elements(text: &str) -> Option<Vec<&RawValue>> {
    if !text.trim_ascii_start().starts_with('[') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The field of this name, in this case of letters or else in any. Null is nothing.
pub(super) fn field<'t>(fields: &Fields<'t>, name: &str) -> Option<&'t RawValue> {
    let exact = fields.iter().find(|(found, _)| found == name);
    let found = exact.or_else(|| fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)));
    found.map(|(_, value)| *value).filter(|value| value.get() != "null")
}

/// The list of records in an object, by its name.
fn named_list<'t>(fields: &Fields<'t>) -> Option<(&'static str, Vec<&'t RawValue>)> {
    let kind = field(fields, "messageType").map(RawValue::get);
    if kind == Some(r#""CONTROL_MESSAGE""#) {
        return None;
    }
    LISTS.iter().find_map(|(path, beside)| {
        let is_batch = match beside {
            Some(name) => field(fields, name).is_some(),
            None => fields.len() <= FIELDS_MAX,
        };
        if !is_batch {
            return None;
        }
        let list = match (field(fields, path), path.split_once('.')) {
            (Some(list), _) => list,
            (None, Some((outer, inner))) => {
                field(&fields_of(field(fields, outer)?.get()).ok()?, inner)?
            }
            (None, None) => return None,
        };
        let list = elements(list.get())?;
        list.iter().all(|one| may_be_record(one.get())).then_some((*path, list))
    })
}

/// The messages of Kafka that Lambda gets in one event: a list for each partition, under its name.
fn of_partitions<'t>(fields: &Fields<'t>) -> Option<Vec<&'t RawValue>> {
    let source = field(fields, "eventSource")?.get();
    if ![r#""aws:kafka""#, r#""SelfManagedKafka""#].contains(&source) {
        return None;
    }
    let partitions = fields_of(field(fields, "records")?.get()).ok()?;
    let lists: Option<Vec<_>> = partitions.iter().map(|(_, list)| elements(list.get())).collect();
    Some(lists?.into_iter().flatten().collect())
}

/// Whether it is no plain word, as lists of names hold.
fn may_be_record(json: &str) -> bool {
    let is_object = |text: &str| text.trim_start().starts_with('{');
    is_object(json)
        || (json.starts_with('"')
            && serde_json::from_str::<Cow<'_, str>>(json).is_ok_and(|text| is_object(&text)))
}

/// What the parts of one record are read to.
pub(super) struct Apart<'r> {
    pub(super) normaliser: &'r Normaliser,
    pub(super) record: &'r RawRecord<'r>,
    pub(super) now: Timestamp,
    pub(super) parts: Vec<Result<CredentialEvent, Reject>>,
    pub(super) bytes_left: usize,
}

impl Apart<'_> {
    /// Reads all of `several`; returns what is wrong instead if it was no envelope that they stood in.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the whole record: more in it than is taken out of one.
    pub(super) fn take(&mut self, several: Several) -> Result<Option<Fault>, Fault> {
        let before = self.parts.len();
        for text in &several.texts {
            self.push(text, several.layers_left)?;
        }
        if several.unless.is_some() && self.parts[before..].iter().all(Result::is_err) {
            self.parts.truncate(before);
            return Ok(several.unless);
        }
        Ok(None)
    }

    /// Reads what may be one record, or several again.
    fn push(&mut self, text: &str, layers: usize) -> Result<(), Fault> {
        let number = self.parts.len();
        if number == PARTS_MAX {
            return Err(too_many(number + 1));
        }
        self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or_else(too_long)?;
        let part = Part(u16::try_from(number).expect("fewer than are taken out of one"));
        let record = RawRecord { part, payload: Some(text.as_bytes()), ..*self.record };
        let mut left = Left { layers, bytes: self.bytes_left };
        let read = self.normaliser.read_text(text, &record, &mut left);
        self.bytes_left = left.bytes;
        let fault = match read {
            Ok(event) => {
                self.parts.push(Ok(event));
                return Ok(());
            }
            Err(Unread::Beyond(fault)) => return Err(fault),
            Err(Unread::Fault(fault)) => fault,
            Err(Unread::Several(several)) => match self.take(several)? {
                None => return Ok(()),
                Some(fault) => fault,
            },
        };
        let Normaliser { format, redactor, .. } = self.normaliser;
        self.parts.push(Err(fault.into_reject(&record, *format, redactor, self.now)));
        Ok(())
    }
}
