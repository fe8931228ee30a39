//! Registry changes, from their topic and from files.
//!
//! Invariant: a change that was read says when we learned it, by our clock and Kafka's and never by
//! the change's own word, and holds no secret. A file is read whole or not at all: every line that is
//! wrong is named, so that it can be corrected in one go.

mod scim;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemas::{Format, RegistryChange, Reject, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::format::{Fault, readable};
use crate::{RawRecord, Redactor};

/// Most wrong lines that are named in one go.
const BAD_LINES_MAX: usize = 100;
/// Separates the agents of a shared credential in a cell of a CSV file.
const LIST_SEPARATOR: char = ';';

/// Reads the records of the registry's topic.
#[derive(Clone, Debug)]
pub struct RegistryReader {
    redactor: Redactor,
}

impl RegistryReader {
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor }
    }

    /// The change that `record` tells of, learned at the record's time, at `now` at the latest.
    ///
    /// # Errors
    ///
    /// The [`Reject`] to store.
    pub fn read(&self, record: &RawRecord<'_>, now: Timestamp) -> Result<RegistryChange, Reject> {
        let read = readable(record)
            .and_then(|json| serde_json::from_str(json).map_err(|error| Fault::of_json(&error)));
        let mut change: RegistryChange =
            read.map_err(|fault| fault.into_reject(record, Format::Native, &self.redactor, now))?;
        change.recorded_at = Some(learned_at(record, now));
        change.evidence.get_or_insert_with(|| record.position().to_string());
        self.redactor.change(&mut change);
        Ok(change)
    }
}

/// When a record's change was learned. Kafka counts milliseconds: within one, the offset orders.
fn learned_at(record: &RawRecord<'_>, now: Timestamp) -> Timestamp {
    let Some(time) = record.record_time else { return now };
    let micros = record.offset.0.rem_euclid(1_000).unsigned_abs();
    time.plus(Duration::from_micros(micros)).min(now)
}

/// How a file tells its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryFormat {
    /// A header that names the fields, and a change in each line.
    Csv,
    /// A list of changes, or one change in each line.
    Json,
    /// A list of changes, or a stream of documents that are changes or lists.
    Yaml,
    /// A directory's users and agents: lists of resources, or resources, one after the other.
    Scim,
}

impl RegistryFormat {
    /// What a file is by its name and, as the name of JSON says little, by how it begins.
    fn of(path: &Path, text: &str) -> Self {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let text = text.trim_start();
        if extension == "yaml" || extension == "yml" || text.starts_with("---") {
            return Self::Yaml;
        }
        // The first element of a list, or the first value of a stream.
        let (is_list, first) = match text.as_bytes().first() {
            Some(b'[') => (true, text[1..].trim_start()),
            Some(b'{') => (false, text),
            Some(_) | None if text.starts_with("- ") => return Self::Yaml,
            Some(_) | None => return Self::Csv,
        };
        let mut values = serde_json::Deserializer::from_str(first).into_iter::<Value>();
        let is_scim = values.next().and_then(Result::ok).as_ref().is_some_and(scim::is_scim);
        // A list whose JSON is broken further down is what its first line says.
        let begins_so =
            || !is_list && first[..first.len().min(400)].contains("urn:ietf:params:scim:");
        if is_scim || begins_so() { Self::Scim } else { Self::Json }
    }
}

/// Where in a file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// From 1.
    line: u64,
    /// The element of SCIM's `Resources`, from 0: all may be in one line.
    resource: Option<usize>,
}

impl Place {
    fn line(line: u64) -> Self {
        Self { line, resource: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resource {
            Some(at) => write!(f, "{} Resources[{at}]", self.line),
            None => write!(f, "{}", self.line),
        }
    }
}

/// What is wrong with one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    pub detail: String,
}

/// What a file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryFile {
    pub changes: Vec<RegistryChange>,
    /// Resources of SCIM that are neither users nor agents.
    pub passed_over: usize,
}

/// Why a file of changes was not read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryFileError {
    /// The file cannot be opened.
    #[error("cannot read {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },

    /// Correct these lines.
    #[error("{}", BadLines { path, lines })]
    Lines { path: PathBuf, lines: Vec<BadLine> },
}

struct BadLines<'a> {
    path: &'a Path,
    lines: &'a [BadLine],
}

impl fmt::Display for BadLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, bad) in self.lines.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{}: {}", self.path.display(), bad.line, bad.detail)?;
        }
        Ok(())
    }
}

