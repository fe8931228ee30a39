//! Events, truths and registry changes as JSON Lines.
//!
//! Invariant: one object a line, no empty line, the same bytes for the same value.

use std::io::{self, Write};

use schemas::{NativeEvent, RegistryChange};
use serde::Serialize;

use crate::event::Truth;

/// Appends `event` as JSON, without a line end.
pub fn write_json(event: &NativeEvent, out: &mut Vec<u8>) {
    serde_json::to_writer(out, event).expect("a Vec takes every write, and an event is plain JSON");
}

/// # Errors
///
/// Those of `out`.
pub fn write_event(event: &NativeEvent, out: &mut impl Write) -> io::Result<()> {
    write_line(event, out)
}

/// # Errors
///
/// Those of `out`.
pub fn write_change(change: &RegistryChange, out: &mut impl Write) -> io::Result<()> {
    write_line(change, out)
}

/// Writes the truth about `event`, under the event's id.
///
/// # Errors
///
/// Those of `out`.
pub fn write_truth(event: &NativeEvent, truth: &Truth, out: &mut impl Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        event_id: Option<&'a str>,
        #[serde(flatten)]
        truth: &'a Truth,
    }
    let event_id = event.event_id.as_ref().map(schemas::EventId::as_str);
    write_line(&Line { event_id, truth }, out)
}

fn write_line(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
