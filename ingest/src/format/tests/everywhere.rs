//! Secrets of many formats, spelled in many ways, anywhere in records of all formats.
//!
//! The records are those that the whole pipeline is given in `tests/integration/secrets.rs`.

use serde_json::Value;

use super::*;

#[path = "../../../../tests/integration/secrets/formats.rs"]
mod formats;
#[path = "../../../../tests/integration/secrets/places.rs"]
mod places;
#[path = "../../../../tests/integration/secrets/search.rs"]
mod search;

fn golden_values(format: Format) -> Vec<Value> {
    let text = if format == Format::Native { NATIVE.replace('\n', "") } else { golden(format) };
    let values = text.lines().map(|line| serde_json::from_str(line).unwrap());
    values.filter(Value::is_object).collect()
}

#[test]
fn no_piece_of_a_secret_is_left_wherever_it_stood() {
    let formats: Vec<(Format, Vec<Value>)> =
        Format::ALL.iter().map(|format| (*format, golden_values(*format))).collect();
    let (mut leaks, mut events) = (Vec::new(), 0);
    for number in 0..20_000_u64 {
        let (format, golden) = &formats[usize::try_from(number).unwrap() / 7 % formats.len()];
        let placed = places::placed(number, 1, golden);
        let mut needles = search::Needles::new();
        placed.secrets.iter().for_each(|secret| needles.add(secret.clone()));
        for outcome in outcomes(*format, placed.record.as_bytes(), Part::FIRST) {
            events += usize::from(outcome.is_ok());
            let debug = format!("{outcome:?}");
            let raw = outcome.map_or_else(|reject| reject.raw, |_| Vec::new());
            for bytes in [debug.as_bytes(), &raw] {
                if let Some((_, piece)) = needles.found(bytes).pop() {
                    leaks.push(format!("{format}: {}: {piece}", placed.told));
                }
            }
        }
    }

    leaks.dedup();
    let shown = leaks.iter().take(4_000).cloned().collect::<Vec<_>>().join("\n");
    assert!(leaks.is_empty(), "{} leaks among {events} events\n{shown}", leaks.len());
    assert!(10_000 < events, "{events}");
}