/// Reads a file of changes, in `format` or else in what its name and its beginning say.
///
/// The last change is learned at `now`, each other one a microsecond before the next, so that what is
/// told twice counts as it was told last. One without evidence has the file's name and line as its
/// evidence.
///
/// # Errors
///
/// [`RegistryFileError`] with every wrong line; then nothing of the file counts.
pub fn read_registry_file(
    path: &Path,
    format: Option<RegistryFormat>,
    redactor: &Redactor,
    now: Timestamp,
) -> Result<RegistryFile, RegistryFileError> {
    let bytes = std::fs::read(path)
        .map_err(|cause| RegistryFileError::Io { path: path.to_path_buf(), cause })?;
    let mut file = parse(&bytes, path, format, now)
        .map_err(|lines| RegistryFileError::Lines { path: path.to_path_buf(), lines })?;
    for change in &mut file.changes {
        redactor.change(change);
    }
    Ok(file)
}

/// Changes with their places, and what is wrong.
#[derive(Default)]
struct Parsed {
    changes: Vec<(Place, RegistryChange)>,
    passed_over: usize,
    bad: Vec<BadLine>,
}

impl Parsed {
    fn add(&mut self, line: u64, change: Result<RegistryChange, serde_json::Error>) {
        let place = Place::line(line);
        match change {
            Ok(change) => self.changes.push((place, change)),
            Err(error) => self.reject(&place, detail_of(&error)),
        }
    }

    fn reject(&mut self, place: &Place, detail: impl Into<String>) {
        if self.bad.len() < BAD_LINES_MAX {
            let detail = detail.into();
            let detail = match place.resource {
                Some(at) => format!("Resources[{at}]: {detail}"),
                None => detail,
            };
            self.bad.push(BadLine { line: place.line, detail });
        }
    }
}

fn detail_of(error: &serde_json::Error) -> String {
    without_place(&Fault::of_json(error).detail).to_owned()
}

/// A detail without its line and column, which count from the change's own start.
fn without_place(detail: &str) -> &str {
    match detail.rsplit_once(" at ") {
        Some((before, place))
            if place.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') =>
        {
            before
        }
        Some(_) | None => detail,
    }
}

fn parse(
    bytes: &[u8],
    path: &Path,
    format: Option<RegistryFormat>,
    now: Timestamp,
) -> Result<RegistryFile, Vec<BadLine>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = line_of(&bytes[..error.valid_up_to()]);
        vec![BadLine { line, detail: "wanted UTF-8, found another byte".to_owned() }]
    })?;
    let parsed = match format.unwrap_or_else(|| RegistryFormat::of(path, text)) {
        RegistryFormat::Json if text.trim_start().starts_with('[') => of_array(text),
        RegistryFormat::Json => of_lines(text),
        RegistryFormat::Csv => of_csv(text),
        RegistryFormat::Yaml => of_yaml(text),
        RegistryFormat::Scim => of_scim(text, now),
    };
    if !parsed.bad.is_empty() {
        return Err(parsed.bad);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let later = (0..parsed.changes.len() as u64).rev();
    let finished = parsed.changes.into_iter().zip(later).map(|((place, mut change), later)| {
        change.recorded_at = Some(now.minus(Duration::from_micros(later)));
        change.evidence.get_or_insert_with(|| format!("{name}:{place}"));
        change
    });
    Ok(RegistryFile { changes: finished.collect(), passed_over: parsed.passed_over })
}

/// The line, from 1, on which whatever follows `before` stands.
fn line_of(before: &[u8]) -> u64 {
    before.split(|byte| *byte == b'\n').count() as u64
}

/// The lines of parts of a text, asked for in their order.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line on which `part`, a part of the text behind the last one asked for, begins.
    fn of_part(&mut self, part: &str) -> u64 {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        let breaks = memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.at..start]).count();
        self.line += breaks as u64;
        self.at = start;
        self.line
    }
}

fn of_array(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let elements: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(elements) => elements,
        Err(error) => {
            let place = Place::line(error.line() as u64);
            parsed.reject(&place, Fault::of_json(&error).detail);
            return parsed;
        }
    };
    let mut lines = Lines::of(text);
    for element in elements {
        parsed.add(lines.of_part(element.get()), serde_json::from_str(element.get()));
    }
    parsed
}

