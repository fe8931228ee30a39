//! How much of a file's records a format's reader understands: events, rejects, and the share of the
//! events that has each optional field.
//!
//! `cargo run -p ingest --example fields -- FILE --format X` prints one row of the table in
//! `docs/formats.md`. With `--events` it prints the events themselves, with `--rejects` the reasons.
//! Every record is given the time 2026-06-01T00:00:00Z, as Kafka gives each of its records one.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use ingest::{Normaliser, NotOne, RawRecord, Redactor};
use schemas::{CredentialEvent, Format, KafkaPartition, Offset, Part, Timestamp, Topic};

/// The name of a field, and whether an event has it.
type Field = (&'static str, fn(&CredentialEvent) -> bool);

const FIELDS: &[Field] = &[
    ("own time", |event| event.attributes.get("time_from").is_none()),
    ("known credential", |event| !event.credential_id.as_str().starts_with("unknown:")),
    ("class", |event| event.agent_class.is_some()),
    ("instance", |event| event.agent_instance.is_some()),
    ("session", |event| event.session_id.is_some()),
    ("model", |event| event.model.is_some()),
    ("resource", |event| event.resource.is_some()),
    ("counterparty", |event| event.counterparty_id.is_some()),
    ("amount", |event| event.amount.is_some()),
    ("source ip", |event| event.source_ip.is_some()),
    ("user agent", |event| event.user_agent.is_some()),
    ("delegation", |event| !event.delegation.is_empty()),
    ("attributes", |event| !event.attributes.is_empty()),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: fields FILE --format FORMAT [--events | --rejects]";
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (file, format, more) = match &args[..] {
        [file, flag, format] if flag == "--format" => (file, format, ""),
        [file, flag, format, more] if flag == "--format" => (file, format, more.as_str()),
        _ => return Err(usage.into()),
    };
    let format = Format::parse(format).ok_or("no format of this name")?;
    let text = std::fs::read_to_string(file)?;

    let normaliser = Normaliser::new(format, Redactor::new(&[7; 32]));
    let topic = Topic::new("fields");
    let record_time = Some(Timestamp::parse("2026-06-01T00:00:00Z")?);
    let (mut events, mut reasons) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (line, offset) in text.lines().zip(0..) {
        let payload = Some(line.as_bytes());
        let (partition, offset) = (KafkaPartition(0), Offset(offset));
        let record =
            RawRecord { topic: &topic, partition, offset, part: Part::FIRST, record_time, payload };
        let read = normaliser.normalise(&record, Timestamp::EPOCH);
        let parts = read.map_or_else(NotOne::parts, |event| vec![Ok(event)]);
        for part in parts {
            match part {
                Ok(event) => events.push(event),
                Err(reject) => *reasons.entry(reject.detail).or_default() += 1,
            }
        }
    }

    let mut out = io::stdout().lock();
    match more {
        "--events" => events.iter().try_for_each(|event| writeln!(out, "{event:#?}"))?,
        "--rejects" => reasons.iter().try_for_each(|(why, n)| writeln!(out, "{n:>4} {why}"))?,
        _ => {
            let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            writeln!(out, "| format | events | rejects | {} |", names.join(" | "))?;
            writeln!(out, "|---|{}", "---:|".repeat(names.len() + 2))?;
            write!(out, "| {format} | {} | {} |", events.len(), reasons.values().sum::<usize>())?;
            for (_, has) in FIELDS {
                let with = events.iter().filter(|event| has(event)).count();
                write!(out, " {}% |", (100 * with).checked_div(events.len()).unwrap_or(0))?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}
