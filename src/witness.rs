//! Heads for the witnesses: the newest seal goes to each of them, now and then.
//!
//! Invariant: the pipeline never waits for a witness. What is sent is read from the lake, in a task of
//! its own; a witness that cannot be reached is told of with the newest seal when it can, and that
//! seal names all before it.

use std::time::Duration;

use detect::webhook::{InvalidMessage, Message, NotTold, Teller};
use ingest::{NoticeBoard, ProduceError};
use lake::seal::{Witness, WitnessError};
use lake::{Lake, SealRow};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// How long one witness may take for one head.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Where heads are kept.
#[derive(Debug)]
pub(crate) enum Place {
    /// A file for each head.
    Files(Witness),
    /// A record for each head, in a topic from which nobody deletes.
    Topic(NoticeBoard),
    /// A receiver of signed requests. What it keeps is for it to show.
    Endpoint(Box<Teller>),
}

/// A witness and the number of the seal that it was last known to keep.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) kept: Option<i64>,
}

impl Published {
    pub(crate) fn nothing(name: String, place: Place) -> Self {
        Self { name, place, kept: None }
    }
}

/// Why a witness does not keep a head.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Files(#[from] WitnessError),
    #[error(transparent)]
    Topic(#[from] ProduceError),
    #[error(transparent)]
    Endpoint(#[from] NotTold),
    /// A seal of very many files or partitions: the next one is smaller.
    #[error(transparent)]
    Message(#[from] InvalidMessage),
    #[error("it took longer than {} s", TIME_MAX.as_secs())]
    Late,
}

/// Sends the newest seal to each witness every `interval`, until `stop`; then once more.
pub(crate) async fn publish(
    lake: Lake,
    mut witnesses: Vec<Published>,
    interval: Duration,
    stop: CancellationToken,
) {
    loop {
        send(&lake, &mut witnesses).await;
        if stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Sends the newest seal to each witness that does not keep it. Returns how many do not keep it now.
pub(crate) async fn send(lake: &Lake, witnesses: &mut [Published]) -> usize {
    if witnesses.is_empty() {
        return 0;
    }
    let newest = match lake.newest_seal().await {
        Ok(Some(newest)) => newest,
        Ok(None) => return 0,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the newest seal cannot be read, trying again later"
            );
            return witnesses.len();
        }
    };
    let mut missing = 0;
    for Published { name, place, kept } in witnesses {
        if *kept < Some(newest.sequence) {
            match keep(name, place, &newest).await {
                Ok(()) => *kept = Some(newest.sequence),
                Err(error) => {
                    missing += 1;
                    tell(name, &error);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
        let behind = (newest.sequence - kept.unwrap_or(-1)) as f64;
        metrics::gauge!("surety_witness_seals_behind", "witness" => name.clone()).set(behind);
    }
    missing
}

async fn keep(name: &str, place: &Place, newest: &SealRow) -> Result<(), NotKept> {
    let keeping = async {
        match place {
            Place::Files(witness) => Ok(witness.keep(&newest.note).await?),
            Place::Topic(board) => {
                Ok(board.append(clock::now(), newest.note.clone().into_bytes()).await?)
            }
            Place::Endpoint(teller) => Ok(teller.tell(told(name, newest)?, clock::now()).await?),
        }
    };
    tokio::time::timeout(TIME_MAX, keeping).await.unwrap_or(Err(NotKept::Late))
}

/// What a topic keeps, of whatever lake: the notes as they are.
///
/// # Errors
///
/// [`ProduceError`] if it cannot be read.
pub(crate) async fn read(board: &NoticeBoard) -> Result<Vec<String>, ProduceError> {
    let notes = board.read().await?;
    Ok(notes.iter().map(|note| String::from_utf8_lossy(note).into_owned()).collect())
}

/// A head as a webhook: the same id for the same head, so that a receiver keeps it once.
fn told(name: &str, newest: &SealRow) -> Result<Message, InvalidMessage> {
    let now = clock::now();
    let body = json!({
        "type": "seal.head",
        "timestamp": now.to_string(),
        "data": {"sequence": newest.sequence, "note": newest.note},
    });
    let id = format!("seal_{:.40}", hex(&lake::seal::hash_of(&newest.note)));
    Message::new(&id, name, now, body.to_string().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

fn tell(name: &str, error: &NotKept) {
    metrics::counter!("surety_witness_failures_total", "witness" => name.to_owned()).increment(1);
    let cause = error as &dyn std::error::Error;
    if let NotKept::Files(WitnessError::Differs { .. }) = error {
        tracing::error!(
            witness = name,
            error = cause,
            "a witness keeps another head, run `surety verify --witness`"
        );
    } else {
        tracing::warn!(
            witness = name,
            error = cause,
            "a witness does not keep the newest seal, trying again later"
        );
    }
}
