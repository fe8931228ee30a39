//! [`ReplayPlan`]: which rejects are read again, in which order and under which numbers.
//!
//! Invariant (E1): the plans are a log. At each offset of [`Reject::REPLAY_TOPIC`] at which the events
//! table can stand there is at most one plan, written only if absent and never changed; so whoever
//! carries it out, once or again after a crash, here or on another machine, reads the same records at the
//! same offsets, as from a Kafka partition. A plan is made of rejects that had no event at that offset,
//! and only a commit that moves the offset gives a reject its event; so no reject gets two.

use std::collections::BTreeSet;

use bytes::Bytes;
use datafusion::logical_expr::{col, lit};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode};
use schemas::{Format, KafkaPartition, Offset, Offsets, Position, Reject, Table, Topic};
use serde::{Deserialize, Serialize};

use crate::rows::{decode_events, decode_rejects};
use crate::scan::session;
use crate::{Lake, LakeError};

/// The one partition of the topic.
const PARTITION: KafkaPartition = KafkaPartition(0);

/// The rejects without an event.
#[derive(Clone, Debug)]
pub struct OpenRejects {
    /// Where the next plan begins.
    pub start: Offset,
    /// In the order in which they were rejected.
    pub rejects: Vec<Reject>,
}

/// Rejects that are read again in one commit, numbered from the offset on under which the plan stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPlan {
    pub rejects: Vec<PlannedReject>,
}

/// One reject of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReject {
    pub position: Position,
    /// The format it is read in.
    pub format: Format,
}

impl Lake {
    /// The rejects that no event was made of, and where the next plan begins.
    ///
    /// # Errors
    ///
    /// [`LakeError`].
    pub async fn open_rejects(&self) -> Result<OpenRejects, LakeError> {
        let table = Table::Events;
        let topic = Topic::new(Reject::REPLAY_TOPIC);
        let unavailable = |cause| LakeError::unavailable(table, cause);
        // One version of the events tells both: the offset, and which rejects are behind it.
        let (mut start, mut resolved) = (Offset::START, BTreeSet::new());
        if let Some((snapshot, offsets)) = self.newest_with_offsets(table).await? {
            start = next_of(&offsets, &topic);
            if start != Offset::START {
                let reading = std::sync::Arc::new(self.reading(table, snapshot)?);
                let frame = session().and_then(|session| session.read_table(reading));
                let wanted = col("topic").eq(lit(topic.as_str()));
                let frame = frame.and_then(|frame| frame.filter(wanted)).map_err(unavailable)?;
                for batch in frame.collect().await.map_err(unavailable)? {
                    let events = decode_events(&batch)
                        .map_err(|cause| LakeError::unavailable(table, cause))?;
                    let places = events.iter().filter_map(|stamped| {
                        stamped.event.attributes.get(Reject::REPLAY_OF).map(str::to_owned)
                    });
                    resolved.extend(places);
                }
            }
        }
        let wanted = col("topic").not_eq(lit(topic.as_str()));
        let mut rejects = self.read_as(Table::Rejects, wanted, decode_rejects).await?;
        rejects.retain(|reject| !resolved.contains(&reject.position.to_string()));
        rejects.sort_by(|a, b| (a.rejected_at, &a.position).cmp(&(b.rejected_at, &b.position)));
        rejects.dedup_by(|a, b| a.position == b.position);
        Ok(OpenRejects { start, rejects })
    }

    /// The plan that begins at `start`; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`], also for a plan that cannot be read.
    pub async fn replay_plan(&self, start: Offset) -> Result<Option<ReplayPlan>, LakeError> {
        let unavailable = |cause| LakeError::unavailable(Table::Rejects, cause);
        let found = match self.root().get(&self.place_of(start)).await {
            Ok(found) => found.bytes().await.map_err(unavailable)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(cause) => return Err(unavailable(cause)),
        };
        let plan = serde_json::from_slice(&found);
        plan.map(Some).map_err(|cause| LakeError::unavailable(Table::Rejects, cause))
    }

    /// Keeps a plan that begins at `start`, and returns the one that stands there: this one, or another
    /// process' that was quicker.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`].
    pub async fn keep_replay_plan(
        &self,
        start: Offset,
        plan: &ReplayPlan,
    ) -> Result<ReplayPlan, LakeError> {
        assert!(!plan.rejects.is_empty(), "a plan without rejects would never move the table");
        let bytes = serde_json::to_vec(plan)
            .map_err(|cause| LakeError::unavailable(Table::Rejects, cause))?;
        let (place, bytes) = (self.place_of(start), Bytes::from(bytes));
        // Whatever is answered, what stands there then is the plan.
        let answer = self.root().put_opts(&place, bytes.into(), PutMode::Create.into()).await;
        match (self.replay_plan(start).await?, answer) {
            (Some(standing), _) => Ok(standing),
            (None, Err(cause)) => Err(LakeError::unavailable(Table::Rejects, cause)),
            (None, Ok(_)) => Err(LakeError::Gone { table: Table::Rejects }),
        }
    }

