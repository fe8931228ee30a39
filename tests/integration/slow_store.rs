//! [`SlowStore`]: what stands between the binary and an object store, and makes every answer late and some
//! of them wrong.
//!
//! Invariant: of each hundred requests one fails, in one of five ways in turn: not done and answered with
//! 503; done, and answered with 503, with half of the answer, with nothing and the connection closed, or
//! never. What is answered otherwise is the store's own answer, whole.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use crate::exactly_once::drawn;

/// One of so many requests fails.
const FAILING: u64 = 100;

/// A way to a store on which requests are late and some fail. It is there until the test process ends.
#[derive(Debug)]
pub(crate) struct SlowStore {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

/// How many requests came, and how many of them failed.
#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    failed: AtomicU64,
    kinds: Mutex<BTreeMap<String, u64>>,
}

impl SlowStore {
    /// Stands before the store at `behind`. An answer is late by so many milliseconds.
    pub(crate) fn before(behind: SocketAddr, latency_ms: Range<u64>, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let counted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, latency_ms) = (Arc::clone(&counted), latency_ms.clone());
                std::thread::spawn(move || {
                    // A client that was ended, or lost its patience, leaves half an exchange behind.
                    let _half = stream.and_then(|stream| {
                        pass(stream, behind, &seen, |number| fate(number, &latency_ms, seed))
                    });
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.seen.failed.load(Ordering::Relaxed)
    }

    /// How many of each kind came: `GET 12, HEAD 3`.
    pub(crate) fn kinds(&self) -> String {
        let kinds = self.seen.kinds.lock().unwrap();
        let told: Vec<_> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        told.join(", ")
    }
}

/// What a request asks for: its method, or that it lists.
fn kind_of(request: &[u8]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let method = line.split(' ').next().unwrap_or_default();
    if line.contains("list-type=") { "LIST".to_owned() } else { method.to_owned() }
}

/// By how much the answer to a request is late, and whether it fails.
fn fate(number: u64, latency_ms: &Range<u64>, seed: u64) -> (Duration, bool) {
    let late = drawn(seed.wrapping_add(number)) % (latency_ms.end - latency_ms.start).max(1);
    let failing = drawn(seed.wrapping_add(number / FAILING)) % FAILING;
    (Duration::from_millis(latency_ms.start + late), number % FAILING == failing)
}

/// One request and its answer. The connection is closed behind it: there is no other to be kept apart.
fn pass(
    client: TcpStream,
    store: SocketAddr,
    seen: &Seen,
    fate: impl Fn(u64) -> (Duration, bool),
) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let mut client = reader.into_inner();
    *seen.kinds.lock().unwrap().entry(kind_of(&request)).or_default() += 1;
    let (late, fails) = fate(seen.requests.fetch_add(1, Ordering::Relaxed));
    sleep(late);
    if !fails {
        return client.write_all(&asked(store, &request)?);
    }
    let way = seen.failed.fetch_add(1, Ordering::Relaxed) % 5;
    let answer = if way == 0 { Vec::new() } else { asked(store, &request)? };
    match way {
        0 | 1 => client
            .write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        2 => client.write_all(&answer[..answer.len() / 2]),
        3 => client.shutdown(Shutdown::Both),
        _ => {
            // Until the client gives up.
            client.read(&mut [0]).map(|_| ())
        }
    }
}

/// The bytes of a request, which asks for the connection to be closed; `None` if nothing came.
pub(crate) fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let (mut request, mut line, mut length) = (Vec::new(), String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if !name.eq_ignore_ascii_case("connection") {
            request.extend(line.as_bytes());
        }
    }
    request.extend(b"Connection: close\r\n\r\n");
    let head = request.len();
    request.resize(head + length, 0);
    reader.read_exact(&mut request[head..])?;
    Ok(Some(request))
}

/// The store's answer.
pub(crate) fn asked(store: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(store)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
