//! The deliverer against real sockets on the loopback address.

use std::path::PathBuf;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::sync::mpsc;

use super::super::{Message, Reach, Secret};
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver does with its n-th request, from 0.
type Script = fn(usize) -> Act;

enum Act {
    Answer(u16),
    RetryAfter(u16, u32),
    RedirectToSelf,
    Hang,
}

#[derive(Clone)]
struct Received {
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// An HTTP server that keeps what it receives.
struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    heard: mpsc::Receiver<()>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    script: Script,
    received: Arc<Mutex<Vec<Received>>>,
    hear: mpsc::Sender<()>,
}

impl Receiver {
    async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (hear, heard) = mpsc::channel(10_000);
        let shared = Shared { script, received: Arc::clone(&received), hear };
        let app = Router::new().fallback(receive).with_state(shared);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, received, heard, _serving: serving }
    }

    fn endpoint(&self) -> Endpoint {
        let url = format!("http://127.0.0.1:{}/hook", self.port);
        Endpoint {
            target: Target::parse(&url, Reach::Loopback).unwrap(),
            signing: Signing::By(Secret::parse(SECRET).unwrap()),
            timeout: Duration::from_secs(5),
            concurrency_max: Concurrency::STANDARD,
            schedule: Schedule::scaled(0.000_1).unwrap(),
            is_paused: false,
        }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let number = {
        let mut received = shared.received.lock().unwrap();
        received.push(Received { headers, body });
        received.len() - 1
    };
    shared.hear.try_send(()).unwrap();
    match (shared.script)(number) {
        Act::Answer(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Act::RetryAfter(code, seconds) => {
            let code = StatusCode::from_u16(code).unwrap();
            (code, [("retry-after", seconds.to_string())]).into_response()
        }
        Act::RedirectToSelf => Redirect::temporary("/elsewhere").into_response(),
        Act::Hang => std::future::pending().await,
    }
}

/// A running deliverer and the attempts it reports.
struct Running {
    attempts: mpsc::Receiver<Attempt>,
    shutdown: CancellationToken,
    task: JoinSet<Result<(), OutboxError>>,
}

impl Running {
    fn start(outbox: &Arc<Outbox>, endpoints: Vec<(&str, Endpoint)>, clock: Clock) -> Self {
        let endpoints = endpoints.into_iter().map(|(name, one)| (name.to_owned(), one)).collect();
        let deliverer = Deliverer::new(Arc::clone(outbox), endpoints, clock).unwrap();
        let (report, attempts) = mpsc::channel(10_000);
        let shutdown = CancellationToken::new();
        let on_attempt = move |attempt: &Attempt| report.try_send(attempt.clone()).unwrap();
        let mut task = JoinSet::new();
        task.spawn(deliverer.run(on_attempt, shutdown.clone()));
        Self { attempts, shutdown, task }
    }

    async fn attempts(&mut self, count: usize) -> Vec<Attempt> {
        let mut found = Vec::new();
        while found.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(20), self.attempts.recv()).await;
            found.push(next.expect("an attempt within 20 s").expect("the deliverer runs"));
        }
        found
    }

    /// Stops in good order, and returns the attempts that were still reported.
    async fn stop(mut self) -> Vec<Attempt> {
        self.shutdown.cancel();
        self.task.join_next().await.unwrap().unwrap().unwrap();
        let mut rest = Vec::new();
        while let Some(attempt) = self.attempts.recv().await {
            rest.push(attempt);
        }
        rest
    }

    /// Stops as a crash does: nothing more is recorded.
    async fn crash(mut self) {
        self.task.shutdown().await;
    }
}

struct Place {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("outbox.redb");
        Self { _directory: directory, file }
    }

    fn open(&self) -> Arc<Outbox> {
        Arc::new(Outbox::open(&self.file).unwrap())
    }
}

#[expect(clippy::disallowed_methods, reason = "the signature's verifier reads the real clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap()).unwrap()
}

fn real_clock() -> Clock {
    Arc::new(now)
}

/// Starts at the real time and moves a second each time it is read.
fn stepping_clock() -> Clock {
    let time = Mutex::new(now());
    Arc::new(move || {
        let mut time = time.lock().unwrap();
        *time = time.plus(Duration::from_secs(1));
        *time
    })
}

fn messages(endpoint: &str, count: usize) -> Vec<Message> {
    let body = |n| format!("{{\"type\":\"finding\",\"data\":{n}}}").into_bytes();
    let one = |n| Message::new(&format!("f-{n}"), endpoint, now(), body(n)).unwrap();
    (0..count).map(one).collect()
}

fn verify(received: &Received) {
    let verifier = standardwebhooks::Webhook::new(SECRET).unwrap();
    verifier.verify(&received.body, &received.headers).unwrap();
}

