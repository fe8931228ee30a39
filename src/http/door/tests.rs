//! The door as a client meets it, over a real socket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use ingest::{Normaliser, RawRecord, Redactor};
use lake::{Advance, EventRows, FindingRows, Location, StoreOptions};
use schemas::{
    DetectorKind, Disposition, Fact, Finding, KafkaPartition, Maturity, MaturityLevel, Offset,
    OffsetRange, Part, Severity, StampedEvent, Table, Topic, Trace,
};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::clock;

const EVENT: &str = include_str!("../../../schemas/json/credential_event.v1.example.json");
const TOKEN: &str = "0123456789abcdef";
/// It never ends by itself.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 100000000000)";

const QUICK: &str = "SELECT 1";

/// A lake, a door to it, and a runtime to write the lake with.
struct House {
    _folder: TempDir,
    lake: Lake,
    address: SocketAddr,
    stop: CancellationToken,
    runtime: tokio::runtime::Runtime,
    end: Option<End>,
}

type End = std::pin::Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

fn house(change: impl FnOnce(&mut Door)) -> House {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let location = Location::parse(folder.path().to_str().unwrap()).unwrap();
    let lake = Lake::open(&location, &StoreOptions::default()).unwrap();
    let limits = Limits { threads_max: 2, ..Limits::ONE_PERSON };
    let mut door = Door {
        lake: lake.clone(),
        asker: Arc::default(),
        normaliser: Normaliser::new(Format::Native, Redactor::new(&[7; 32])),
        redactor: Redactor::new(&[7; 32]),
        limits,
        statements_max: 2,
        token: None,
    };
    change(&mut door);
    let stop = CancellationToken::new();
    let (address, end) = door.open("127.0.0.1:0".parse().unwrap(), stop.clone()).unwrap();
    House { _folder: folder, lake, address, stop, runtime, end: Some(Box::pin(end)) }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(end) = self.end.take() {
            self.runtime.block_on(end).unwrap();
        }
    }
}

impl House {
    /// Commits one event, the next of the lake.
    fn commit_event(&self, offset: i64) -> StampedEvent {
        let (topic, partition, offset) = (Topic::new("uses"), KafkaPartition(0), Offset(offset));
        let record = RawRecord {
            topic: &topic,
            partition,
            offset,
            part: Part::FIRST,
            record_time: None,
            payload: Some(EVENT.as_bytes()),
        };
        let now = clock::now();
        let normaliser = Normaliser::new(Format::Native, Redactor::new(&[7; 32]));
        let event = normaliser.normalise_one(&record, now).unwrap();
        let trace = Trace::of(&event, &schemas::Registry::default(), now);
        let stamped = StampedEvent {
            event,
            position: record.position(),
            ingested_at: now,
            sponsor_id: trace.sponsor_id,
            trace_status: trace.status,
            trace_confidence: trace.confidence,
            dup_of: None,
        };
        let mut rows = EventRows::with_capacity(1);
        rows.push(&stamped);
        let mut advance = Advance::default();
        advance.extend(&topic, partition, OffsetRange { start: offset, end: offset.next() });
        self.runtime.block_on(async {
            let mut events = self.lake.table(Table::Events).await.unwrap();
            events.append(vec![rows.finish()], &advance, now).await.unwrap();
        });
        stamped
    }

    /// Commits a finding of a new event, and gives it.
    fn commit_finding(&self) -> Finding {
        let StampedEvent { event, position, trace_status, .. } = self.commit_event(0);
        let finding = Finding {
            finding_id: Finding::id_of(DetectorKind::NewCounterparty, &event.agent_id, &position),
            detector: DetectorKind::NewCounterparty,
            severity: Severity::Block,
            time: event.time,
            agent_id: event.agent_id,
            agent_class: None,
            credential_id: event.credential_id,
            sponsor_id: None,
            trace_status,
            event_id: event.event_id,
            position: position.clone(),
            action: event.action,
            counterparty_id: event.counterparty_id,
            score: 7.25,
            false_findings_per_agent_day: 0.01,
            summary: "never paid before".to_owned(),
            features: Vec::new(),
            maturity: Maturity { level: MaturityLevel::Mature, events: 4_200, days: 31.5 },
            evidence: Vec::new(),
            money_at_risk: None,
            currency: None,
            tags: Vec::new(),
        };
        let (mut rows, now) = (FindingRows::with_capacity(1), clock::now());
        rows.push(&finding, now);
        let mut advance = Advance::default();
        let range = OffsetRange { start: position.offset, end: position.offset.next() };
        advance.extend(&position.topic, position.partition, range);
        self.runtime.block_on(async {
            let mut findings = self.lake.table(Table::Findings).await.unwrap();
            findings.append(vec![rows.finish()], &advance, now).await.unwrap();
        });
        finding
    }

