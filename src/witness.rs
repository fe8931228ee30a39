//! Heads for the witnesses: the newest seal goes to each of them, now and then.
//!
//! Invariant: the pipeline never waits for a witness. What is sent is read from the lake, in a task of
//! its own; a witness that cannot be reached is told of with the newest seal when it can, and that
//! seal names all before it.

use std::time::Duration;

use lake::Lake;
use lake::seal::{Witness, WitnessError};
use tokio_util::sync::CancellationToken;

/// How long one witness may take for one head.
const TIME_MAX: Duration = Duration::from_secs(20);

/// A witness and the number of the seal that it was last known to keep.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) witness: Witness,
    pub(crate) kept: Option<i64>,
}

impl Published {
    pub(crate) fn nothing(name: String, witness: Witness) -> Self {
        Self { name, witness, kept: None }
    }
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
    for Published { name, witness, kept } in witnesses {
        if *kept < Some(newest.sequence) {
            match keep(witness, &newest.note).await {
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

async fn keep(witness: &Witness, note: &str) -> Result<(), WitnessError> {
    match tokio::time::timeout(TIME_MAX, witness.keep(note)).await {
        Ok(kept) => kept,
        Err(late) => {
            Err(WitnessError::Unavailable { witness: witness.to_string(), cause: late.into() })
        }
    }
}

fn tell(name: &str, error: &WitnessError) {
    metrics::counter!("surety_witness_failures_total", "witness" => name.to_owned()).increment(1);
    let cause = error as &dyn std::error::Error;
    match error {
        WitnessError::Differs { .. } => {
            tracing::error!(witness = name, error = cause, "run `surety verify --witness`");
        }
        WitnessError::Unavailable { .. } => {
            tracing::warn!(witness = name, error = cause, "trying again later");
        }
    }
}
