//! [`Lease`]: one at a time keeps the lake, so that no two do the same work.
//!
//! Invariant: nothing depends on it but that work is not done twice. A lease is a numbered file, written
//! only if absent; the newest counts, until its time is over. Whoever finds that over, or given back, takes the next
//! number; of two who try only one gets it. Clocks that differ, a lease that is lost: two work at once then,
//! and each change lands once all the same.
//!
//! The lease also says what was done last: it is handed on from one to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt as _, PutMode};
use schemas::{Table, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Cause, Lake};

/// The folder of the leases in the lake.
const FOLDER: &str = "_upkeep";

/// What was done last with a table, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub compacted: Option<Timestamp>,
    pub vacuumed: Option<Timestamp>,
}

/// What a lease says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Claim {
    /// A random text; no two processes have the same.
    owner: String,
    /// In microseconds since 1970.
    until: i64,
    /// By the name of the table.
    done: BTreeMap<String, Done>,
}

/// Why a lease was not taken, kept or read.
#[derive(Debug, thiserror::Error)]
#[error("the lease of the lake's upkeep cannot be read or written")]
pub struct LeaseError(#[source] Cause);

impl LeaseError {
    fn of(cause: impl Into<Cause>) -> Self {
        Self(cause.into())
    }
}

/// A lease, or who has it.
#[derive(Debug)]
pub enum Taken {
    Ours(Lease),
    /// Another process has it until then, at the latest.
    Held {
        until: Timestamp,
    },
}

/// The right to keep the lake for a while.
#[derive(Debug)]
pub struct Lease {
    lake: Lake,
    number: u64,
    claim: Claim,
    length: Duration,
    /// Whether somebody else has taken it.
    is_lost: bool,
}

impl Lease {
    /// Takes the lease for `length` if nobody has it. `owner` tells this process from others.
    ///
    /// # Errors
    ///
    /// [`LeaseError`].
    pub async fn take(
        lake: &Lake,
        owner: &str,
        now: Timestamp,
        length: Duration,
    ) -> Result<Taken, LeaseError> {
        let mut number = 0;
        let mut claim = Claim::default();
        if let Some((newest, standing)) = newest(lake).await? {
            if now.as_micros() < standing.until && standing.owner != owner {
                return Ok(held(&standing, now));
            }
            (number, claim) = (newest + 1, standing);
        }
        owner.clone_into(&mut claim.owner);
        claim.until = now.plus(length).as_micros();
        let lease = Self { lake: lake.clone(), number, claim, length, is_lost: false };
        if lease.put().await? {
            return Ok(Taken::Ours(lease));
        }
        let standing = newest(lake).await?.map(|(_, standing)| standing).unwrap_or_default();
        Ok(held(&standing, now))
    }

    /// Keeps the lease for another while. `false` if somebody else has it: then it is time to stop.
    ///
    /// # Errors
    ///
    /// [`LeaseError`].
    pub async fn renew(&mut self, now: Timestamp) -> Result<bool, LeaseError> {
        self.next(now.plus(self.length)).await
    }

    /// Gives it back.
    ///
    /// # Errors
    ///
    /// [`LeaseError`]. It is over by itself then, after a while.
    pub async fn release(mut self, now: Timestamp) -> Result<(), LeaseError> {
        self.next(now).await.map(|_| ())
    }

    async fn next(&mut self, until: Timestamp) -> Result<bool, LeaseError> {
        if self.is_lost {
            return Ok(false);
        }
        self.number += 1;
        self.claim.until = until.as_micros();
        self.is_lost = !self.put().await?;
        if !self.is_lost {
            self.forget_older().await;
        }
        Ok(!self.is_lost)
    }

    /// What was done with a table, as far as a lease told.
    pub fn done(&self, table: Table) -> Done {
        self.claim.done.get(table.name()).copied().unwrap_or_default()
    }

    /// Notes what was done; the next [`renew`](Self::renew) or [`release`](Self::release) tells others.
    pub fn note(&mut self, table: Table, done: Done) {
        self.claim.done.insert(table.name().to_owned(), done);
    }

    /// What was done last with each table, by whoever did it.
    ///
    /// # Errors
    ///
    /// [`LeaseError`].
    pub async fn done_in(lake: &Lake) -> Result<BTreeMap<String, Done>, LeaseError> {
        Ok(newest(lake).await?.map(|(_, claim)| claim.done).unwrap_or_default())
    }

    /// Writes the claim; `false` if its number is taken.
    async fn put(&self) -> Result<bool, LeaseError> {
        let bytes = serde_json::to_vec(&self.claim).map_err(LeaseError::of)?;
        let path = path_of(&self.lake, self.number);
        match self.lake.root().put_opts(&path, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(LeaseError::of(error)),
        }
    }

    /// Removes the leases before this one. A failure leaves litter, for the next time. The one before
    /// stays: who is listing them at this moment must not miss this one and find none.
    async fn forget_older(&self) {
        let Ok(numbers) = numbers(&self.lake).await else { return };
        for number in numbers.into_iter().filter(|number| number + 1 < self.number) {
            drop(self.lake.root().delete(&path_of(&self.lake, number)).await);
        }
    }
}

fn held(standing: &Claim, now: Timestamp) -> Taken {
    Taken::Held { until: Timestamp::from_micros(standing.until).unwrap_or(now) }
}

/// The newest lease that was written, with its number. One that cannot be read is taken for one that is
/// over.
async fn newest(lake: &Lake) -> Result<Option<(u64, Claim)>, LeaseError> {
    let Some(number) = numbers(lake).await?.into_iter().max() else { return Ok(None) };
    match lake.root().get(&path_of(lake, number)).await {
        Ok(found) => {
            let bytes = found.bytes().await.map_err(LeaseError::of)?;
            Ok(Some((number, serde_json::from_slice(&bytes).unwrap_or_default())))
        }
        Err(StoreError::NotFound { .. }) => Ok(Some((number, Claim::default()))),
        Err(error) => Err(LeaseError::of(error)),
    }
}

async fn numbers(lake: &Lake) -> Result<Vec<u64>, LeaseError> {
    let folder = folder_of(lake);
    let mut files = lake.root().list(Some(&folder));
    let mut numbers = Vec::new();
    while let Some(file) = files.try_next().await.map_err(LeaseError::of)? {
        let name = file.location.filename().and_then(|name| name.strip_suffix(".json"));
        numbers.extend(name.and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(numbers)
}

fn folder_of(lake: &Lake) -> Path {
    let url = lake.url().join(FOLDER).expect("a word is a part of a path");
    Path::from_url_path(url.path()).expect("made of a location's path and a word")
}

fn path_of(lake: &Lake, number: u64) -> Path {
    folder_of(lake).join(format!("{number:020}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::local;

    const LENGTH: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::parse("2026-03-01T00:00:00Z").unwrap().plus(Duration::from_secs(seconds))
    }

    async fn take(lake: &Lake, owner: &str, seconds: u64) -> Taken {
        Lease::take(lake, owner, at(seconds), LENGTH).await.unwrap()
    }

    #[tokio::test]
    async fn one_has_it_until_it_is_given_back_or_over() {
        let folder = tempfile::tempdir().unwrap();
        let lake = local(folder.path());
        let Taken::Ours(mut mine) = take(&lake, "a", 0).await else { panic!("nobody has it") };

        assert!(matches!(take(&lake, "b", 59).await, Taken::Held { until } if until == at(60)));
        assert!(mine.renew(at(50)).await.unwrap());
        assert!(matches!(take(&lake, "b", 100).await, Taken::Held { until } if until == at(110)));
        mine.note(Table::Events, Done { compacted: Some(at(70)), vacuumed: None });
        mine.release(at(100)).await.unwrap();

        let Taken::Ours(theirs) = take(&lake, "b", 100).await else { panic!("given back") };
        assert_eq!(theirs.done(Table::Events).compacted, Some(at(70)));
        let Taken::Ours(mut mine) = take(&lake, "a", 160).await else { panic!("over") };
        assert!(mine.renew(at(161)).await.unwrap());
        assert!(!{ theirs }.renew(at(161)).await.unwrap(), "somebody else has it");
        assert!(numbers(&lake).await.unwrap().len() <= 2, "older ones are forgotten");
        let done = Lease::done_in(&lake).await.unwrap();
        assert_eq!(done["events"].compacted, Some(at(70)));
    }

    #[tokio::test]
    async fn of_two_who_try_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let lake = local(folder.path());
        for round in 0..20 {
            let (one, other) =
                tokio::join!(take(&lake, "a", round * 100), take(&lake, "b", round * 100));
            let ours = [one, other].into_iter().filter(|taken| matches!(taken, Taken::Ours(_)));
            assert_eq!(ours.count(), 1, "round {round}");
        }
    }
}
