//! S11: secrets of many formats come through the whole pipeline, as keys and headers of Kafka too, and none of
//! all bytes that are written tells of one: files of lake and state, compressed or not, what a reader of the
//! tables sees, the log at its most talkative, metrics, webhooks, and answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _};
use rlimit::Resource;
use schemas::Timestamp;
use serde_json::Value;

use self::formats::FORMATS;
use self::places::placed;
use self::search::Needles;
use crate::exactly_once::{end, log, records_read, setting, start, wait_for, worker};
use crate::kafka::{Kafka, get, post};
use crate::process::{Running, not_run, root, surety, text, tried};
use crate::receiver::Receiver;

mod formats;
mod places;
mod search;

const NAME: &str = "no_byte_that_is_written_tells_of_a_secret";
/// After those of the golden records, so that none is of the future.
const RECORD_TIME: &str = "2026-11-28T00:00:00Z";
const TABLES: [&str; 6] =
    ["events", "rejects", "findings", "counterparty_edges", "registry_changes", "deliveries"];

/// Records of each format, and of the registry under its own name.
fn golden() -> BTreeMap<String, Vec<Value>> {
    let mut golden = BTreeMap::new();
    for entry in fs::read_dir(root().join("ingest/src/format/golden")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some((format, "jsonl")) = name.split_once('.') {
            let text = fs::read_to_string(path).unwrap();
            let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            golden.insert(format.to_owned(), values.filter(Value::is_object).collect());
        }
    }
    for (name, file) in [("native", "credential_event"), ("registry", "registry_change")] {
        let path = root().join(format!("schemas/json/{file}.v1.example.json"));
        let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        golden.insert(name.to_owned(), values);
    }
    golden
}

/// The configuration of a worker that reads a topic of each format and says all it can.
fn configure(folder: &Path, topics: &BTreeMap<String, String>, receiver: &Receiver) {
    let of_formats = topics.iter().filter(|(format, _)| *format != "registry");
    let listed: Vec<String> = of_formats
        .map(|(format, topic)| format!("{{ name = \"{topic}\", format = \"{format}\" }}"))
        .collect();
    let path = folder.join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    let (before, rest) = config.split_once("topics = [").unwrap();
    let (_, after) = rest.split_once("]\n").unwrap();
    let config = format!(
        "{before}registry-topic = \"{}\"\ntopics = [{}]\n{}{}",
        topics["registry"],
        listed.join(", "),
        after.replace("level = \"info\"", "level = \"trace\"").replace(
            "listen = \"\"",
            &format!("listen = \"127.0.0.1:{}\"", crate::kafka::free_port())
        ),
        receiver.config(),
    );
    fs::write(path, config).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What the frames of zstd in `bytes` hold, which are the pages of Parquet and the checkpoints of the state.
///
/// Source: RFC 8878, section 3.1.1, for the number that a frame begins with.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for at in 0..bytes.len().saturating_sub(4) {
        if bytes[at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let frame = zstd::stream::Decoder::with_buffer(&bytes[at..]).unwrap().single_frame();
            // Four bytes may be so by chance; what is read before that shows is no harm.
            let _read = frame.take(1 << 30).read_to_end(&mut plain);
            plain.push(b'\n');
        }
    }
    plain
}

/// What was sent: what must not be seen of it, what each of these is, how many records are uses, and how many
/// of these were events in binary mode.
struct Sent {
    needles: Needles,
    told: Vec<String>,
    uses: u64,
    events: u64,
}

/// The headers and the payload of an event in binary mode, if the record is one in structured mode.
fn in_binary_mode(record: &str) -> Option<(Vec<(String, String)>, String)> {
    let mut event: serde_json::Map<String, Value> = serde_json::from_str(record).ok()?;
    let data = event.remove("data").filter(Value::is_object)?.to_string();
    let texts: Option<Vec<(String, String)>> = event
        .into_iter()
        .map(|(name, value)| Some((format!("ce_{name}"), value.as_str()?.to_owned())))
        .collect();
    texts
        .filter(|told| told.iter().any(|(name, _)| name == "ce_specversion"))
        .map(|told| (told, data))
}

/// Sends so many records, each with a secret, which is its key and one of its headers too.
fn send(
    kafka: &Kafka,
    topics: &BTreeMap<String, String>,
    golden: &BTreeMap<String, Vec<Value>>,
    records: u64,
    seed: u64,
) -> Sent {
    let mut sent = Sent { needles: Needles::new(), told: Vec::new(), uses: 0, events: 0 };
    let producer = kafka.producer();
    let millis = Timestamp::parse(RECORD_TIME).unwrap().as_millis();
    let formats: Vec<&String> = golden.keys().collect();
    for number in 0..records {
        let format = formats[usize::try_from(number / 7).unwrap() % formats.len()];
        let placed = placed(number, seed, &golden[format]);
        let key = placed.secrets.first().map_or(String::new(), |secret| secret.text.clone());
        let (mut headers, mut payload) = (Vec::new(), placed.record.clone());
        if number % 2 == 0
            && format == "cloudevents"
            && let Some(event) = in_binary_mode(&placed.record)
        {
            (headers, payload) = event;
            sent.events += 1;
        }
        headers.push(("authorization".to_owned(), key.clone()));
        let mut owned = OwnedHeaders::new();
        for (name, value) in &headers {
            owned = owned.insert(Header { key: name, value: Some(value) });
        }
        let record = BaseRecord::to(&topics[format]).partition(0).timestamp(millis);
        producer.send(record.key(&key).payload(&payload).headers(owned)).unwrap();
        for secret in placed.secrets {
            sent.needles.add(secret);
            sent.told.push(format!("{format}: {}", placed.told));
        }
        sent.uses += u64::from(format != "registry");
        if number < 1_000 {
            let found = sent.needles.found(placed.record.as_bytes());
            assert!(!found.is_empty(), "a record with a secret shows none: {}", placed.told);
        }
    }
    producer.flush(Duration::from_mins(1)).unwrap();
    sent
}

