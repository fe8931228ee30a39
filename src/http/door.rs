//! The door for questions: `POST /v1/sql`, `GET /v1/agents`, `GET /v1/trace/{event}`, `POST /v1/score`; and
//! for what people say of findings: `POST /v1/dispositions`, `POST /v1/expectations`.
//!
//! Invariant (Q1): every statement is within the limits until its last byte is read; one whose reader
//! has gone is stopped; and no more run at once than are admitted.
//!
//! Questions have threads of their own, half of the machine's, and each statement is spread over no
//! more: however many are asked, ingest keeps the other half. They share nothing with the loop but
//! the lake's storage and the machine.

mod guidance;
mod score;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ingest::{Normaliser, Redactor};
use lake::Lake;
use query::{Budget, Encoded, Engine, Limits, QueryError};
use schemas::{EventId, Format, Timestamp};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{self, Bounds};
use super::question::{self, Question};
use super::refusal::Refusal;
use super::token::Token;
use crate::commands::{duration, inventory};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::pipeline::Asker;

/// Bytes of a request's body: a statement of the largest size, written as JSON.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a statement waits for others to end.
const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long the loop is waited for, to tell what it has not committed yet. It answers between two
/// micro-batches.
const LIVE_WAIT_MAX: Duration = Duration::from_secs(1);
/// Pieces of an answer that wait for its reader.
const PIECES_MAX: usize = 4;
/// How long running statements may take to notice that the service stops.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What the door is made of.
#[derive(Debug)]
pub(crate) struct Door {
    lake: Lake,
    /// The loop, once it runs: it knows what is not committed yet, and the baselines.
    asker: Arc<OnceLock<Asker>>,
    /// Reads the events to be scored.
    normaliser: Normaliser,
    /// For what people write.
    redactor: Redactor,
    limits: Limits,
    statements_max: usize,
    /// Without one, only this machine's own programs are answered.
    token: Option<Token>,
}

/// Who is answered, and what of an event may go further.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) token: Option<Token>,
    pub(crate) redactor: Redactor,
}

impl Door {
    pub(crate) fn new(
        lake: Lake,
        asker: Arc<OnceLock<Asker>>,
        config: &config::Query,
        admission: Admission,
    ) -> Self {
        let Admission { token, redactor } = admission;
        let normaliser = Normaliser::new(Format::Native, redactor.clone());
        let limits = Limits {
            memory_bytes_max: config.memory_bytes_max.get(),
            rows_max: config.rows_max.get() as u64,
            bytes_max: config.bytes_max.get() as u64,
            time_max: config.time_ms_max.get(),
            threads_max: threads(),
            ..Limits::ONE_PERSON
        };
        let statements_max = config.statements_max.get();
        Self { lake, asker, normaliser, redactor, limits, statements_max, token }
    }

    /// Opens the door on threads of its own until `stop`. Returns its address and its end.
    ///
    /// # Errors
    ///
    /// [`Exit::Unavailable`] if the address or the threads cannot be had.
    pub(crate) fn open(
        self,
        listen: SocketAddr,
        stop: CancellationToken,
    ) -> Result<(SocketAddr, impl Future<Output = Result<(), Failure>> + use<>), Failure> {
        let listener = TcpListener::bind(listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = listener.map_err(|error| {
            Failure::new(Exit::Unavailable, error).while_doing(format!("listen on {listen}"))
        })?;
        let address = listener.local_addr()?;
        let budget = Budget::new(self.limits.clone())
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let desk = Desk {
            admission: Arc::new(Semaphore::new(self.statements_max)),
            readers: TaskTracker::new(),
            door: Arc::new(self),
            budget,
            stop,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("surety-query")
            .worker_threads(threads())
            .max_blocking_threads(16)
            .enable_all()
            .build()?;
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("surety-query-door".to_owned()).spawn(move || {
            let served = runtime.block_on(serve(listener, desk));
            runtime.shutdown_timeout(STOP_WAIT);
            // Nobody waits when the service stops for another reason.
            drop(ended.send(served));
        })?;
        Ok((address, async move {
            match end.await {
                Ok(served) => Ok(served?),
                Err(_) => {
                    Err(Failure::told(Exit::Software, "the door for questions is gone".to_owned()))
                }
            }
        }))
    }
}

/// Half of the machine, so that ingest keeps the other half.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(2)
}

/// What every request is answered with.
#[derive(Clone)]
struct Desk {
    door: Arc<Door>,
    budget: Budget,
    /// A permit for each statement that runs, until its answer is read.
    admission: Arc<Semaphore>,
    /// Tasks that hand answers to their readers.
    readers: TaskTracker,
    stop: CancellationToken,
}

async fn serve(listener: TcpListener, desk: Desk) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let stop = desk.stop.clone();
    let app = Router::new()
        .route("/v1/sql", post(sql))
        .route("/v1/agents", get(agents))
        .route("/v1/trace/{event}", get(trace))
        .route("/v1/score", post(score::score))
        .route("/v1/dispositions", post(guidance::dispose))
        .route("/v1/expectations", post(guidance::expect))
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(desk.clone(), admit))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk);
    tokio::select! {
        served = connections::serve(listener, app, Bounds::STANDARD, stop.clone()) => served,
        // A reader that does not go away keeps nobody from stopping.
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_WAIT).await } => Ok(()),
    }
}

