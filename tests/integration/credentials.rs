//! O04: an object store that refuses: credentials that expire and are renewed, a region that is not the
//! bucket's, a key that nobody knows. What it answers is what Amazon S3 answers, its repeating of the token
//! included.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::exactly_once::{end, log, records_read, wait_for, worker};
use crate::kafka::{Kafka, metric};
use crate::object_store::{LAKE, Store, command_at};
use crate::process::{Running, command, surety, text};
use crate::slow_store::{asked, read_request};

/// A store's door: what it asks of a request, and what it gives out.
#[derive(Clone, Debug)]
struct Rules {
    /// The key whose requests pass.
    accepted: &'static str,
    /// The region that requests must be made for.
    region: &'static str,
    /// Whether a wrong region is told with a redirection, which names none.
    is_redirected: bool,
    /// The key that who asks for one is given.
    offered: &'static str,
}

impl Default for Rules {
    fn default() -> Self {
        Self { accepted: "test", region: "us-east-1", is_redirected: false, offered: "" }
    }
}

/// What is changed, and what is told then.
type Case = (fn(&mut Rules), &'static [&'static str]);

/// Stands before an object store, and where credentials are given out.
struct Door {
    store: SocketAddr,
    credentials: SocketAddr,
    rules: Arc<Mutex<Rules>>,
}

const SECRET_KEY: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYHUNTER2XKEYZ";

/// The token that goes with a key. Nobody may see it.
fn token(key: &str) -> String {
    format!("IQoJb3JpZ2luX2VjEHUNTER2{key}Zm9yIHRlc3RzIG9ubHkgYW5kIG5vIG90aGVyIHVzZQ")
}

impl Door {
    fn before(behind: SocketAddr) -> Self {
        let rules = Arc::new(Mutex::new(Rules::default()));
        let of_store = Arc::clone(&rules);
        let store =
            listen(move |request| match refusal(request, &of_store.lock().unwrap().clone()) {
                Some(answer) => Ok(answer.into_bytes()),
                None => asked(behind, request),
            });
        let of_credentials = Arc::clone(&rules);
        let credentials = listen(move |_| {
            let key = of_credentials.lock().unwrap().offered;
            Ok(given(key).into_bytes())
        });
        Self { store, credentials, rules }
    }

    fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    /// A process that gets its credentials from the door, as it does in a pod.
    fn run(&self, folder: &Path) -> Running {
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        fs::write(folder.join("pod-token"), "a token of the pod").unwrap();
        let mut command = command(folder, &["run"]);
        command
            .env("AWS_ENDPOINT", format!("http://{}", self.store))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/", self.credentials))
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", folder.join("pod-token"));
        Running(command.stderr(log).spawn().unwrap())
    }
}

/// Answers each request, until the test process ends.
fn listen(answer: impl Fn(&[u8]) -> io::Result<Vec<u8>> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                // A client that was ended leaves half an exchange behind.
                let _half = stream.and_then(|stream| {
                    let mut reader = BufReader::new(stream);
                    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
                    let mut client: TcpStream = reader.into_inner();
                    client.write_all(&answer(&request)?)
                });
            });
        }
    });
    address
}

fn response(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         x-amz-bucket-region: eu-central-1\r\nConnection: close\r\n\r\n{body}"
    )
}

/// What the store says instead of doing what it was asked; `None` if nothing is wrong.
///
/// Source: Amazon S3, *Error responses*, *Signature Version 4*, *Redirecting requests*.
fn refusal(request: &[u8], rules: &Rules) -> Option<String> {
    let head = String::from_utf8_lossy(request);
    let signed = head.split("Credential=").nth(1)?.split(',').next()?.to_owned();
    let mut parts = signed.split('/');
    let (key, region) = (parts.next()?, parts.nth(1)?);
    let (status, code, message, more) = if region != rules.region && rules.is_redirected {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
        ("301 Moved Permanently", "PermanentRedirect", message.to_owned(), String::new())
    } else if region != rules.region {
        let wanted = rules.region;
        let message = format!(
            "The authorization header is malformed; the region '{region}' is wrong; expecting '{wanted}'"
        );
        let more = format!("<Region>{wanted}</Region>");
        ("400 Bad Request", "AuthorizationHeaderMalformed", message, more)
    } else if key != rules.accepted && key.starts_with("ASIA") {
        let more = format!("<Token-0>{}</Token-0>", token(key));
        ("400 Bad Request", "ExpiredToken", "The provided token has expired.".to_owned(), more)
    } else if key != rules.accepted {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        let more = format!("<AWSAccessKeyId>{key}</AWSAccessKeyId>");
        ("403 Forbidden", "InvalidAccessKeyId", message.to_owned(), more)
    } else {
        return None;
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         {more}<RequestId>0A49CE4060975EAC</RequestId><HostId>aGVsbG8=</HostId></Error>"
    );
    Some(response(status, "application/xml", &body))
}

