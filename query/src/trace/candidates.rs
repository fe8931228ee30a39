//! How likely each candidate of a shared credential is, by the credential's uses around the event.
//!
//! Invariant (T1): a gap stays a gap, whatever the uses tell: no candidate is picked, none is added or
//! left out, and their probabilities sum to 1. Only uses that were read by the time asked about count, so
//! the answer of a day stays that day's.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::prelude::{col, lit};
use futures::StreamExt as _;
use schemas::{CredentialEvent, Gap, Table, Timestamp};

use super::{Ledger, unreadable};
use crate::error::QueryError;
use crate::unmix::{Row, Split, Unmixer, take};

/// Uses this long before and after the event are split. Weeks tell habits; months cost.
const AROUND: Duration = Duration::from_hours(15 * 24);
/// Most uses that are split for one trace: some seconds.
const USES_MAX: usize = 100_000;
/// What the split looks at.
const COLUMNS: &[&str] = &[
    "event_id",
    "time",
    "agent_id",
    "session_id",
    "source_ip",
    "user_agent",
    "action",
    "sponsor_id",
];

impl Ledger {
    /// Weighs the candidates of `gap`, if the uses of the credential tell them apart.
    ///
    /// # Errors
    ///
    /// [`QueryError::Lake`].
    pub(super) async fn weigh(
        &self,
        event: &CredentialEvent,
        gap: &mut Gap,
        known_at: Timestamp,
    ) -> Result<(), QueryError> {
        let (mut unmixer, mut rows) = (Unmixer::default(), Vec::new());
        let uses = self.uses_around(event, known_at);
        let mut uses = uses.await.map_err(unreadable)?;
        while let Some(batch) = uses.next().await {
            let is_taken = take(&batch.map_err(unreadable)?, &mut unmixer, &mut rows)?;
            if !is_taken || USES_MAX < rows.len() {
                return Ok(());
            }
        }
        let Some(number) = rows.iter().position(|row| row.event_id == event.event_id.as_str())
        else {
            return Ok(());
        };
        let candidates = gap.candidates.iter().map(|one| one.agent_id.as_str()).collect::<Vec<_>>();
        let Some(weights) = weights(&unmixer.finish(), &rows, number, &candidates) else {
            return Ok(());
        };
        for (candidate, weight) in gap.candidates.iter_mut().zip(weights) {
            #[expect(clippy::cast_possible_truncation, reason = "a probability to be read")]
            let probability = weight as f32;
            candidate.probability = probability;
        }
        let uses = rows.len();
        gap.reason = format!("{}; {uses} uses within 15 days tell how likely each is", gap.reason);
        Ok(())
    }

    async fn uses_around(
        &self,
        event: &CredentialEvent,
        known_at: Timestamp,
    ) -> Result<datafusion::execution::SendableRecordBatchStream, DataFusionError> {
        let at = |time: Timestamp| -> Expr {
            lit(ScalarValue::TimestampMicrosecond(Some(time.as_micros()), Some("UTC".into())))
        };
        let is_use = col("credential_id")
            .eq(lit(event.credential_id.as_str()))
            .and(col("time").gt_eq(at(event.time.minus(AROUND))))
            .and(col("time").lt_eq(at(event.time.plus(AROUND))))
            .and(col("ingested_at").lt_eq(at(known_at)));
        let events = self.context.table(Table::Events.name()).await?;
        let order = ["time", "event_id"].map(|name| col(name).sort(true, false)).to_vec();
        let uses = events.filter(is_use)?.select_columns(COLUMNS)?.sort(order)?;
        uses.limit(0, Some(USES_MAX + 1))?.execute_stream().await
    }
}

/// How likely it is that the use of this number is each candidate's; nothing if no use of its likely
/// users bears the id of a candidate.
///
/// A user's uses that bear candidates' ids say which candidate the user is; one whose uses bear none of
/// them may be any.
#[expect(clippy::cast_precision_loss, reason = "numbers of uses")]
fn weights(split: &Split, rows: &[Row], number: usize, candidates: &[&str]) -> Option<Vec<f64>> {
    let mut bearing: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(candidate) = candidates.iter().position(|id| *id == row.agent_id) else {
            continue;
        };
        let user = split.likely(at)[0].user;
        bearing.entry(user).or_insert_with(|| vec![0; candidates.len()])[candidate] += 1;
    }
    let likely = split.likely(number);
    if !likely.iter().any(|one| bearing.contains_key(&one.user)) {
        return None;
    }
    let mut weights = vec![0.0; candidates.len()];
    for one in likely {
        let uses = bearing.get(&one.user);
        let all: u64 = uses.map_or(0, |uses| uses.iter().sum());
        for (candidate, weight) in weights.iter_mut().enumerate() {
            let share = match uses {
                Some(uses) => uses[candidate] as f64 / all as f64,
                None => 1.0 / candidates.len() as f64,
            };
            *weight += one.probability * share;
        }
    }
    // The most unlikely users are left out of a split.
    let sum: f64 = weights.iter().sum();
    (0.0 < sum).then(|| weights.into_iter().map(|weight| weight / sum).collect())
}