/// All that a process wrote and answered, by its name.
type Written = Vec<(String, Vec<u8>)>;

/// What a running process answers.
fn answers(folder: &Path) -> Written {
    let config = fs::read_to_string(folder.join("surety.toml")).unwrap();
    let doors: Vec<&str> =
        config.split("listen = \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let metrics = get(doors[0], "/metrics").unwrap();
    let statement = r#"{"sql":"SELECT agent_id, action, attributes FROM events LIMIT 2000"}"#;
    let answer = post(doors[1], "/v1/sql", statement).unwrap();
    vec![
        ("metrics".to_owned(), metrics.into_bytes()),
        ("an answer".to_owned(), answer.into_bytes()),
    ]
}

/// What the tables and commands show, and every file, as it is and unpacked.
fn left(folder: &Path) -> Written {
    let mut left = Written::new();
    for table in TABLES {
        let statement = format!("SELECT * FROM {table}");
        let output = surety(folder, &["sql", &statement, "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        left.push((table.to_owned(), output.stdout));
    }
    for arguments in [&["rejects", "list", "--limit", "10000"][..], &["agents"], &["posture"]] {
        let output = surety(folder, arguments);
        left.push((arguments[0].to_owned(), [output.stdout, output.stderr].concat()));
    }
    for path in files(folder).into_iter().filter(|path| !path.ends_with("surety.toml")) {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        left.push((format!("{name}, unpacked"), unpacked(&bytes)));
        left.push((name, bytes));
    }
    left
}

/// All of it was there to be looked at.
fn assert_whole(written: &Written, records: u64) {
    let of_pages = written.iter().filter(|(name, _)| name.ends_with(".parquet, unpacked"));
    let of_pages: usize = of_pages.map(|(_, bytes)| bytes.len()).sum();
    assert!(100 * usize::try_from(records).unwrap() < of_pages, "{of_pages} bytes");
    for name in ["webhooks", "findings", "metrics", "log"] {
        let (_, bytes) = written.iter().find(|(written, _)| written == name).unwrap();
        assert!(1_000 < bytes.len(), "{name}: {}", text(bytes));
    }
    for kind in [".redb", ".state, unpacked", "_delta_log/00000000000000000000.json"] {
        let is_one = |name: &str, bytes: &[u8]| name.ends_with(kind) && !bytes.is_empty();
        assert!(written.iter().any(|(name, bytes)| is_one(name, bytes)), "{kind}");
    }
    let (_, events) = written.iter().find(|(name, _)| name == "events").unwrap();
    assert!(usize::try_from(records).unwrap() / 4 < text(events).matches("fp:").count());
}

/// A crash would leave no file of the process's memory.
fn assert_dumps_nothing(running: &Running) {
    let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", running.0.id())) else {
        return not_run("whether a process dumps its memory: only Linux tells");
    };
    let of_core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(of_core.split_whitespace().nth(4), Some("0"), "{of_core}");
}

#[test]
fn no_byte_that_is_written_tells_of_a_secret() {
    let kafka = Kafka::start();
    let Some(kafka) = kafka.real(NAME) else { return };
    let (seed, records) = (setting("SURETY_TEST_SEED", 1), setting("SURETY_TEST_SECRETS", 5_000));
    let golden = golden();
    let topics: BTreeMap<String, String> =
        golden.keys().map(|format| (format.clone(), kafka.topic(format, 1))).collect();
    let folder = worker(&kafka, "");
    let folder = folder.path();
    let receiver = Receiver::start();
    configure(folder, &topics, &receiver);
    let Sent { needles, told, uses, events } = send(&kafka, &topics, &golden, records, seed);

    // What a process may do that says nothing of it.
    let hard = Resource::CORE.get_hard().unwrap();
    Resource::CORE.set(hard, hard).unwrap();
    let mut running = start(folder);
    wait_for(folder, &mut running, "all records", || uses <= records_read(folder));
    let mut written = answers(folder);
    assert_dumps_nothing(&running);
    end(folder, running);
    written.extend(left(folder));
    written.push(("webhooks".to_owned(), receiver.bodies()));

    let mut leaks = Vec::new();
    for (name, bytes) in &written {
        for (number, piece) in needles.found(bytes) {
            leaks.push(format!("{name}: {piece}: {}", told[number]));
        }
    }
    let shown = leaks.iter().take(200).cloned().collect::<Vec<_>>().join("\n");
    assert!(leaks.is_empty(), "{} leaks with SURETY_TEST_SEED={seed}:\n{shown}", leaks.len());
    assert!(40 <= FORMATS.len());
    assert!(records / 500 < events, "{events} events in binary mode");
    assert_whole(&written, records);
    assert!(log(folder).contains("TRACE"), "the log is not at its most talkative");
    tried(NAME, records);
}