fn of_yaml(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    yaml::entries(text, |line, entry| match entry {
        Ok(value) => parsed.add(line, serde_json::from_value(value)),
        Err(detail) => parsed.reject(&Place::line(line), detail),
    });
    parsed
}

/// One value after the other; where each line is a value, a wrong one does not hide the next.
fn of_scim(text: &str, now: Timestamp) -> Parsed {
    let mut parsed = Parsed::default();
    let mut directory = scim::Directory::default();
    let mut lines = Lines::of(text);
    let is_whole = |line: &str| serde_json::from_str::<&RawValue>(line).is_ok();
    let mut rest = text;
    let by_line = text.trim_start().lines().next().is_some_and(is_whole);
    while !rest.trim_start().is_empty() {
        let here = rest.trim_start();
        let line = lines.of_part(here);
        let (part, after) = match here.split_once('\n') {
            Some(parts) if by_line => parts,
            _ => (here, ""),
        };
        let mut values = serde_json::Deserializer::from_str(part).into_iter::<&RawValue>();
        for value in values.by_ref() {
            match value {
                Ok(value) => directory.read(&mut lines, value, &mut parsed),
                Err(error) => {
                    let place = Place::line(line + error.line() as u64 - 1);
                    parsed.reject(&place, detail_of(&error));
                    break;
                }
            }
        }
        rest = after;
    }
    directory.finish(&mut parsed, now);
    parsed
}

fn of_lines(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for (line, json) in (1..).zip(text.lines()) {
        if !json.trim().is_empty() {
            parsed.add(line, serde_json::from_str(json));
        }
    }
    parsed
}

fn of_csv(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(_) => csv::StringRecord::new(),
    };
    let names: BTreeSet<&str> = header.iter().collect();
    if names.len() < header.len() || !names.contains("kind") || !names.contains("valid_from") {
        let wanted =
            "wanted a header that names each field once, among them `kind` and `valid_from`";
        parsed.reject(&Place::line(1), wanted);
        return parsed;
    }
    for record in reader.records() {
        match record {
            Ok(cells) => {
                let line = cells.position().map_or(0, csv::Position::line);
                parsed.add(line, serde_json::from_value(Value::Object(fields(&header, &cells))));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let detail = if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } =
                    error.kind()
                {
                    format!("wanted {expected_len} cells, found {len}")
                } else {
                    "wanted CSV, found another text".to_owned()
                };
                parsed.reject(&Place::line(line), detail);
            }
        }
    }
    parsed
}

