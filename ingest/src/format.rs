//! [`Normaliser`]: one record's bytes to one event, or to a reject that says why not.
//!
//! Invariant (N1): total and pure. The same bytes at the same place give the same event with the
//! same id; nothing panics and nothing is dropped. No parser that recurses sees more than
//! [`DEPTH_MAX`] levels, and no secret leaves.

mod cloudtrail;
mod fault;
mod native;

use schemas::{CredentialEvent, Format, Reject, RejectReason, Timestamp};

pub(crate) use self::fault::Fault;
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
        let read = readable(record).and_then(|json| match self.format {
            Format::Native => native::read(json, record, &self.redactor),
            Format::CloudTrail => cloudtrail::read(json, record, &self.redactor),
        });
        match read {
            Ok(mut event) => {
                self.redactor.event(&mut event, record.payload.unwrap_or_default());
                Ok(event)
            }
            Err(fault) => Err(fault.into_reject(record, self.format, &self.redactor, now)),
        }
    }
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
    if is_too_deep(payload) {
        let detail = format!("wanted at most {DEPTH_MAX} levels of arrays and objects, found more");
        return Err(Fault::new(RejectReason::TooDeep, detail));
    }
    Ok(text)
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
