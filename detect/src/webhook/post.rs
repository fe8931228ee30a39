//! [`Post`]: one attempt over HTTP.
//!
//! Invariant: no redirect is followed, no proxy is asked, no more than [`RESPONSE_BYTES_MAX`] of an
//! answer are read, and an attempt ends within its timeout. Only the class of a failure leaves this
//! file, since an error of the HTTP client repeats the URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use schemas::Timestamp;

use super::schedule::Answer;
use super::target::{AddressRefused, Lookup, VettingResolver};
use super::{Failure, Message, Signing, Target};

/// The answer's body is read only so that the connection can be used again.
const RESPONSE_BYTES_MAX: usize = 64 << 10;
/// ... and for no longer than this: the status has decided already.
const RESPONSE_PATIENCE: Duration = Duration::from_secs(1);
/// Idle connections are closed after this, and names are then resolved (and vetted) anew.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// An HTTP client for one receiver.
pub(super) struct Post {
    target: Target,
    signing: Signing,
    client: reqwest::Client,
}

impl Post {
    /// # Errors
    ///
    /// If the system has no usable TLS roots.
    pub(super) fn new(
        target: Target,
        signing: Signing,
        timeout: Duration,
        lookup: Lookup,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("surety/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .timeout(timeout)
            .pool_idle_timeout(IDLE_MAX)
            .dns_resolver(VettingResolver { reach: target.reach(), lookup })
            .build()?;
        Ok(Self { target, signing, client })
    }

    /// Sends `message` as an attempt that starts at `at`.
    pub(super) async fn send(&self, message: Message, at: Timestamp) -> Answer {
        let unix_seconds = at.as_millis() / 1_000;
        let id = message.webhook_id();
        let signature = self.signing.header(id, unix_seconds, message.body());
        let request = self
            .client
            .post(self.target.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", unix_seconds)
            .header("webhook-signature", signature);
        let mut response = match request.body(message.into_body()).send().await {
            Ok(response) => response,
            Err(error) => return Answer::None(classify(&error)),
        };
        let code = response.status().as_u16();
        let retry_after = retry_after(response.headers(), at);
        let drained = tokio::time::timeout(RESPONSE_PATIENCE, drain(&mut response)).await;
        if drained.is_err() {
            tracing::debug!(code, "the answer's body was not read to its end");
        }
        Answer::Status { code, retry_after }
    }
}

/// Reads the answer's body and forgets it. Dropping the response before its end closes the
/// connection.
async fn drain(response: &mut reqwest::Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if RESPONSE_BYTES_MAX <= bytes {
            return;
        }
    }
}

/// `Retry-After` as seconds or as a date.
///
/// Source: RFC 9110, section 10.2.3.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()).ok()?.since(now))
}

