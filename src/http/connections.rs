//! [`serve`]: requests of many, none of whom can keep the others out.
//!
//! Invariant: at most [`Bounds::connections_max`] connections are open at once, and one that does not send
//! the head of a request within [`Bounds::head_max`] is closed: so memory and file handles stay bounded whatever
//! comes. The next one waits in the system's queue meanwhile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What one door bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    connections_max: usize,
    /// How long the head of a request may take, and how long a connection may ask for nothing.
    head_max: Duration,
}

impl Bounds {
    pub(super) const STANDARD: Self =
        Self { connections_max: 256, head_max: Duration::from_secs(15) };
}

/// What a head may have: a token, an event's id and what browsers add are far less.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long to wait when the system has no file handle left.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`, then ends the requests that have begun.
///
/// # Errors
///
/// None: what fails is one connection's, or passes.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(bounds.connections_max));
    let open = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = answer(stream, app.clone(), bounds, stop.clone());
                open.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    open.close();
    open.wait().await;
    Ok(())
}

async fn answer(stream: TcpStream, app: Router, bounds: Bounds, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended in the middle of a request");
    }
}

/// Whether a connection failed before it was taken: the next one may be well.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const FEW: Bounds = Bounds { connections_max: 8, head_max: Duration::from_millis(400) };

    async fn door() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (app, stop) =
            (Router::new().route("/", get(|| async { "here" })), CancellationToken::new());
        let stopped = stop.clone();
        let tracker = TaskTracker::new();
        let end = tracker.spawn(async move { serve(listener, app, FEW, stopped).await.unwrap() });
        (address, stop, end)
    }

    async fn ask(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn many_who_say_nothing_keep_nobody_out_for_long_and_stopping_waits_for_none_of_them() {
        let (address, stop, end) = door().await;
        let mut silent = Vec::new();
        for _ in 0..FEW.connections_max {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let began = tokio::time::Instant::now();

        let text = ask(address).await;

        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("here"), "{text}");
        assert!(FEW.head_max / 2 < began.elapsed(), "there was room for one more");
        stop.cancel();
        end.await.unwrap();
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_refused() {
        let (address, ..) = door().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let line = format!("X-Filler: {}\r\n", "a".repeat(1_000));
        let mut written = 0;
        while written < 200 && stream.write_all(line.as_bytes()).await.is_ok() {
            written += 1;
        }
        let mut text = String::new();
        let read = stream.read_to_string(&mut text).await;

        assert!(read.is_err() || text.starts_with("HTTP/1.1 431"), "{text}");
    }
}