    /// `_replays/00000000000000000042.json` in the lake.
    fn place_of(&self, start: Offset) -> Path {
        let url = self.url().join(&format!("_replays/{:020}.json", start.0));
        let url = url.expect("a number is a part of a path");
        Path::from_url_path(url.path()).expect("made of a location's path and a number")
    }
}

fn next_of(offsets: &Offsets, topic: &Topic) -> Offset {
    offsets.next_of(topic, PARTITION).unwrap_or(Offset::START)
}

#[cfg(test)]
mod tests {
    use schemas::{OffsetRange, RejectReason};

    use super::*;
    use crate::fixtures::{at, event, local, now, position};
    use crate::{Advance, EventRows, RejectRows};

    fn reject(offset: i64) -> Reject {
        Reject {
            position: position(KafkaPartition(0), offset),
            record_time: None,
            rejected_at: at("2026-03-01T00:00:00Z")
                .plus(std::time::Duration::from_secs(u64::try_from(100 - offset).unwrap())),
            format: Format::Okta,
            reason: RejectReason::BadField,
            detail: "wanted field `x`, found none".to_owned(),
            raw: b"{}".to_vec(),
            raw_bytes: 2,
        }
    }

    async fn with_rejects(lake: &Lake, offsets: &[i64]) {
        let mut rows = RejectRows::with_capacity(0);
        for offset in offsets {
            rows.push(&reject(*offset));
        }
        let mut advance = Advance::default();
        let range = OffsetRange { start: Offset(0), end: Offset(100) };
        advance.extend(&reject(0).position.topic, KafkaPartition(0), range);
        let mut table = lake.table(Table::Rejects).await.unwrap();
        table.append(vec![rows.finish()], &advance, now()).await.unwrap();
    }

    fn planned(offset: i64) -> PlannedReject {
        PlannedReject { position: position(KafkaPartition(0), offset), format: Format::Okta }
    }

    #[tokio::test]
    async fn a_reject_is_open_until_an_event_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let lake = local(folder.path());
        assert!(lake.open_rejects().await.unwrap().rejects.is_empty());
        with_rejects(&lake, &[3, 5, 9]).await;

        let open = lake.open_rejects().await.unwrap();
        let places = |open: &OpenRejects| -> Vec<i64> {
            open.rejects.iter().map(|reject| reject.position.offset.0).collect()
        };
        assert_eq!((open.start, places(&open)), (Offset(0), vec![9, 5, 3]), "the oldest first");

        let mut stamped = event(KafkaPartition(0), 0);
        stamped.position.topic = Topic::new(Reject::REPLAY_TOPIC);
        let place = planned(5).position.to_string();
        stamped.event.attributes.insert(Reject::REPLAY_OF, &place);
        // One of another topic proves nothing: anybody can write an attribute.
        let mut claimed = event(KafkaPartition(1), 0);
        claimed.event.attributes.insert(Reject::REPLAY_OF, &planned(3).position.to_string());
        let mut rows = EventRows::with_capacity(2);
        rows.push(&stamped);
        rows.push(&claimed);
        let mut advance = Advance::default();
        let range = OffsetRange { start: Offset(0), end: Offset(1) };
        advance.extend(&stamped.position.topic, KafkaPartition(0), range);
        advance.extend(&claimed.position.topic, KafkaPartition(1), range);
        let mut table = lake.table(Table::Events).await.unwrap();
        table.append(vec![rows.finish()], &advance, now()).await.unwrap();

        let open = lake.open_rejects().await.unwrap();
        assert_eq!((open.start, places(&open)), (Offset(1), vec![9, 3]));
    }

    #[tokio::test]
    async fn of_two_plans_for_one_offset_the_first_stands() {
        let folder = tempfile::tempdir().unwrap();
        let lake = local(folder.path());
        let one = ReplayPlan { rejects: vec![planned(3), planned(5)] };
        let other = ReplayPlan { rejects: vec![planned(9)] };
        assert_eq!(lake.replay_plan(Offset::START).await.unwrap(), None);

        assert_eq!(lake.keep_replay_plan(Offset::START, &one).await.unwrap(), one);
        assert_eq!(lake.keep_replay_plan(Offset::START, &other).await.unwrap(), one);
        assert_eq!(lake.keep_replay_plan(Offset(6), &other).await.unwrap(), other);
        assert_eq!(lake.replay_plan(Offset::START).await.unwrap(), Some(one));
    }
}
