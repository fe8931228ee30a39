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

/// Records whose secrets are searched for at once.
const AT_ONCE: usize = 1_000;

/// How many records are tried.
#[expect(clippy::disallowed_methods, reason = "a test's size is set by hand for a long run")]
fn count() -> u64 {
    let told = std::env::var("SURETY_TEST_SECRETS").ok();
    told.map_or(20_000, |count| count.parse().unwrap())
}

#[test]
fn no_piece_of_a_secret_is_left_wherever_it_stood() {
    let formats: Vec<(Format, Vec<Value>)> =
        Format::ALL.iter().map(|format| (*format, golden_values(*format))).collect();
    let (mut leaks, mut events) = (Vec::new(), 0);
    let count = count();
    for first in (0..count).step_by(AT_ONCE) {
        let (mut needles, mut told, mut shown) = (search::Needles::new(), Vec::new(), Vec::new());
        for number in first..count.min(first + AT_ONCE as u64) {
            let (format, golden) = &formats[usize::try_from(number).unwrap() / 7 % formats.len()];
            let placed = places::placed(number, 1, golden);
            for secret in &placed.secrets {
                needles.add(secret.clone());
                told.push(format!("{format}: {}", placed.told));
            }
            for outcome in outcomes(*format, placed.record.as_bytes(), Part::FIRST) {
                events += u64::from(outcome.is_ok());
                shown.push(format!("{outcome:?}").into_bytes());
                shown.extend(outcome.err().map(|reject| reject.raw));
            }
        }
        for (number, piece) in shown.iter().flat_map(|bytes| needles.found(bytes)) {
            leaks.push(format!("{}: {piece}", told[number]));
        }
    }

    leaks.dedup();
    let shown = leaks.iter().take(4_000).cloned().collect::<Vec<_>>().join("\n");
    assert!(leaks.is_empty(), "{} leaks among {events} events\n{shown}", leaks.len());
    assert!(count / 2 < events, "{events}");
}