    /// Tells something at a path.
    fn tell(&self, path: &str, body: &serde_json::Value, headers: &str) -> Answer {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.ask(&post(&body.to_string(), &headers).replace("/v1/sql", path))
    }

    fn registry(&self) -> Vec<schemas::RegistryChange> {
        self.runtime.block_on(self.lake.read_registry()).unwrap()
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> Answer {
        Answer::read(self.send(request))
    }

    fn sql(&self, statement: &str, headers: &str) -> Answer {
        self.ask(&post(statement, headers))
    }
}

fn post(statement: &str, headers: &str) -> String {
    let length = statement.len();
    format!(
        "POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{statement}"
    )
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// Whether the body came to its end.
    is_whole: bool,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A broken connection is an answer as well: what came before it counts.
        drop(stream.read_to_end(&mut bytes));
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut rest = &bytes[end + 4..];
        if !head.contains("transfer-encoding: chunked") {
            return Self { status, head, body: rest.to_vec(), is_whole: true };
        }
        let (mut body, mut is_whole) = (Vec::new(), false);
        while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
            let length = str::from_utf8(&rest[..line]).unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            rest = &rest[line + 2..];
            if length == 0 || rest.len() < length + 2 {
                is_whole = length == 0;
                break;
            }
            body.extend_from_slice(&rest[..length]);
            rest = &rest[length + 2..];
        }
        Self { status, head, body, is_whole }
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }
}

#[test]
fn each_question_sees_the_lake_of_its_time() {
    let house = house(|_| {});
    let count = || house.sql("SELECT count(*) AS n FROM events", "").json()[0]["n"].clone();

    let before = count();
    house.commit_event(0);
    let between = count();
    house.commit_event(1);
    let after = count();

    assert_eq!([before, between, after], [0, 1, 2]);
}

#[test]
fn rows_come_in_the_format_that_is_asked_for() {
    let house = house(|_| {});
    let rows = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s) ORDER BY n";
    let body = |format: &str| format!("{{\"sql\": \"{rows}\", \"format\": \"{format}\"}}");
    let json = "Content-Type: application/json\r\n";

    let answers =
        ["json", "jsonl", "csv", "arrow", "parquet"].map(|format| house.sql(&body(format), json));
    let accepted = house.sql(rows, "Accept: text/csv\r\n");
    let nothing = house.sql("SELECT 1 AS a WHERE false", "Accept: application/x-ndjson\r\n");

    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.is_whole && answer.head.contains("cache-control: no-store"));
    }
    assert_eq!(answers[0].text(), "[\n{\"n\":1,\"s\":\"a\"},\n{\"n\":2,\"s\":\"b\"}\n]\n");
    assert_eq!(answers[1].text(), "{\"n\":1,\"s\":\"a\"}\n{\"n\":2,\"s\":\"b\"}\n");
    assert_eq!(answers[2].text(), "n,s\r\n1,a\r\n2,b\r\n");
    assert_eq!(accepted.text(), answers[2].text());
    assert!(answers[3].head.contains("application/vnd.apache.arrow.stream"));
    assert!(answers[4].body.starts_with(b"PAR1") && answers[4].body.ends_with(b"PAR1"));
    assert_eq!((nothing.status, nothing.text()), (200, ""));
}

