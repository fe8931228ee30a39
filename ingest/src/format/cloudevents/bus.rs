//! [`structured`]: an event of a bus that has a schema of its own, as the event that it is.
//!
//! Invariant: an event shows its bus by all the names that only this bus has side by side, and has its data; an
//! event of CNCF's in a bus is read by itself.
//!
//! Source: AWS, *`EventBridge` events*; Microsoft, *Azure Event Grid event schema*.

use crate::format::json::Json;

/// A bus: the attributes that each of its events has, and what it calls them; then those that it may have.
struct Bus {
    always: &'static [(&'static str, &'static str)],
    besides: &'static [(&'static str, &'static str)],
}

const BUSES: &[Bus] = &[
    // EventBridge.
    Bus {
        always: &[("type", "detail-type"), ("source", "source"), ("data", "detail")],
        besides: &[("id", "id"), ("time", "time")],
    },
    // Event Grid.
    Bus {
        always: &[
            ("type", "eventType"),
            ("time", "eventTime"),
            ("subject", "subject"),
            ("data", "data"),
        ],
        besides: &[("id", "id"), ("source", "topic")],
    },
];

/// The event of a bus, as if in structured mode.
pub(super) fn structured(event: &Json<'_>) -> Option<Json<'static>> {
    let bus = BUSES.iter().find(|bus| bus.always.iter().all(|(_, name)| event.has(name)))?;
    let fields = bus.always.iter().chain(bus.besides).filter_map(|(attribute, name)| {
        Some(((*attribute).into(), event.field(name)?.clone().owned()))
    });
    let event = Json::Object(fields.collect());
    let is_one = event.field("data")?.to_string().contains("specversion");
    (!is_one).then_some(event)
}
