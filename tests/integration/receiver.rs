//! [`Receiver`]: a webhook's other end on a real socket, with another party's verifier.
//!
//! Invariant: a message counts as received only if the verifier of Standard Webhooks takes its
//! signature. The very first try is answered with 500, so that one message at least comes twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName};
use standardwebhooks::Webhook;

/// "surety test webhook key 32 bytes" in Base64.
pub(crate) const SECRET: &str = "whsec_c3VyZXR5IHRlc3Qgd2ViaG9vayBrZXkgMzIgYnl0ZXM=";

/// Accepts webhooks until the test process ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    tries: Arc<Mutex<BTreeMap<String, u64>>>,
    bodies: Arc<Mutex<Vec<u8>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tries = Arc::new(Mutex::new(BTreeMap::new()));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (noted, kept) = (Arc::clone(&tries), Arc::clone(&bodies));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A sender that was killed leaves half a request behind: it will try again.
                let _half = stream.and_then(|stream| answer(stream, &noted, &kept));
            }
        });
        Self { address, tries, bodies }
    }

    /// The endpoint as a part of `surety.toml`.
    pub(crate) fn config(&self) -> String {
        format!(
            "[[webhooks]]\nname = \"soc\"\nurl = \"http://{}/hook\"\nsecret = \"{SECRET}\"\n\
             severity = \"review\"\nallow-private = true\n",
            self.address
        )
    }

    /// The receiver as a witness, as a part of `surety.toml`.
    pub(crate) fn witness(&self) -> String {
        format!(
            "[[seal.witnesses]]\nname = \"notary\"\nurl = \"http://{}/heads\"\n\
             secret = \"{SECRET}\"\nallow-private = true\n",
            self.address
        )
    }

    /// Tries by `webhook-id`, of messages whose signature holds.
    pub(crate) fn tries(&self) -> BTreeMap<String, u64> {
        self.tries.lock().unwrap().clone()
    }

    /// All that was received, one message after the other.
    pub(crate) fn bodies(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().clone()
    }
}

fn answer(
    stream: TcpStream,
    tries: &Mutex<BTreeMap<String, u64>>,
    bodies: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut headers, mut line) = (HeaderMap::new(), String::new());
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        let name: HeaderName = name.parse().unwrap();
        if name == "content-length" {
            length = value.parse().unwrap();
        }
        headers.insert(name, value.parse().unwrap());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Webhook::new(SECRET).unwrap().verify(&body, &headers).expect("the signature holds");
    bodies.lock().unwrap().extend(&body);
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let is_first = {
        let mut tries = tries.lock().unwrap();
        *tries.entry(id).or_default() += 1;
        tries.values().sum::<u64>() == 1
    };
    let status = if is_first { "500 Internal Server Error" } else { "204 No Content" };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.into_inner().write_all(answer.as_bytes())
}
