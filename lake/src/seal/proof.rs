//! [`SealChain`], [`SealedRecords`]: what proves to an outsider that a row was sealed.
//!
//! Invariant: a proof is made of the stored rows and is worth nothing by itself: whoever gets it
//! computes the leaf from the row, the root from the proof, and believes the signed note alone.
//!
//! The way from a row to the newest head, all of it checked without the lake:
//! 1. the leaf is made of the row ([`leaves`](super::leaves)), and [`Inclusion::leads_to`] the root in the note of its seal;
//! 2. the note is opened with the public key ([`PublicKey::open`](super::PublicKey::open));
//! 3. each note of [`SealChain::from`] names the [`hash_of`](super::hash_of) the one before it, up to
//!    the head, which a witness holds too.

use arrow::array::RecordBatch;
use schemas::{OffsetRange, Position, Table};

use super::Seal;
use super::leaf::Place;
use super::merkle::{self, Hash, Nodes};
use super::note;
use super::sealer;
use crate::error::Reason;
use crate::{Advance, Cause, Lake, LakeError, RowError};

/// A seal and the signed note that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub seal: Seal,
    pub note: String,
}

/// The seals of a lake, in their order. Nothing of it is verified: see [`verify`](super::verify()).
#[derive(Clone, Debug, Default)]
pub struct SealChain {
    links: Vec<Link>,
}

impl SealChain {
    /// Reads all seals.
    ///
    /// # Errors
    ///
    /// [`LakeError`], also for a note that is none.
    pub async fn read(lake: &Lake) -> Result<Self, LakeError> {
        let mut links = Vec::new();
        for row in lake.read_seals_from(0).await? {
            let seal = note::text_of(&row.note).and_then(Seal::parse).map_err(|error| {
                let text = format!("seal {}: {error}", row.sequence);
                LakeError::unavailable(Table::Seals, Reason(text))
            })?;
            links.push(Link { seal, note: row.note });
        }
        Ok(Self { links })
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The seal that holds the record; `None` if it is not sealed yet.
    pub fn seal_of(&self, record: &Position) -> Option<&Link> {
        self.links.iter().find(|link| link.seal.holds(record))
    }

    /// The seal of this number and all that follow it, up to the newest head: what leads from one to
    /// the other.
    pub fn from(&self, sequence: i64) -> &[Link] {
        let at = self.links.partition_point(|link| link.seal.sequence < sequence);
        &self.links[at..]
    }
}

impl Seal {
    /// Whether the record is one of those that were sealed, as far as its place tells.
    pub fn holds(&self, record: &Position) -> bool {
        let Position { topic, partition, offset, part: _ } = record;
        self.ranges.iter().any(|(of, number, OffsetRange { start, end })| {
            of == topic && number == partition && start <= offset && offset < end
        })
    }

    /// The offsets of the records.
    pub(crate) fn advance(&self) -> Advance {
        let mut advance = Advance::default();
        for (topic, partition, range) in &self.ranges {
            advance.extend(topic, *partition, *range);
        }
        advance
    }
}

/// The records of one seal: the leaves of its tree, each with its place.
#[derive(Clone, Debug)]
pub struct SealedRecords {
    places: Vec<Place>,
    nodes: Nodes,
}

impl SealedRecords {
    /// Reads the records of a seal, events and rejects, from the lake. Holds the rows of the commit in
    /// memory while it does so, and 80 bytes a row and its topic afterwards.
    ///
    /// # Errors
    ///
    /// [`LakeError`]. Whether they are those that were sealed is for
    /// [`are_as_sealed`](Self::are_as_sealed) to say.
    pub async fn read(lake: &Lake, seal: &Seal) -> Result<Self, LakeError> {
        let unavailable = |cause| LakeError::unavailable(Table::Events, cause);
        let advance = seal.advance();
        let paths = seal.files.iter().map(|file| file.path.clone()).collect();
        let events = match sealer::read_files(lake, paths).await {
            Ok((_, events)) => events,
            // Its files were merged with others, and deleted since.
            Err(cause) if is_gone(&cause) => {
                lake.read(Table::Events, sealer::is_within(&advance)).await?
            }
            Err(cause) => return Err(unavailable(cause)),
        };
        let rejects = lake.read(Table::Rejects, sealer::is_within(&advance)).await?;
        let hashing = move || Self::of(&events, &rejects, &advance);
        let hashed = tokio::task::spawn_blocking(hashing).await;
        let records = hashed.map_err(|stopped| unavailable(stopped.into()))?;
        records.map_err(|cause| unavailable(cause.into()))
    }

    /// Of rows at hand; rejects beside `advance` are left out.
    pub(crate) fn of(
        events: &[RecordBatch],
        rejects: &[RecordBatch],
        advance: &Advance,
    ) -> Result<Self, RowError> {
        let leaves = super::sorted_leaves(events, rejects, advance)?.0;
        let (places, hashes) = leaves.into_iter().unzip();
        Ok(Self { places, nodes: Nodes::over(hashes) })
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether they are the records that `seal` was made of.
    pub fn are_as_sealed(&self, seal: &Seal) -> bool {
        self.places.len() as u64 == seal.records && self.nodes.root() == seal.root
    }

    /// What proves that a record is one of these; `None` if it is not.
    pub fn prove(&self, record: &Position) -> Option<Inclusion> {
        let Position { topic, partition, offset, part } = record;
        let wanted = (topic.as_str(), *partition, *offset, *part);
        let place = |place: &Place| {
            (place.topic.as_str(), place.partition, place.offset, place.part).cmp(&wanted)
        };
        let index = self.places.binary_search_by(place).ok()?;
        Some(Inclusion {
            index: index as u64,
            leaf: self.nodes.leaf(index),
            path: self.nodes.proof(index),
        })
    }
}

fn is_gone(cause: &Cause) -> bool {
    let cause = cause.downcast_ref::<object_store::Error>();
    cause.is_some_and(|cause| matches!(cause, object_store::Error::NotFound { .. }))
}

/// What proves that a row is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Number of the leaf, from 0, in the order of topic, partition, offset and part.
    pub index: u64,
    /// Computed by whoever verifies, from the row: see [`leaves`](super::leaves).
    pub leaf: Hash,
    /// The hashes beside the way to the root, from the bottom up (RFC 6962, section 2.1.1).
    pub path: Vec<Hash>,
}

impl Inclusion {
    /// Whether the leaf is in the tree of `seal`.
    pub fn leads_to(&self, seal: &Seal) -> bool {
        let (Ok(index), Ok(records)) = (usize::try_from(self.index), usize::try_from(seal.records))
        else {
            return false;
        };
        merkle::is_included(self.leaf, index, records, &self.path, &seal.root)
    }
}
