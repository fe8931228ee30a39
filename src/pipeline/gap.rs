//! [`accept_lost`]: offsets that nobody can read any more are passed over, because a person said so.
//!
//! Invariant (E1, E2): the lake moves from exactly where it stands, in one commit like any other, and a row
//! of `rejects` stands for what was lost. Nothing here decides that anything is lost.

use std::sync::Arc;

use lake::seal::SealKey;
use lake::{CommitError, Lake};
use schemas::{Offset, OffsetRange, Reject};

use super::commit::{Cut, Writer};
use super::micro_batch::Buffer;
use super::{of_commit, of_lake};
use crate::exit::{Exit, Failure};

/// Offsets of a partition that were never read, and the row that stands for them.
#[derive(Debug)]
pub(crate) struct Lost {
    /// At the first of them.
    pub(crate) reject: Reject,
    pub(crate) range: OffsetRange,
    pub(crate) is_registry: bool,
}

/// Moves the lake over what was lost. `false` if it stands behind that already.
///
/// # Errors
///
/// [`Exit::Usage`] if the lake does not stand where it begins.
pub(crate) async fn accept_lost(
    lake: &Lake,
    key: Arc<SealKey>,
    lost: &Lost,
) -> Result<bool, Failure> {
    let mut writer = Box::new(Writer::open(lake, key).await.map_err(of_lake)?);
    let Lost { reject, range, is_registry } = lost;
    let place = &reject.position;
    let offsets = if *is_registry { writer.registry() } else { writer.uses() };
    let next = offsets.next_of(&place.topic, place.partition);
    if next == Some(range.end) {
        return Ok(false);
    }
    if next != Some(range.start) {
        return Err(elsewhere(lost, next));
    }
    let mut buffer = Buffer::at(writer.uses().clone());
    buffer.rejects.push(reject);
    let advance = if *is_registry { &mut buffer.registry } else { &mut buffer.uses };
    advance.extend(&place.topic, place.partition, *range);
    let mut cut = Cut::of(&mut buffer, Vec::new());
    match Box::pin(writer.commit(&mut cut)).await {
        Ok(_) => Ok(true),
        Err(CommitError::Superseded { offsets }) => {
            Err(elsewhere(lost, offsets.next_of(&place.topic, place.partition)))
        }
        Err(error) => Err(of_commit(error)),
    }
}

fn elsewhere(lost: &Lost, next: Option<Offset>) -> Failure {
    let place = &lost.reject.position;
    let stands =
        next.map_or("knows no offset".to_owned(), |next| format!("stands at offset {}", next.0));
    let text = format!(
        "wanted a gap that begins where the lake stands: it {stands} of {}/{}, found {}",
        place.topic, place.partition.0, lost.range.start.0
    );
    Failure::told(Exit::Usage, text)
}
