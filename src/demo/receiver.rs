//! The demo's webhook endpoint: a real HTTP server on loopback that notes what it gets and when.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use schemas::{Finding, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::exit::{Exit, Failure};

/// One webhook as it came in.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) finding: Finding,
    pub(super) at: Timestamp,
}

/// What came in so far, each `webhook-id` once.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    received: Arc<Mutex<Vec<Received>>>,
    count: watch::Sender<usize>,
}

impl Inbox {
    /// What came in from number `from` on.
    pub(super) fn since(&self, from: usize) -> Vec<Received> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.get(from..).unwrap_or_default().to_vec()
    }

    /// How many came in; changes can be waited for.
    pub(super) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn take(&self, one: Received) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        // At least once: the same id again is the same finding.
        if received.iter().rev().any(|known| known.finding.finding_id == one.finding.finding_id) {
            return;
        }
        received.push(one);
        self.count.send_replace(received.len());
    }
}

/// Serves until `stop`. Returns the inbox, the address and the server's future.
///
/// # Errors
///
/// [`Exit::Unavailable`] if no port of the loopback interface can be had.
pub(super) async fn serve(
    stop: CancellationToken,
) -> Result<(Inbox, SocketAddr, impl Future<Output = std::io::Result<()>>), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let address = listener.local_addr()?;
    let inbox = Inbox { received: Arc::default(), count: watch::Sender::new(0) };
    let app = Router::new().route("/findings", post(receive)).with_state(inbox.clone());
    let server =
        axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
    Ok((inbox, address, server.into_future()))
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    #[derive(serde::Deserialize)]
    struct Webhook {
        data: Finding,
    }
    let at = clock::now();
    match serde_json::from_slice::<Webhook>(&body) {
        Ok(webhook) if headers.contains_key("webhook-signature") => {
            inbox.take(Received { finding: webhook.data, at });
            StatusCode::NO_CONTENT
        }
        Ok(_) | Err(_) => StatusCode::BAD_REQUEST,
    }
}