#[test]
fn what_cannot_be_answered_says_why_and_where() {
    let house = house(|door| door.limits.rows_max = 10);
    for (statement, status, kind, place) in [
        ("SELECT 1 +\nFROM events", 400, "unknown", Some((2, 1))),
        ("SELECT 1 FROM events WHERE (", 400, "syntax", Some((1, 29))),
        ("SELECT agnt_id FROM events", 400, "unknown", Some((1, 8))),
        ("SELECT 1/0", 400, "invalid", None),
        ("DELETE FROM events", 403, "read_only", None),
        ("COPY events TO 'x.csv'", 403, "read_only", None),
        ("SELECT * FROM generate_series(1, 1000)", 422, "limit", None),
    ] {
        let answer = house.sql(statement, "");

        assert_eq!(answer.status, status, "{statement}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["kind"], kind, "{statement}");
        assert!(json["error"].as_str().unwrap().len() > 5);
        if let Some((line, column)) = place {
            assert_eq!(
                (json["line"].as_u64(), json["column"].as_u64()),
                (Some(line), Some(column)),
                "{statement}"
            );
        }
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(house.sql("SELECT 1", form).status, 415);
    assert_eq!(house.sql("SELECT 1", "Accept: text/html\r\n").status, 406);
    assert_eq!(house.sql(&" ".repeat(BODY_BYTES_MAX + 1), "").status, 413);
    assert_eq!(house.ask(&get("/v2", "")).status, 404);
}

#[test]
fn traces_and_the_inventory_have_paths_of_their_own() {
    let house = house(|_| {});
    house.commit_event(0);
    let ids = house.sql("SELECT event_id, agent_id FROM events", "").json();
    let (event, agent) = (ids[0]["event_id"].as_str().unwrap(), &ids[0]["agent_id"]);

    let agents = house.ask(&get("/v1/agents?active_within=24h", ""));
    let trace = house.ask(&get(&format!("/v1/trace/{event}?as_known_at=2026-01-01T00:00:00Z"), ""));

    assert_eq!(agents.json()[0]["agent_id"], *agent);
    assert_eq!(trace.json()["event"]["event_id"], event);
    assert_eq!(trace.json()["known_at"], "2026-01-01T00:00:00.000000Z");
    for (path, status) in [
        ("/v1/trace/none-such", 404),
        ("/v1/trace/e?as_known_at=soon", 400),
        ("/v1/agents?active_within=soon", 400),
        ("/v1/agents?format=xml", 400),
    ] {
        let answer = house.ask(&get(path, ""));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let house = house(|door| door.token = Some(Token::parse(TOKEN).unwrap()));
    for header in [
        "",
        "Authorization: Bearer 0123456789abcdeF\r\n",
        "Authorization: Basic 0123456789abcdef\r\n",
        "Authorization: Bearer\r\n",
    ] {
        let answer = house.sql("SELECT 1", header);
        assert_eq!(answer.status, 401, "{header}");
        assert!(answer.head.contains("www-authenticate: Bearer"));
        assert_eq!(house.ask(&get("/v1/agents", header)).status, 401);
        assert_eq!(house.ask(&get("/v1/trace/e1", header)).status, 401);
    }

    assert_eq!(house.sql("SELECT 1", &format!("Authorization: Bearer {TOKEN}\r\n")).status, 200);
}

#[test]
fn without_a_token_no_web_page_is_answered() {
    let house = house(|_| {});
    let with_host =
        |host: &str| house.ask(&get("/v1/agents", "").replace("localhost", host)).status;

    assert_eq!(house.sql("SELECT 1", "Origin: https://evil.example\r\n").status, 403);
    assert_eq!(with_host("evil.example"), 403);
    assert_eq!(with_host("localhost.evil.example:8463"), 403);
    assert_eq!(with_host("127.0.0.1:8463"), 200);
    assert_eq!(with_host("[::1]:8463"), 200);
}

#[test]
fn a_statement_whose_asker_has_gone_is_stopped() {
    let house = house(|door| door.statements_max = 1);

    drop(house.send(&post(ENDLESS, "")));

    assert_eq!(house.sql("SELECT 1", "").status, 200);
}

#[test]
fn one_statement_too_many_is_turned_away() {
    let house = house(|door| door.statements_max = 1);
    let running = house.send(&post(ENDLESS, ""));
    // Its permit is taken once it is read; until then the second one may be first.
    let mut answer = house.sql(QUICK, "");
    while answer.status == 200 {
        answer = house.sql(QUICK, "");
    }

    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["kind"], "busy");
    assert!(answer.head.contains("retry-after: 5"));
    drop(running);
}

#[test]
fn an_answer_that_nobody_reads_ends_at_its_deadline_and_is_no_whole_one() {
    let house = house(|door| {
        door.statements_max = 1;
        door.limits.time_max = Duration::from_secs(1);
    });

    let unread = house.send(&post("SELECT * FROM generate_series(1, 1000000000)", ""));

    // Admitted once the first has ended.
    let second = house.sql("SELECT 1", "");
    assert!(second.status == 200, "{}", second.text());
    let unread = Answer::read(unread);
    assert_eq!(unread.status, 200);
    assert!(!unread.is_whole);
}

#[test]
fn the_door_closes_while_a_statement_runs() {
    let mut house = house(|_| {});
    let running = house.send(&post(ENDLESS, ""));

    house.stop.cancel();
    let end = house.end.take().unwrap();
    house.runtime.block_on(end).unwrap();

    drop(running);
    assert!(TcpStream::connect(house.address).is_err());
}

#[test]
fn what_is_said_of_a_finding_is_kept_as_the_command_keeps_it() {
    let house = house(|_| {});
    let finding = house.commit_finding();
    let said = json!({"finding_id": finding.finding_id, "verdict": "benign", "by": "anna",
        "note": "contract 4711"});

    let kept = house.tell("/v1/dispositions", &said, "");

    assert_eq!(kept.status, 201, "{}", kept.text());
    assert_eq!(kept.json()["agent_id"], finding.agent_id.as_str());
    let registry = house.registry();
    let Fact::Disposition(Disposition { by, note, agent_id, action, counterparty_id, .. }) =
        &registry[0].fact
    else {
        panic!("{registry:?}")
    };
    assert_eq!((by.as_str(), note.as_deref()), ("anna", Some("contract 4711")));
    assert_eq!((agent_id, action), (&finding.agent_id, &finding.action));
    assert_eq!(counterparty_id, &finding.counterparty_id);
    assert_eq!((registry[0].valid_from, registry[0].valid_to), (finding.time, None));
    let view = house.sql("SELECT verdict, person FROM dispositions", "").json();
    assert_eq!(view, json!([{"verdict": "benign", "person": "anna"}]));

    // What was expected is so for a day; who says it again has the last word, in a row of its own.
    let said = json!({"finding_id": finding.finding_id, "verdict": "expected", "by": "ben"});
    assert_eq!(house.tell("/v1/dispositions", &said, "").status, 201);
    let registry = house.registry();
    let recorded_at = registry[1].recorded_at.unwrap();
    assert_eq!(registry[1].valid_to, Some(recorded_at.plus(Duration::from_hours(24))));
}

#[test]
fn what_is_expected_is_kept_and_what_is_none_is_told_without_its_text() {
    let house = house(|_| {});
    let plan = json!({"agent_class": "invoice", "volume_times": 5, "by": "anna",
        "reason": "closing", "to": "2036-04-01T00:00:00Z"});
    let with = |field: &str, value: serde_json::Value| {
        let mut plan = plan.clone();
        plan[field] = value;
        house.tell("/v1/expectations", &plan, "")
    };

    let kept = house.tell("/v1/expectations", &plan, "");

    assert_eq!(kept.status, 201, "{}", kept.text());
    assert_eq!(kept.json()["expected_of"], "invoice");
    let registry = house.registry();
    assert_eq!((registry.len(), registry[0].fact.subject()), (1, "invoice"));
    for (refused, status, wanted) in [
        (with("agent_id", json!("a")), 422, "either agent_id or agent_class"),
        (with("volume_times", json!(1)), 422, "volume_times of 2 to 1000"),
        (with("to", json!("2020-01-01T00:00:00Z")), 422, "a time after"),
        (with("volume_times", json!("hunter2")), 422, "at line 1"),
        (with("hunter2", json!("hunter2")), 422, "at line 1"),
    ] {
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.text().contains(wanted), "{}", refused.text());
        assert!(!refused.text().contains("hunter2"), "{}", refused.text());
    }
    let none = json!({"finding_id": "fnd_none", "verdict": "benign", "by": "anna"});
    let none = house.tell("/v1/dispositions", &none, "");
    assert_eq!((none.status, &none.json()["kind"]), (404, &json!("unknown")));
    assert_eq!(house.registry().len(), 1, "what was refused is not kept");
}

#[test]
fn only_who_may_ask_may_tell() {
    let plan = json!({"agent_id": "a", "action": "pay", "by": "anna", "reason": "closing",
        "to": "2036-04-01T00:00:00Z"});
    let locked = house(|door| door.token = Some(Token::parse(TOKEN).unwrap()));
    assert_eq!(locked.tell("/v1/expectations", &plan, "").status, 401);
    assert_eq!(locked.registry().len(), 0);
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(locked.tell("/v1/expectations", &plan, &bearer).status, 201);

    let open = house(|_| {});
    assert_eq!(
        open.tell("/v1/expectations", &plan, "Origin: https://evil.example\r\n").status,
        403
    );
    // A form of a web page can send this type to anybody unasked.
    let form = post(&plan.to_string(), "Content-Type: text/plain\r\n");
    assert_eq!(open.ask(&form.replace("/v1/sql", "/v1/expectations")).status, 415);
    assert_eq!(open.registry().len(), 0);
}