fn outcomes(attempts: &[Attempt]) -> Vec<(Outcome, Option<u16>)> {
    attempts.iter().map(|attempt| (attempt.outcome, attempt.status)).collect()
}

#[tokio::test]
async fn after_three_errors_the_same_webhook_arrives_with_new_times_and_valid_signatures() {
    let receiver = Receiver::start(|n| Act::Answer(if n < 3 { 500 } else { 200 })).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), now()).unwrap();

    let mut running =
        Running::start(&outbox, vec![("siem", receiver.endpoint())], stepping_clock());
    let attempts = running.attempts(4).await;

    let failed = (Outcome::Failed, Some(500));
    assert_eq!(outcomes(&attempts), [failed, failed, failed, (Outcome::Delivered, Some(200))]);
    assert!(attempts.iter().zip(1..).all(|(attempt, n)| attempt.attempt_number == n));
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    for pair in received.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(before.body, after.body);
        let seconds = |one: &Received| one.header("webhook-timestamp").parse::<i64>().unwrap();
        assert!(seconds(before) < seconds(after));
    }
    for one in &received {
        assert_eq!(one.header("webhook-id"), "f-0");
        assert_eq!(one.header("content-type"), "application/json");
        verify(one);
    }
    let counts = outbox.counts().unwrap();
    assert_eq!((counts.delivered, counts.pending, counts.dead), (1, 0, 0));
}

#[tokio::test]
async fn a_retry_waits_as_long_as_the_schedule_says() {
    let receiver = Receiver::start(|n| Act::Answer(if n < 3 { 500 } else { 200 })).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), now()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());
    let attempts = running.attempts(4).await;

    // 5 s, 5 min and 30 min, by 10,000 and less a tenth.
    for (pair, wait_us) in attempts.windows(2).zip([450, 27_000, 162_000]) {
        let ended_at = pair[0].at.plus(pair[0].duration);
        assert!(Duration::from_micros(wait_us) <= pair[1].at.since(ended_at));
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_delay_another() {
    let hanging = Receiver::start(|_| Act::Hang).await;
    let healthy = Receiver::start(|_| Act::Answer(204)).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("hanging", 50), now()).unwrap();
    outbox.enqueue(&messages("healthy", 50), now()).unwrap();

    let endpoints = vec![("hanging", hanging.endpoint()), ("healthy", healthy.endpoint())];
    let mut running = Running::start(&outbox, endpoints, real_clock());
    let attempts = running.attempts(50).await;

    assert!(attempts.iter().all(|attempt| attempt.endpoint == "healthy"));
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Delivered));
    assert!(hanging.received().len() <= 4, "the lane is four wide");
    running.crash().await;
}

#[tokio::test]
async fn an_attempt_that_hangs_ends_at_its_timeout_and_is_retried() {
    let receiver = Receiver::start(|n| if n == 0 { Act::Hang } else { Act::Answer(200) }).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), now()).unwrap();
    let endpoint = Endpoint { timeout: Duration::from_millis(50), ..receiver.endpoint() };

    let mut running = Running::start(&outbox, vec![("siem", endpoint)], real_clock());
    let attempts = running.attempts(2).await;

    assert_eq!(attempts[0].failure, Some(Failure::Timeout));
    assert_eq!(attempts[0].status, None);
    assert_eq!(attempts[1].outcome, Outcome::Delivered);
}

#[tokio::test]
async fn an_answer_410_disables_the_endpoint_until_it_is_enabled() {
    let place = Place::new();
    let receiver = Receiver::start(|n| Act::Answer(if n == 0 { 410 } else { 200 })).await;
    let endpoint =
        Endpoint { concurrency_max: Concurrency::new(1).unwrap(), ..receiver.endpoint() };
    {
        let outbox = place.open();
        outbox.enqueue(&messages("siem", 40), now()).unwrap();
        let mut running = Running::start(&outbox, vec![("siem", endpoint.clone())], real_clock());
        let attempts = running.attempts(40).await;
        running.stop().await;

        assert_eq!(outcomes(&attempts)[0], (Outcome::Disabled, Some(410)));
        assert!(outcomes(&attempts)[1..].iter().all(|one| *one == (Outcome::Dead, None)));
        assert_eq!(attempts[39].failure, Some(Failure::EndpointDisabled));
        assert_eq!(receiver.received().len(), 1);
        assert_eq!(outbox.disabled_endpoints().unwrap()[0].0, "siem");
        assert_eq!(outbox.counts().unwrap().dead, 40);
    }

    let outbox = place.open();
    let mut running = Running::start(&outbox, vec![("siem", endpoint)], real_clock());
    outbox.enable("siem").unwrap();
    assert!(outbox.replay("siem", "f-7", now()).unwrap());
    let attempts = running.attempts(1).await;

    assert_eq!(attempts[0].outcome, Outcome::Delivered);
    assert_eq!(receiver.received()[1].header("webhook-id"), "f-7");
    assert_eq!(outbox.counts().unwrap().dead, 39);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::start(|_| Act::RedirectToSelf).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), now()).unwrap();
    let endpoint = Endpoint { schedule: Schedule::STANDARD, ..receiver.endpoint() };

    let mut running = Running::start(&outbox, vec![("siem", endpoint)], real_clock());
    let attempts = running.attempts(1).await;
    running.stop().await;

    assert_eq!(outcomes(&attempts), [(Outcome::Failed, Some(307))]);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn retry_after_holds_back_the_next_try() {
    let receiver = Receiver::start(|_| Act::RetryAfter(429, 120)).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), now()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());
    let attempts = running.attempts(1).await;
    running.stop().await;

    let ended_at = attempts[0].at.plus(attempts[0].duration);
    let due_at = outbox.due("siem", ended_at, 1, &BTreeSet::new()).unwrap().look_at.unwrap();
    assert_eq!(due_at.since(ended_at), Duration::from_mins(2));
}