/// Credentials of a minute, so that they are asked for again and again.
fn given(key: &str) -> String {
    let end = Command::new("date").args(["-u", "-d", "+60 sec", "+%Y-%m-%dT%H:%M:%SZ"]).output();
    let body = serde_json::json!({
        "AccessKeyId": key, "SecretAccessKey": SECRET_KEY, "Token": token(key),
        "Expiration": text(&end.unwrap().stdout).trim(),
    });
    response("200 OK", "application/json", &body.to_string())
}

/// Without a secret of the credentials, as they are or in part.
fn assert_tells_no_secret(told: &str) {
    assert!(!told.contains("HUNTER2"), "{told}");
}

#[test]
fn credentials_that_expire_are_waited_for_and_nothing_is_lost_or_doubled() {
    let Some(store) = Store::start() else { return };
    let door = Door::before(store.address);
    let kafka = Kafka::start();
    let topic = kafka.topic("uses", 2);
    let folder = worker(&kafka, &topic);
    let folder = folder.path();
    let path = folder.join("surety.toml");
    let config = fs::read_to_string(&path).unwrap() + &format!("[lake]\nurl = \"{LAKE}\"\n");
    fs::write(&path, &config).unwrap();
    let address = config.split("listen = \"").nth(1).unwrap().split('"').next().unwrap();
    let commits = || metric(address, "surety_commits_total");
    let failures = || metric(address, "surety_lake_failures_total");
    let produce = || crate::faults::produce(&kafka, &topic, 200);

    door.set(|rules| (rules.accepted, rules.offered) = ("ASIAONE", "ASIAONE"));
    produce();
    let mut running = door.run(folder);
    wait_for(folder, &mut running, "a commit", || 200 <= records_read(folder) && 0 < commits());
    door.set(|rules| rules.accepted = "ASIATWO");
    produce();
    wait_for(folder, &mut running, "refusals", || 2 <= failures());
    let before = commits();
    door.set(|rules| rules.offered = "ASIATWO");
    wait_for(folder, &mut running, "the rest", || {
        before < commits() && 400 <= records_read(folder)
    });
    end(folder, running);

    let log = log(folder);
    // It asks first whether there is an entry, and an answer to that has no body which could say why.
    let told = "status code: 400 Bad Request: ExpiredToken: The provided token has expired.";
    assert!(log.contains(told), "{log}");
    assert_eq!(log.matches("400 Bad Request").count(), log.matches(told).count(), "{log}");
    assert_tells_no_secret(&log);
    let statement = "SELECT count(*) AS n, count(DISTINCT kafka_partition * 1000 + kafka_offset) AS places FROM rejects";
    let rows = store.answer(folder, &["sql", statement, "--lake", LAKE, "--format", "csv"]);
    assert_eq!(rows.lines().last(), Some("400,400"), "{rows}");
    let verified = store.answer(folder, &["verify", LAKE]);
    assert!(verified.contains("\nintact"), "{verified}");
}

#[test]
fn a_wrong_region_and_an_unknown_key_are_told_with_what_was_wanted_and_found() {
    let Some(store) = Store::start() else { return };
    let door = Door::before(store.address);
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let made = surety(folder, &[&crate::process::A_MONDAY[..], &["--out", "uses.jsonl"]].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let records = fs::read_to_string(folder.join("uses.jsonl")).unwrap().lines().count();
    let replay = || {
        let mut command = command_at(door.store, folder, &["replay", "uses.jsonl", "--lake", LAKE]);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).output().unwrap()
    };

    let cases: [Case; 3] = [
        (
            |rules| rules.region = "eu-central-1",
            &["AuthorizationHeaderMalformed", "wanted region eu-central-1, found us-east-1"],
        ),
        (
            |rules| rules.is_redirected = true,
            &["incorrectly configured region", "found region us-east-1"],
        ),
        (
            |rules| *rules = Rules { accepted: "another", ..Rules::default() },
            &["InvalidAccessKeyId: The AWS Access Key Id you provided does not exist"],
        ),
    ];
    for (set, wanted) in cases {
        door.set(set);
        let output = replay();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{told}");
        assert!(wanted.iter().all(|wanted| told.contains(wanted)), "wanted {wanted:?}: {told}");
        assert_tells_no_secret(&told);
    }
    door.set(|rules| *rules = Rules::default());
    let output = replay();

    assert!(output.status.success(), "{}", text(&output.stderr));
    let statement = "SELECT count(*) AS n, count(DISTINCT kafka_offset) AS d FROM events";
    let rows = store.answer(folder, &["sql", statement, "--lake", LAKE, "--format", "csv"]);
    assert_eq!(rows.lines().last(), Some(format!("{records},{records}").as_str()));
}
