//! The deliverer against real sockets on the loopback address, in time that passes at once when
//! nothing else happens.

use std::path::PathBuf;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::super::{Message, Reach, Secret};
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver does with its n-th request, from 0.
type Script = fn(usize) -> Act;

enum Act {
    Answer(u16),
    RetryAfter(u16, u32),
    Redirect(u16, &'static str),
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
            target: Target::parse(&url, Reach::Private).unwrap(),
            signing: Signing::By(Secret::parse(SECRET).unwrap()),
            timeout: Endpoint::TIMEOUT_STANDARD,
            concurrency_max: Concurrency::STANDARD,
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
        Act::Redirect(code, to) => {
            let code = StatusCode::from_u16(code).unwrap();
            (code, [("location", to)]).into_response()
        }
        Act::Hang => std::future::pending().await,
    }
}

/// A running deliverer and what it reports.
struct Running {
    attempts: mpsc::Receiver<Attempt>,
    standings: mpsc::Receiver<Standing>,
    shutdown: CancellationToken,
    task: JoinSet<Result<(), OutboxError>>,
}

impl Running {
    fn start(outbox: &Arc<Outbox>, endpoints: Vec<(&str, Endpoint)>) -> Self {
        let endpoints = endpoints.into_iter().map(|(name, one)| (name.to_owned(), one)).collect();
        let deliverer = Deliverer::new(Arc::clone(outbox), endpoints, clock()).unwrap();
        let (tell_attempt, attempts) = mpsc::channel(10_000);
        let (tell_standing, standings) = mpsc::channel(10);
        let report = move |report: Report<'_>| match report {
            Report::Attempt(attempt) => tell_attempt.try_send(attempt.clone()).unwrap(),
            // Those that nobody reads are dropped.
            Report::Standing(standing) => drop(tell_standing.try_send(standing.clone())),
        };
        let (shutdown, mut task) = (CancellationToken::new(), JoinSet::new());
        task.spawn(deliverer.run(report, shutdown.clone()));
        Self { attempts, standings, shutdown, task }
    }

    async fn attempts(&mut self, count: usize) -> Vec<Attempt> {
        let mut found = Vec::new();
        while found.len() < count {
            let next = tokio::time::timeout(Duration::from_hours(30), self.attempts.recv()).await;
            found.push(next.expect("the schedule is shorter").expect("the deliverer runs"));
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

fn start() -> Timestamp {
    Timestamp::parse("2026-03-01T09:30:00Z").unwrap()
}

/// Starts now, and goes as the runtime's time does.
fn clock() -> Clock {
    let began = Instant::now();
    Arc::new(move || start().plus(began.elapsed()))
}

fn messages(endpoint: &str, count: usize) -> Vec<Message> {
    let body = |n| format!("{{\"type\":\"<script>\\u0000\n\",\"data\":{n}}}").into_bytes();
    let one = |n| Message::new(&format!("f-{n}"), endpoint, start(), body(n)).unwrap();
    (0..count).map(one).collect()
}

/// Signs anew what was received, by an implementation that is not ours.
fn is_signed(received: &Received) -> bool {
    let signer = standardwebhooks::Webhook::new(SECRET).unwrap();
    let seconds = received.header("webhook-timestamp").parse().unwrap();
    let signature = signer.sign(received.header("webhook-id"), seconds, &received.body).unwrap();
    signature == received.header("webhook-signature")
}

fn waits(attempts: &[Attempt]) -> Vec<f64> {
    let wait = |pair: &[Attempt]| pair[1].at.since(pair[0].at.plus(pair[0].duration));
    attempts.windows(2).map(|pair| wait(pair).as_secs_f64()).collect()
}

fn ids(receiver: &Receiver) -> Vec<String> {
    let mut ids: Vec<String> =
        receiver.received().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    ids.sort();
    ids
}

fn outcomes(attempts: &[Attempt]) -> Vec<(Outcome, Option<u16>)> {
    attempts.iter().map(|attempt| (attempt.outcome, attempt.status)).collect()
}

#[tokio::test(start_paused = true)]
async fn after_three_errors_the_same_webhook_arrives_at_the_times_of_the_schedule_and_signed_anew()
{
    let receiver = Receiver::start(|n| Act::Answer(if n < 3 { 500 } else { 200 })).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), start()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let attempts = running.attempts(4).await;

    let failed = (Outcome::Failed, Some(500));
    assert_eq!(outcomes(&attempts), [failed, failed, failed, (Outcome::Delivered, Some(200))]);
    assert!(attempts.iter().zip(1..).all(|(attempt, n)| attempt.attempt_number == n));
    for (wait, wanted) in waits(&attempts).into_iter().zip([5.0, 300.0, 1_800.0]) {
        assert!((wanted * 0.9..wanted * 1.11).contains(&wait), "{wait} s instead of {wanted}");
    }
    let received = receiver.received();
    let seconds: Vec<_> = received.iter().map(|one| one.header("webhook-timestamp")).collect();
    let told: Vec<_> =
        attempts.iter().map(|one| (one.at.as_millis() / 1_000).to_string()).collect();
    assert_eq!(seconds, told);
    for one in &received {
        assert_eq!(one.header("webhook-id"), "f-0");
        assert_eq!(one.header("content-type"), "application/json");
        assert_eq!(one.body, messages("siem", 1)[0].body());
        assert!(is_signed(one));
    }
    let counts = outbox.counts().unwrap();
    assert_eq!((counts.delivered, counts.pending, counts.dead), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_delay_another() {
    let hanging = Receiver::start(|_| Act::Hang).await;
    let healthy = Receiver::start(|_| Act::Answer(204)).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("hanging", 50), start()).unwrap();
    outbox.enqueue(&messages("healthy", 50), start()).unwrap();

    let endpoints = vec![("hanging", hanging.endpoint()), ("healthy", healthy.endpoint())];
    let mut running = Running::start(&outbox, endpoints);
    let attempts = running.attempts(50).await;

    assert!(attempts.iter().all(|attempt| attempt.endpoint == "healthy"));
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Delivered));
    assert!(attempts.iter().all(|one| one.at.since(one.message_time) < Duration::from_secs(1)));
    assert!(hanging.received().len() <= 4, "the lane is four wide");
    running.crash().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_ends_at_its_timeout_and_is_retried() {
    let receiver = Receiver::start(|n| if n == 0 { Act::Hang } else { Act::Answer(200) }).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), start()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let attempts = running.attempts(2).await;

    assert_eq!(attempts[0].failure, Some(Failure::Timeout));
    assert_eq!(attempts[0].status, None);
    assert_eq!(attempts[0].duration.as_secs(), Endpoint::TIMEOUT_STANDARD.as_secs());
    assert_eq!(attempts[1].outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn an_answer_410_disables_the_endpoint_until_it_is_enabled() {
    let place = Place::new();
    let receiver = Receiver::start(|n| Act::Answer(if n == 0 { 410 } else { 200 })).await;
    let endpoint =
        Endpoint { concurrency_max: Concurrency::try_from(1).unwrap(), ..receiver.endpoint() };
    {
        let outbox = place.open();
        outbox.enqueue(&messages("siem", 40), start()).unwrap();
        let mut running = Running::start(&outbox, vec![("siem", endpoint.clone())]);
        let attempts = running.attempts(40).await;
        running.stop().await;

        assert_eq!(outcomes(&attempts)[0], (Outcome::Disabled, Some(410)));
        assert!(outcomes(&attempts)[1..].iter().all(|one| *one == (Outcome::Dead, None)));
        assert_eq!(attempts[39].failure, Some(Failure::EndpointDisabled));
        assert_eq!(receiver.received().len(), 1);
        let standing = &outbox.standings().unwrap()[0];
        assert_eq!((standing.endpoint.as_str(), standing.dead), ("siem", 40));
        assert!(standing.disabled_at.is_some());
    }

    let outbox = place.open();
    let mut running = Running::start(&outbox, vec![("siem", endpoint)]);
    assert!(outbox.enable("siem").unwrap());
    assert_eq!(outbox.replay(|_, id| id == "f-7", start()).unwrap().len(), 1);
    let attempts = running.attempts(1).await;

    assert_eq!(attempts[0].outcome, Outcome::Delivered);
    assert_eq!(receiver.received()[1].header("webhook-id"), "f-7");
    assert_eq!(outbox.standings().unwrap()[0].dead, 39);
    assert_eq!(outbox.standings().unwrap()[0].disabled_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let script: Script = |n| match n {
        0 => Act::Redirect(301, "/elsewhere"),
        1 => Act::Redirect(302, "http://169.254.169.254/latest/meta-data/"),
        2 => Act::Redirect(307, "/elsewhere"),
        _ => Act::Redirect(308, "//127.0.0.1/"),
    };
    let receiver = Receiver::start(script).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), start()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let attempts = running.attempts(4).await;
    running.stop().await;

    let failed = |code| (Outcome::Failed, Some(code));
    assert_eq!(outcomes(&attempts), [failed(301), failed(302), failed(307), failed(308)]);
    assert_eq!(receiver.received().len(), 4, "one for each attempt");
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_back_the_next_try() {
    let script: Script = |n| match n {
        0 => Act::RetryAfter(429, 120),
        1 => Act::RetryAfter(503, 3_600),
        _ => Act::Answer(200),
    };
    let receiver = Receiver::start(script).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 1), start()).unwrap();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let attempts = running.attempts(3).await;

    for (wait, wanted) in waits(&attempts).into_iter().zip([120.0, 3_600.0]) {
        assert!((wanted..wanted + 1.0).contains(&wait), "{wait} s instead of {wanted}");
    }
    assert_eq!(attempts[2].outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_but_not_recorded_before_a_crash_is_sent_again_under_the_same_id() {
    let place = Place::new();
    let mut receiver = Receiver::start(|n| if n < 4 { Act::Hang } else { Act::Answer(200) }).await;
    {
        let outbox = place.open();
        outbox.enqueue(&messages("siem", 10), start()).unwrap();
        let running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
        for _ in 0..4 {
            receiver.heard.recv().await.unwrap();
        }
        running.crash().await;
    }

    let outbox = place.open();
    assert_eq!(outbox.enqueue(&messages("siem", 10), start()).unwrap(), 0);
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let attempts = running.attempts(10).await;
    let rest = running.stop().await;

    assert_eq!(rest, []);
    assert!(attempts.iter().zip(0..).all(|(attempt, n)| attempt.sequence == n));
    let mut received = ids(&receiver);
    assert_eq!(received.len(), 14);
    received.dedup();
    assert_eq!(received, (0..10).map(|n| format!("f-{n}")).collect::<Vec<_>>());
    assert_eq!(outbox.counts().unwrap().delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_enqueued_while_the_deliverer_waits_is_sent_at_once() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let outbox = Place::new().open();
    let now = clock();
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    tokio::time::sleep(Duration::from_mins(7)).await;

    for (n, message) in (1..).zip(messages("siem", 3)) {
        outbox.enqueue(&[message], now()).unwrap();
        let attempts = running.attempts(1).await;
        assert_eq!(attempts[0].outcome, Outcome::Delivered);
        assert!(attempts[0].at.since(start()) < Duration::from_secs(7 * 60 + n));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_endpoint_that_left_the_configuration_die_and_can_be_replayed_when_it_is_back()
 {
    let place = Place::new();
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    {
        let outbox = place.open();
        outbox.enqueue(&messages("gone", 1_500), start()).unwrap();
        outbox.enqueue(&messages("siem", 1), start()).unwrap();
        let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
        let attempts = running.attempts(1_501).await;
        running.stop().await;

        let (gone, siem) = attempts.split_at(1_500);
        assert!(gone.iter().all(|one| one.failure == Some(Failure::EndpointUnknown)));
        assert!(gone.iter().all(|one| one.outcome == Outcome::Dead));
        assert_eq!(outcomes(siem), [(Outcome::Delivered, Some(200))]);
        let counts = outbox.counts().unwrap();
        assert_eq!((counts.pending, counts.delivered, counts.dead), (0, 1, 1_500));
    }

    let outbox = place.open();
    assert_eq!(outbox.replay(|endpoint, _| endpoint == "gone", start()).unwrap().len(), 1_500);
    let mut running = Running::start(&outbox, vec![("gone", receiver.endpoint())]);
    running.attempts(1_500).await;

    assert_eq!(receiver.received().len(), 1_501);
    assert_eq!(outbox.counts().unwrap().delivered, 1_501);
}

#[tokio::test(start_paused = true)]
async fn how_each_endpoint_stands_is_told_at_the_start_and_every_few_seconds() {
    let receiver = Receiver::start(|_| Act::Hang).await;
    let outbox = Place::new().open();
    outbox.enqueue(&messages("siem", 9), start()).unwrap();
    let began = Instant::now();

    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);
    let first = running.standings.recv().await.unwrap();
    let second = running.standings.recv().await.unwrap();

    let wanted = Standing { endpoint: "siem".to_owned(), pending: 9, dead: 0, disabled_at: None };
    assert_eq!((first, second), (wanted.clone(), wanted));
    assert_eq!(began.elapsed().as_secs(), STANDINGS_EVERY.as_secs());
    running.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_messages_arrive_once_each_and_their_attempts_have_no_gap() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let outbox = Place::new().open();
    let mut running = Running::start(&outbox, vec![("siem", receiver.endpoint())]);

    for batch in messages("siem", 300).chunks(50) {
        outbox.enqueue(batch, start()).unwrap();
    }
    let attempts = running.attempts(300).await;
    running.stop().await;

    assert!(attempts.iter().zip(0..).all(|(attempt, n)| attempt.sequence == n));
    assert_eq!(outbox.attempts_from(0, 2_000).unwrap(), attempts);
    let mut received = ids(&receiver);
    assert_eq!(received.len(), 300);
    received.dedup();
    assert_eq!(received.len(), 300);
}

#[tokio::test]
async fn nothing_printed_holds_a_secret_a_path_or_a_body() {
    let receiver = Receiver::start(|_| Act::Answer(200)).await;
    let url = format!("http://127.0.0.1:{}/canary", receiver.port);
    let target = Target::parse(&url, Reach::Private).unwrap();
    let endpoint = Endpoint { target, ..receiver.endpoint() };
    let outbox = Place::new().open();
    let endpoints = BTreeMap::from([("siem".to_owned(), endpoint.clone())]);
    let deliverer = Deliverer::new(Arc::clone(&outbox), endpoints, clock()).unwrap();

    let printed = format!("{endpoint:?} {deliverer:?} {outbox:?}");

    assert!(!printed.contains("canary"));
    assert!(!printed.contains("MfKQ9r8G"));
}

#[test]
fn one_to_sixteen_attempts_may_be_in_flight() {
    for attempts in 1..=16 {
        assert!(Concurrency::try_from(attempts).is_ok());
    }
    let refused = [0, 17].map(|attempts| Concurrency::try_from(attempts).unwrap_err());
    assert_eq!(refused[0], "0 attempts at once is outside 1..=16");
}