async fn nothing_here() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "request",
        "wanted /v1/sql, /v1/agents, /v1/trace/EVENT, /v1/score, /v1/dispositions or /v1/expectations",
    )
}

/// Answers those who bear the token. Where there is none, the programs of this machine, but no web
/// page that a browser on it shows: neither by its own request nor by a name that it made point here.
async fn admit(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let mut response = match check_admission(&desk, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn check_admission(desk: &Desk, request: &Request) -> Result<(), Refusal> {
    let header = |name| question::header_text(request.headers(), name);
    if let Some(token) = &desk.door.token {
        let found = header(header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        if found.is_some_and(|found| token.is(found.trim())) {
            return Ok(());
        }
        let wanted = "wanted the header Authorization: Bearer with the token";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "token", wanted));
    }
    let host = header(header::HOST).unwrap_or_default();
    let is_own = is_loopback(host) && header(header::ORIGIN).is_none();
    if is_own {
        return Ok(());
    }
    let wanted = "wanted a token: without one only programs of this machine are answered";
    Err(Refusal::new(StatusCode::FORBIDDEN, "token", wanted))
}

/// Whether a Host header names this machine by a name that nobody else can take.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn sql(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let question = body
        .map_err(|rejection| Refusal::new(rejection.status(), "request", rejection.body_text()))
        .and_then(|body| Question::read(&headers, &body));
    desk.respond(question).await
}

#[derive(Deserialize)]
struct AgentsQuery {
    active_within: Option<String>,
    format: Option<String>,
}

async fn agents(
    State(desk): State<Desk>,
    headers: HeaderMap,
    query: Result<Query<AgentsQuery>, QueryRejection>,
) -> Response {
    let question = || -> Result<Question, Refusal> {
        let Query(query) = query.map_err(|rejection| Refusal::wrong(rejection.body_text()))?;
        let within = query.active_within.as_deref().map(duration).transpose();
        let within = within.map_err(|text| Refusal::wrong(format!("active_within: {text}")))?;
        let format = question::format(query.format.as_deref(), &headers)?;
        Ok(Question { sql: inventory(within), format })
    };
    desk.respond(question()).await
}

#[derive(Deserialize)]
struct TraceQuery {
    as_known_at: Option<String>,
}

