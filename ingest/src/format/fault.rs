//! [`Fault`]: what is wrong with a record, told without repeating what it holds.
//!
//! Invariant: a detail names what was wanted, the kind of what was found and the place. A value of
//! the record is never in it: it could be a secret that nobody recognises as one.

use schemas::{Format, Reject, RejectReason, Timestamp};

use super::clean;
use crate::{RawRecord, Redactor};

/// Why a record is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: RejectReason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(crate) fn bad_field(detail: impl Into<String>) -> Self {
        Self::new(RejectReason::BadField, detail)
    }

    /// What serde says, classified and without the record's values.
    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        let place = format!("{}:{}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => Self::of_message(&error.to_string(), &place),
            serde_json::error::Category::Eof => {
                Self::new(RejectReason::NotJson, format!("wanted JSON, found its end at {place}"))
            }
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => Self::new(
                RejectReason::NotJson,
                format!("wanted JSON, found another text at {place}"),
            ),
        }
    }

    /// The same, with the field that it is about.
    pub(super) fn in_field(self, field: &str) -> Self {
        Self { detail: format!("`{field}`: {}", self.detail), ..self }
    }

    fn of_message(message: &str, place: &str) -> Self {
        let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
        if let Some(field) = quoted_after(message, "missing field `") {
            let reason = match field {
                "agent_id" => RejectReason::NoAgent,
                _ => RejectReason::BadField,
            };
            return Self::new(reason, format!("wanted field `{field}`, found none"));
        }
        if let Some(field) = quoted_after(message, "duplicate field `") {
            let detail = format!("wanted field `{field}` once, found it again at {place}");
            return Self::new(RejectReason::DuplicateField, detail);
        }
        if message.starts_with("unknown field `") {
            return Self::bad_field(format!("wanted a known field, found another at {place}"));
        }
        if message.starts_with("unknown variant `") {
            let known = message.rfind("`, expected ").map_or("", |at| &message[at + 12..]);
            return Self::bad_field(format!("wanted {known}, found another text at {place}"));
        }
        if let Some(found) = message.strip_prefix("invalid type: ") {
            let wanted = found.rfind(", expected ").map_or("another type", |at| &found[at + 11..]);
            let kind = found.split([' ', ',']).next().unwrap_or_default();
            return Self::bad_field(format!("wanted {wanted}, found {kind} at {place}"));
        }
        if message.starts_with("invalid IP address") {
            return Self::bad_field(format!(
                "wanted an IP address alone, found another text at {place}"
            ));
        }
        // Messages of our own types begin so and hold no value.
        if message.starts_with("wanted ") {
            return Self::bad_field(format!("{message} at {place}"));
        }
        Self::bad_field(format!("wanted a valid field, found another before {place}"))
    }

    /// The row of `rejects` for `record`.
    pub(crate) fn into_reject(
        self,
        record: &RawRecord<'_>,
        format: Format,
        redactor: &Redactor,
        now: Timestamp,
    ) -> Reject {
        let payload = record.payload.unwrap_or_default();
        Reject {
            position: record.position(),
            record_time: record.record_time,
            rejected_at: now,
            format,
            reason: self.reason,
            detail: redactor.text(&self.detail).into_owned(),
            raw: redactor.raw(&clean::kept(payload, redactor)),
            raw_bytes: payload.len() as u64,
        }
    }
}

/// The text between `start` and the next back quote, if `message` begins with `start`.
fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}
