//! The operator's door: `/metrics`, `/healthz`, `/readyz`. The door for questions is `http/door.rs`.
//!
//! Invariant: it only reads; what it says of the pipeline's health is what the loop wrote last.

mod connections;
mod door;
mod question;
mod refusal;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};
use connections::Bounds;
pub(crate) use door::{Admission, Door};
pub(crate) use token::Token;

/// What the loop says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Condition {
    /// Restoring state, connecting.
    Starting = 0,
    /// Reading.
    Ready = 1,
    /// The lake cannot be written; records wait in Kafka.
    Stalled = 2,
}

/// The loop's condition, shared with the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<AtomicU8>);

impl Health {
    pub(crate) fn set(&self, condition: Condition) {
        self.0.store(condition as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Condition {
        match self.0.load(Ordering::Relaxed) {
            0 => Condition::Starting,
            1 => Condition::Ready,
            _ => Condition::Stalled,
        }
    }
}

#[derive(Clone)]
struct Shared {
    health: Health,
    metrics: PrometheusHandle,
}

/// Serves until `shutdown`. Returns the address it listens on and the server's future.
///
/// # Errors
///
/// [`Exit::Unavailable`] if the address cannot be had.
pub(crate) async fn serve(
    listen: SocketAddr,
    health: Health,
    metrics: PrometheusHandle,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, impl Future<Output = std::io::Result<()>>), Failure> {
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| {
        Failure::new(Exit::Unavailable, error).while_doing(format!("listen on {listen}"))
    })?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route(
            "/metrics",
            get(|State(shared): State<Shared>| async move { shared.metrics.render() }),
        )
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Shared { health, metrics });
    Ok((address, connections::serve(listener, app, Bounds::STANDARD, shutdown)))
}

/// Alive: the process answers and can still write the lake.
async fn healthz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match shared.health.get() {
        Condition::Starting | Condition::Ready => (StatusCode::OK, "ok\n"),
        Condition::Stalled => (StatusCode::SERVICE_UNAVAILABLE, "the lake cannot be written\n"),
    }
}

/// Ready: state is restored and records are being read.
async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    match shared.health.get() {
        Condition::Ready => (StatusCode::OK, "ready\n"),
        Condition::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Condition::Stalled => (StatusCode::SERVICE_UNAVAILABLE, "the lake cannot be written\n"),
    }
}
