//! Whether a time can be true: a clock that is wrong by years would move what is compared with it.
//!
//! Invariant: the bounds are those of the record's time in Kafka, which is as fixed as its bytes; no
//! clock is asked. A record time that is itself out of all bounds, such as the 0 of a producer that
//! sets none, bounds nothing.

use schemas::{CredentialEvent, Format, Timestamp};

use super::Fault;

const DAY_MICROS: i64 = 86_400_000_000;
/// How far an event's time may lie before its record's: an archive that is produced again.
const PAST_MICROS_MAX: i64 = 3_653 * DAY_MICROS;
/// How far it may lie after: clocks that disagree, and times written without their offset from UTC.
const FUTURE_MICROS_MAX: i64 = DAY_MICROS;
/// 1990-01-01T00:00:00Z and 2100-01-01T00:00:00Z, for a record without a time.
const ABSOLUTE: (i64, i64) = (631_152_000_000_000, 4_102_444_800_000_000);

/// Refuses an event whose time cannot be true.
pub(super) fn check(event: &CredentialEvent, record_time: Option<Timestamp>) -> Result<(), Fault> {
    if is_possible(event.time, record_time) { Ok(()) } else { Err(fault(event, record_time)) }
}

fn is_possible(time: Timestamp, record_time: Option<Timestamp>) -> bool {
    let (time, (earliest, latest)) = (time.as_micros(), ABSOLUTE);
    let is_absolute = |micros: i64| earliest <= micros && micros < latest;
    match record_time.map(Timestamp::as_micros).filter(|micros| is_absolute(*micros)) {
        Some(of_record) => {
            of_record - PAST_MICROS_MAX <= time && time <= of_record + FUTURE_MICROS_MAX
        }
        None => is_absolute(time),
    }
}

/// Days are told and nothing finer: they are numbers that we have read, not the record's text.
#[cold]
fn fault(event: &CredentialEvent, record_time: Option<Timestamp>) -> Fault {
    let (field, found) = (field_of(event), day(event.time));
    if event.attributes.get("time_from") == Some("kafka") && record_time == Some(event.time) {
        let detail = format!("wanted field `{field}`, found none, and Kafka's time is {found}");
        return Fault::bad_field(detail);
    }
    let bounded = record_time.filter(|time| is_possible(*time, None));
    Fault::bad_field(match bounded {
        Some(time) => format!(
            "`{field}`: wanted a time from 10 years before to 1 day after the record's in Kafka, {}, found {found}",
            day(time)
        ),
        None => format!("`{field}`: wanted a time in the years 1990 to 2099, found {found}"),
    })
}

/// `2026-03-01`.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// Where the format has the time. An envelope may have lent its own.
fn field_of(event: &CredentialEvent) -> &'static str {
    let inside = event.attributes.get("cloudevents.format").and_then(Format::parse);
    let is_lent = event.attributes.get("time_from") == Some("cloudevents");
    match inside {
        Some(_) if is_lent => "time",
        Some(format) => super::time_field(format),
        None => super::time_field(event.format),
    }
}