#[tokio::test]
async fn what_was_sent_but_not_recorded_before_a_crash_is_sent_again_under_the_same_id() {
    let place = Place::new();
    let mut receiver = Receiver::start(|n| if n < 4 { Act::Hang } else { Act::Answer(200) }).await;
    {
        let outbox = place.open();
        outbox.enqueue(&messages("siem", 10), now()).unwrap();
        let running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());
        for _ in 0..4 {
            receiver.heard.recv().await.unwrap();
        }
        running.crash().await;
    }

    let outbox = place.open();
    assert_eq!(outbox.enqueue(&messages("siem", 10), now()).unwrap(), 0);
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());
    let attempts = running.attempts(10).await;
    let rest = running.stop().await;

    assert_eq!(rest, []);
    assert!(attempts.iter().zip(0..).all(|(attempt, n)| attempt.sequence == n));
    let mut ids: Vec<String> =
        receiver.received().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 14);
    ids.sort();
    ids.dedup();
    assert_eq!(ids, (0..10).map(|n| format!("f-{n}")).collect::<Vec<_>>());
    assert_eq!(outbox.counts().unwrap().delivered, 10);
}

#[tokio::test]
async fn a_message_enqueued_while_the_deliverer_waits_is_sent_at_once() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let outbox = Place::new().open();
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());
    tokio::task::yield_now().await;

    for message in messages("siem", 3) {
        outbox.enqueue(&[message], now()).unwrap();
        let attempts = running.attempts(1).await;
        assert_eq!(attempts[0].outcome, Outcome::Delivered);
        assert!(attempts[0].at.since(attempts[0].message_time) < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_paused_endpoint_gets_nothing_and_its_messages_wait() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("paused", 3), now()).unwrap();
    outbox.enqueue(&messages("siem", 3), now()).unwrap();
    let paused = Endpoint { is_paused: true, ..receiver.endpoint() };

    let endpoints = vec![("paused", paused), ("siem", receiver.endpoint())];
    let mut running = Running::start(&outbox, endpoints, real_clock());
    let attempts = running.attempts(3).await;
    running.stop().await;

    assert!(attempts.iter().all(|attempt| attempt.endpoint == "siem"));
    let counts = outbox.counts().unwrap();
    assert_eq!((counts.pending, counts.delivered), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_messages_arrive_once_each_and_their_attempts_have_no_gap() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let outbox = Place::new().open();
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())], real_clock());

    for batch in messages("siem", 300).chunks(50) {
        outbox.enqueue(batch, now()).unwrap();
    }
    let attempts = running.attempts(300).await;
    running.stop().await;

    assert!(attempts.iter().zip(0..).all(|(attempt, n)| attempt.sequence == n));
    assert_eq!(outbox.attempts_from(0, 2_000).unwrap(), attempts);
    let mut ids: Vec<String> =
        receiver.received().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 300);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}

#[tokio::test]
async fn nothing_printed_holds_a_secret_a_path_or_a_body() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let url = format!("http://127.0.0.1:{}/canary", receiver.port);
    let target = Target::parse(&url, Reach::Loopback).unwrap();
    let endpoint = Endpoint { target, ..receiver.endpoint() };
    let outbox = Place::new().open();
    let endpoints = BTreeMap::from([("siem".to_owned(), endpoint.clone())]);
    let deliverer = Deliverer::new(Arc::clone(&outbox), endpoints, real_clock()).unwrap();

    let printed = format!("{endpoint:?} {deliverer:?} {outbox:?}");

    assert!(!printed.contains("canary"));
    assert!(!printed.contains("MfKQ9r8G"));
}