async fn trace(
    State(desk): State<Desk>,
    Path(event): Path<String>,
    query: Result<Query<TraceQuery>, QueryRejection>,
) -> Response {
    let asked = async {
        let Query(query) = query.map_err(|rejection| Refusal::wrong(rejection.body_text()))?;
        let event = EventId::try_from(event)
            .map_err(|error| Refusal::wrong(format!("event id: {error}")))?;
        let known_at = query.as_known_at.as_deref().map(Timestamp::parse).transpose();
        let known_at = known_at.map_err(|error| Refusal::wrong(format!("as_known_at: {error}")))?;
        let _permit = desk.permit().await?;
        Ok::<_, Refusal>(desk.engine().await?.trace(&event, known_at).await?)
    };
    match asked.await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Desk {
    async fn respond(&self, question: Result<Question, Refusal>) -> Response {
        let answered = async { self.answer(question?).await };
        let (response, outcome) = match answered.await {
            Ok(response) => (response, "answered"),
            Err(refusal) => {
                let kind = refusal.kind();
                (refusal.into_response(), kind)
            }
        };
        metrics::counter!("surety_questions_total", "outcome" => outcome).increment(1);
        response
    }

    /// A permit to run a statement.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.admission).acquire_owned();
        match tokio::time::timeout(ADMISSION_WAIT_MAX, permit).await {
            Ok(permit) => Ok(permit.expect("it is never closed")),
            Err(_) => Err(Refusal::busy(ADMISSION_WAIT_MAX)),
        }
    }

    /// An engine over the lake as it is now, with the events that are on their way to it.
    async fn engine(&self) -> Result<Engine, QueryError> {
        let time_max = self.door.limits.time_max;
        let opened = async {
            let live = self.live_events().await;
            Engine::within(&self.door.lake, live, &self.budget).await
        };
        let opened = tokio::time::timeout(time_max, opened);
        opened.await.unwrap_or(Err(QueryError::Timeout { seconds: time_max.as_secs() }))
    }

    /// A loop that is busy for long keeps nobody from the committed events.
    async fn live_events(&self) -> Vec<RecordBatch> {
        let Some(asker) = self.door.asker.get() else { return Vec::new() };
        let events = tokio::time::timeout(LIVE_WAIT_MAX, asker.events()).await;
        events.unwrap_or_else(|_| {
            tracing::debug!("the loop is busy, a question is answered without its buffered rows");
            Vec::new()
        })
    }

    /// Runs the statement up to its first bytes, so that an error has a status of its own, and hands
    /// the rest to a task. Dropping this future stops the statement.
    async fn answer(&self, question: Question) -> Result<Response, Refusal> {
        let permit = self.permit().await?;
        let answer = self.engine().await?.sql(&question.sql).await?;
        // The answer has a deadline of its own; this one is for a reader that takes none of it.
        let deadline = Instant::now() + self.door.limits.time_max;
        let mut encoded = Encoded::new(answer, question.format)?;
        let first = encoded.next().await?;
        let mut response = match first {
            None => Response::new(Body::empty()),
            Some(first) => {
                let (pieces, taken) = mpsc::channel(PIECES_MAX);
                let stop = self.stop.clone();
                self.readers.spawn(async move {
                    let handed = hand_over(first, encoded, &pieces, deadline);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = pieces.closed() => {}
                        () = handed => {}
                    }
                    drop(permit);
                });
                Response::new(body_of(taken))
            }
        };
        let media_type = HeaderValue::from_static(question::media_type(question.format));
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        Ok(response)
    }
}

/// Some bytes of an answer, or its end.
type Piece = Option<Bytes>;

/// Hands an answer to its reader piece by piece, the end included.
async fn hand_over(
    first: Vec<u8>,
    mut encoded: Encoded,
    pieces: &mpsc::Sender<Piece>,
    deadline: Instant,
) {
    let mut next = Some(first);
    loop {
        let is_end = next.is_none();
        let sent = pieces.send(next.map(Bytes::from));
        let sent = tokio::time::timeout_at(deadline, sent).await;
        if is_end || !matches!(sent, Ok(Ok(()))) {
            return;
        }
        next = match encoded.next().await {
            Ok(next) => next,
            Err(error) => {
                // Its status was sent long ago: only the log can say why.
                tracing::info!(%error, "an answer was broken off");
                return;
            }
        };
    }
}

/// The pieces as a body. Where they stop without the end, the connection is broken off: a reader
/// never takes a part for the whole.
fn body_of(taken: mpsc::Receiver<Piece>) -> Body {
    let broken_off = || std::io::Error::other("the answer was broken off");
    Body::from_stream(futures::stream::unfold(Some(taken), move |taken| async move {
        let mut taken = taken?;
        match taken.recv().await {
            Some(Some(bytes)) => Some((Ok(bytes), Some(taken))),
            Some(None) => None,
            None => Some((Err(broken_off()), None)),
        }
    }))
}

#[cfg(test)]
mod tests;