fn classify(error: &reqwest::Error) -> Failure {
    let causes = || {
        let first: &(dyn Error + 'static) = error;
        std::iter::successors(Some(first), |&cause| cause.source())
    };
    if causes().any(<dyn Error>::is::<AddressRefused>) {
        return Failure::AddressRefused;
    }
    if error.is_timeout() {
        return Failure::Timeout;
    }
    if error.is_dns() {
        return Failure::Dns;
    }
    if !error.is_connect() {
        return Failure::Http;
    }
    let is_tls = causes().filter_map(|cause| cause.downcast_ref()).any(is_from_tls);
    if is_tls { Failure::Tls } else { Failure::Connect }
}

/// rustls tells its errors as IO errors of these kinds that did not come from the system, wrapped
/// in an IO error or two by the connector.
fn is_from_tls(error: &io::Error) -> bool {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return is_from_tls(inner);
    }
    let is_of_tls =
        matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    error.raw_os_error().is_none() && is_of_tls
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::target::system_lookup;
    use super::super::{Reach, Secret};
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn signing() -> Signing {
        Signing::By(Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap())
    }

    fn post(url: &str, reach: Reach) -> Post {
        let target = Target::parse(url, reach).unwrap();
        Post::new(target, signing(), TIMEOUT, system_lookup()).unwrap()
    }

    fn message() -> Message {
        Message::new("f-1", "siem", Timestamp::EPOCH, b"{}".to_vec()).unwrap()
    }

    /// A connection over which a request has come.
    async fn heard(listener: &TcpListener) -> TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        assert!(0 < stream.read(&mut request).await.unwrap());
        stream
    }

    /// A receiver that answers each connection with these bytes, then closes it or holds it open.
    async fn answering(bytes: Vec<u8>, holds: bool) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let mut stream = heard(&listener).await;
                if stream.write_all(&bytes).await.is_ok() && holds {
                    held.push(stream);
                }
            }
        });
        port
    }

    async fn answer_to(bytes: &[u8], holds: bool) -> Answer {
        let port = answering(bytes.to_vec(), holds).await;
        let post = post(&format!("http://127.0.0.1:{port}/"), Reach::Private);
        post.send(message(), Timestamp::EPOCH).await
    }

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_misbehaves_costs_no_more_than_the_timeout() {
        let endless_body = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'x'; 1 << 20]].concat();
        let endless_headers =
            [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x: y\r\n".repeat(100_000)].concat();

        assert_eq!(answer_to(b"", true).await, Answer::None(Failure::Timeout));
        assert_eq!(answer_to(b"HTTP/1.1 200", true).await, Answer::None(Failure::Timeout));
        assert_eq!(answer_to(&endless_headers, true).await, Answer::None(Failure::Http));
        assert_eq!(answer_to(b"", false).await, Answer::None(Failure::Http));
        assert_eq!(answer_to(b"SSH-2.0-OpenSSH_9.9\r\n", false).await, Answer::None(Failure::Http));
        assert_eq!(answer_to(&endless_body, true).await, status(200));
        // The status counts, although the body never ends.
        assert_eq!(answer_to(b"HTTP/1.1 204 OK\r\n\r\n", true).await, status(204));
        let stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx";
        assert_eq!(answer_to(stalled, true).await, status(200));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_drop_by_drop_ends_at_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let drip = async move {
            let mut stream = heard(&listener).await;
            for byte in b"HTTP/1.1 200 OK\r\n\r\n" {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let post = post(&format!("http://127.0.0.1:{port}/"), Reach::Private);
        let began = tokio::time::Instant::now();

        let answer = tokio::select! {
            answer = post.send(message(), Timestamp::EPOCH) => answer,
            () = drip => unreachable!("it takes longer than the timeout"),
        };

        assert_eq!(answer, Answer::None(Failure::Timeout));
        assert_eq!(began.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_body_is_not_read_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pour = async move {
            let mut stream = heard(&listener).await;
            let mut bytes = 0;
            let chunk = [b'x'; 8 << 10];
            let mut written = stream.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while let Ok(count) = written {
                bytes += count;
                written = stream.write(&chunk).await;
            }
            bytes
        };
        let post = post(&format!("http://127.0.0.1:{port}/"), Reach::Private);

        let (answer, poured) = tokio::join!(post.send(message(), Timestamp::EPOCH), pour);

        assert_eq!(answer, status(200));
        assert!(poured < 32 << 20, "the system's buffers held {poured} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_to_have_no_connection_has_its_class() {
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let refused = post(&format!("http://127.0.0.1:{unused}/"), Reach::Private);
        assert_eq!(refused.send(message(), Timestamp::EPOCH).await, Answer::None(Failure::Connect));

        let plain = answering(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), false).await;
        let not_tls = post(&format!("https://127.0.0.1:{plain}/"), Reach::Private);
        assert_eq!(not_tls.send(message(), Timestamp::EPOCH).await, Answer::None(Failure::Tls));

        let failing: Lookup =
            Arc::new(|_| Box::pin(async { Err(io::Error::other("no such host")) }));
        let target = Target::parse("https://hooks.example/", Reach::Public).unwrap();
        let unknown = Post::new(target, signing(), TIMEOUT, failing).unwrap();
        assert_eq!(unknown.send(message(), Timestamp::EPOCH).await, Answer::None(Failure::Dns));

        let hanging: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
        let target = Target::parse("https://hooks.example/", Reach::Public).unwrap();
        let slow = Post::new(target, signing(), TIMEOUT, hanging).unwrap();
        assert_eq!(slow.send(message(), Timestamp::EPOCH).await, Answer::None(Failure::Timeout));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_turns_inwards_between_two_attempts_is_not_connected_to() {
        let port = answering(b"HTTP/1.1 204 OK\r\n\r\n".to_vec(), false).await;
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let rebinding: Lookup = Arc::new(move |_| {
            let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            let address = if is_first { "127.0.0.1" } else { "169.254.169.254" };
            Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
        });
        let url = format!("http://hooks.example:{port}/");
        let target = Target::parse(&url, Reach::Private).unwrap();
        let post = Post::new(target, signing(), TIMEOUT, rebinding).unwrap();

        let before = post.send(message(), Timestamp::EPOCH).await;
        let after = post.send(message(), Timestamp::EPOCH).await;

        assert_eq!(before, status(204));
        assert_eq!(after, Answer::None(Failure::AddressRefused));
        assert_eq!(lookups.load(Ordering::Relaxed), 2, "one for each connection");
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::parse("2026-03-01T09:30:00Z").unwrap();
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };

        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 01 Mar 2026 09:32:00 GMT"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 01 Mar 2026 09:29:00 GMT"), Some(Duration::ZERO));
        for odd in ["", "-1", "soon", "1.5", "99999999999999999999", "2026-03-01"] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