/// The cells of one line under their names; an empty cell is an absent field.
fn fields(header: &csv::StringRecord, cells: &csv::StringRecord) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("schema".to_owned(), "surety.registry_change.v1".into());
    for (name, cell) in header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let value = match (name, cell) {
            ("active", "true") => Value::Bool(true),
            ("active", "false") => Value::Bool(false),
            ("volume_times", times) => {
                times.parse::<u32>().map_or_else(|_| cell.into(), Value::from)
            }
            (
                "agent_ids" | "allowed_actions" | "allowed_resources" | "allowed_counterparties",
                list,
            ) => list.split(LIST_SEPARATOR).map(str::trim).collect(),
            (_, text) => text.into(),
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

#[cfg(test)]
mod tests {
    use schemas::{Fact, KafkaPartition, Offset, Part, RejectReason, Topic};

    use super::*;

    const EXAMPLES: &str = include_str!("../../schemas/json/registry_change.v1.example.json");
    const ONE: &str = r#"{"schema":"surety.registry_change.v1","kind":"agent_class","agent_class":"a","sponsor_id":"s","valid_from":"2025-06-01T00:00:00Z"}"#;

    fn now() -> Timestamp {
        Timestamp::parse("2026-03-01T00:00:00Z").unwrap()
    }

    fn told(text: &str, name: &str) -> Result<Vec<RegistryChange>, Vec<BadLine>> {
        Ok(parse(text.as_bytes(), Path::new(name), None, now())?.changes)
    }

    fn bad(text: &str) -> Vec<(u64, String)> {
        let bad = told(text, "f").unwrap_err();
        bad.into_iter().map(|bad| (bad.line, bad.detail)).collect()
    }

    #[test]
    fn arrays_and_lines_give_the_same_changes() {
        let array = told(EXAMPLES, "f").unwrap();
        let values: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        let lines = lines.join("\n\n");
        let lines = told(&lines, "f").unwrap();

        assert_eq!(array.len(), 11);
        let ids = |changes: &[RegistryChange]| {
            changes.iter().map(RegistryChange::change_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&lines), ids(&array));
        assert_eq!(array[1].evidence.as_deref(), Some("f:3"));
    }

    #[test]
    fn a_csv_file_names_its_fields_in_the_header() {
        let csv = "kind,valid_from,sponsor_id,active,name,credential_id,credential_kind,agent_ids\n\
            sponsor,2025-01-01T00:00:00Z,anna,true,\"Keller, \"\"Anna\"\"\",,,\n\
            credential,2025-01-01T00:00:00Z,,,,svc-erp,static_key,buyer-1; seller-1\n";

        let changes = told(csv, "people.csv").unwrap();

        let Fact::Sponsor { name, active: true, .. } = &changes[0].fact else {
            panic!("{changes:?}")
        };
        assert_eq!(name.as_deref(), Some("Keller, \"Anna\""));
        let Fact::Credential { agent_ids, .. } = &changes[1].fact else { panic!("{changes:?}") };
        assert_eq!(agent_ids.len(), 2);
        assert_eq!(changes[1].recorded_at, Some(now()));
        assert_eq!(changes[1].evidence.as_deref(), Some("people.csv:3"));
    }

    #[test]
    fn yaml_tells_what_json_tells() {
        // The examples, as people write them: JSON's own text is YAML too.
        let flow = told(EXAMPLES, "changes.yaml").unwrap();
        let json = told(EXAMPLES, "changes.json").unwrap();
        let ids = |changes: &[RegistryChange]| {
            changes.iter().map(RegistryChange::change_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&flow), ids(&json));
        assert_eq!(flow[1].evidence.as_deref(), Some("changes.yaml:3"));

        let block = "# who answers\n---\n- schema: surety.registry_change.v1\n  kind: sponsor\n  \
            sponsor_id: anna\n  active: true\n  valid_from: 2025-01-01T00:00:00Z\n---\n\
            schema: surety.registry_change.v1\nkind: credential\ncredential_id: svc-erp\n\
            credential_kind: static_key\nagent_ids:\n  - buyer-1\n  - seller-1\n\
            valid_from: \"2025-01-01T00:00:00Z\"\n";
        let changes = told(block, "people.yml").unwrap();
        let Fact::Credential { agent_ids, .. } = &changes[1].fact else { panic!("{changes:?}") };
        assert_eq!(agent_ids.len(), 2);
        assert_eq!(changes[0].evidence.as_deref(), Some("people.yml:3"));
        assert_eq!(changes[1].evidence.as_deref(), Some("people.yml:9"));
    }

    #[test]
    fn every_wrong_entry_of_yaml_is_named_and_none_counts() {
        let one = "schema: surety.registry_change.v1, valid_from: 2025-01-01T00:00:00Z";
        let yaml = format!(
            "- {{{one}, kind: sponsor, sponsor_id: anna, active: true}}\n\
             - {{{one}, kind: sponsor, sponsor_id: anna, active: maybe}}\n\
             - {{{one}, kind: sponsor, sponsor_id: 17, active: true}}\n\
             -\n  # nothing but this\n  kind: sponsor\n\
             - {{{one}, kind: planet}}\n- 7\n"
        );

        let found = bad(&yaml);

        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 6, 7, 8]);
        assert_eq!(found[0].1, "wanted a boolean, found string");
        assert!(found[1].1.starts_with("wanted a string, found integer"), "{found:?}");
        assert_eq!(bad("- [}")[0].0, 1);
    }

    #[test]
    fn every_wrong_line_is_named_and_no_line_counts() {
        let lines = format!("{ONE}\nno json\n\n{}\n", ONE.replace("\"a\"", "7"));
        assert_eq!(bad(&lines).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);

        let array = format!("[\n{ONE},\n{},\n{{}}]", ONE.replace("agent_class\":", "klass\":"));
        assert_eq!(bad(&array).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4]);

        let csv = "kind,valid_from,agent_class,sponsor_id\nagent_class,yesterday,a,s\nagent_class\n\
            planet,2025-01-01T00:00:00Z,a,s\n";
        let found = bad(csv);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(found[0].1.starts_with("wanted an RFC 3339 time"), "{found:?}");
        assert_eq!(found[1].1, "wanted 4 cells, found 1");
        assert!(found[2].1.contains("`sponsor`"), "{found:?}");

        let unknown = ONE.replace('}', ",\"zone\":\"eu\"}");
        assert_eq!(bad(&unknown)[0].0, 1, "as the schema says");
        let schema: Value = serde_json::from_str(&schemas::json_schema::registry_change()).unwrap();
        assert_eq!(schema["unevaluatedProperties"], false);

        assert_eq!(bad("a,a\n1,2\n")[0].0, 1);
        assert_eq!(bad("[{]")[0].0, 1);
    }

    #[test]
    fn what_a_file_tells_is_learned_in_its_order_at_the_time_of_the_import() {
        let old = ONE.replace('}', ",\"recorded_at\":\"2020-01-01T00:00:00Z\"}");
        let lines = [ONE, &old, ONE].join("\n");

        let changes = told(&lines, "f").unwrap();

        let learned: Vec<_> = changes.iter().map(|change| change.recorded_at.unwrap()).collect();
        assert!(learned.is_sorted_by(|one, next| one < next), "{learned:?}");
        assert_eq!(learned[2], now());
        assert!(now().minus(Duration::from_secs(1)) < learned[0]);
    }

    #[test]
    fn a_secret_in_a_change_is_the_fingerprint_that_events_have() {
        let secret = "ghp_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3d";
        let redactor = Redactor::new(b"key");
        let wanted = redactor.fingerprint(secret.as_bytes());
        let values: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
        let mut places = 0;
        for value in &values {
            for (field, text) in value.as_object().unwrap() {
                if [
                    "schema",
                    "kind",
                    "credential_kind",
                    "detector",
                    "verdict",
                    "finding_id",
                    "amount_limit",
                    "currency",
                ]
                .contains(&field.as_str())
                    || field.ends_with("_at")
                    || field.starts_with("valid_")
                {
                    continue;
                }
                let mut value = value.clone();
                value[field] = match text {
                    Value::Array(_) => vec![secret].into(),
                    Value::String(_) => secret.into(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => continue,
                };
                places += 1;
                let topic = Topic::new("registry");
                let json = value.to_string();
                let record = RawRecord {
                    topic: &topic,
                    partition: KafkaPartition(0),
                    offset: Offset(0),
                    part: Part::FIRST,
                    record_time: None,
                    payload: Some(json.as_bytes()),
                };
                let read = RegistryReader::new(redactor.clone()).read(&record, now()).unwrap();
                let mut file = tempfile::NamedTempFile::new().unwrap();
                io::Write::write_all(&mut file, json.as_bytes()).unwrap();
                let of_file =
                    read_registry_file(file.path(), None, &redactor, now()).unwrap().changes;

                for change in [&read, &of_file[0]] {
                    let text = serde_json::to_string(change).unwrap();
                    assert!(!text.contains("ghp_") && text.contains(&wanted), "{field}: {text}");
                }
            }
        }
        assert!(15 < places, "{places}");
    }

    #[test]
    fn a_record_of_the_topic_is_a_change_learned_at_the_records_time_and_not_later_than_now() {
        let reader = RegistryReader::new(Redactor::new(b"key"));
        let topic = Topic::new("registry");
        let mut record = RawRecord {
            topic: &topic,
            partition: KafkaPartition(0),
            offset: Offset(3),
            part: Part::FIRST,
            record_time: Some(Timestamp::EPOCH),
            payload: Some(ONE.as_bytes()),
        };

        let change = reader.read(&record, now()).unwrap();

        let told = Timestamp::EPOCH.plus(Duration::from_micros(3));
        assert_eq!(
            change.recorded_at,
            Some(told),
            "after that at offset 2 of the same millisecond"
        );
        assert_eq!(change.evidence.as_deref(), Some("registry/0@3"));
        for (record_time, word) in [(Some(Timestamp::MAX), "2020"), (None, "2020"), (None, "2190")]
        {
            let json = ONE.replace('}', &format!(",\"recorded_at\":\"{word}-01-01T00:00:00Z\"}}"));
            let record = RawRecord { record_time, payload: Some(json.as_bytes()), ..record };
            assert_eq!(reader.read(&record, now()).unwrap().recorded_at, Some(now()));
        }
        record.payload = Some(b"{\"password\":\"hunter2\"}");
        let reject = reader.read(&record, now()).unwrap_err();
        assert_eq!(reject.reason, RejectReason::BadField);
        assert!(!String::from_utf8(reject.raw).unwrap().contains("hunter2"));
    }
}
