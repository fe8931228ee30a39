//! The upkeep of the lake while the service runs: one task that owns it.
//!
//! Invariant: the loop never waits for it and never knows of it. It works on one core and leaves half of that to
//! others, has its own handles on the tables, and ends between two steps when it is told to. What fails
//! is told and tried again the next time; the service goes on. One process at a time does it (a lease).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lake::seal::SealKey;
use lake::upkeep::{
    Compacted, Days, Group, Lease, LeaseError, Pace, Retained, Sizes, Swept, TableStatus, Taken,
    Upkeep,
};
use lake::{Lake, LakeError};
use schemas::{Table, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{self, HorizonHours};

/// How long the lease of one process lasts: longer than merging one group takes.
pub(crate) const LEASE: Duration = Duration::from_mins(10);

/// How often old files are looked for.
const VACUUM_EVERY: Duration = Duration::from_hours(24);

/// The longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What is to be kept how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) sizes: BTreeMap<Table, Sizes>,
    pub(crate) days: BTreeMap<Table, Days>,
    pub(crate) horizon: HorizonHours,
}

impl Plan {
    pub(crate) fn of(config: &config::Lake) -> Self {
        let sizes = |table: &Table| (*table, config.upkeep.sizes(*table, &config.retention));
        Self {
            sizes: Table::ALL.iter().map(sizes).collect(),
            days: config.retention.days(),
            horizon: config.upkeep.horizon_hours,
        }
    }
}

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

/// Keeps the lake every `interval`, until `stop`.
pub(crate) async fn keep(
    (lake, key): (Lake, Arc<SealKey>),
    plan: Plan,
    (owner, interval): (String, Duration),
    stop: CancellationToken,
) {
    let upkeep = Upkeep::new(&lake, key);
    let keeper = Keeper { lake, upkeep, plan, owner, stop };
    loop {
        tokio::select! {
            () = keeper.stop.clone().cancelled_owned() => return,
            () = tokio::time::sleep(interval) => {}
        }
        if let Err(error) = keeper.round().await {
            metrics::counter!("surety_upkeep_failures_total").increment(1);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lake was not kept, trying again later"
            );
        }
    }
}

struct Keeper {
    lake: Lake,
    upkeep: Upkeep,
    plan: Plan,
    owner: String,
    stop: CancellationToken,
}

impl Keeper {
    /// One round over all tables, unless another process is at it.
    async fn round(&self) -> Result<(), RoundError> {
        let standing = Upkeep::status(&self.lake, self.plan.sizes[&Table::Events], None).await?;
        standing.iter().for_each(publish);
        if standing.is_empty() {
            return Ok(());
        }
        let taken = Lease::take(&self.lake, &self.owner, clock::now(), LEASE).await?;
        let Taken::Ours(mut lease) = taken else { return Ok(()) };
        let mut outcome = Ok(());
        for TableStatus { table, .. } in standing {
            outcome = self.table(table, &mut lease).await;
            let is_over = outcome.is_err() || self.stop.is_cancelled();
            if is_over || !lease.renew(clock::now()).await? {
                break;
            }
        }
        lease.release(clock::now()).await?;
        outcome
    }

    async fn table(&self, table: Table, lease: &mut Lease) -> Result<(), RoundError> {
        let mut done = lease.done(table);
        if let Some(days) = self.plan.days.get(&table).copied() {
            let retained = self.upkeep.retain(table, days, clock::now(), false).await?;
            tell_retained(table, &retained);
        }
        for group in self.upkeep.plan(table, self.plan.sizes[&table]).await? {
            let pace = leaving_half(self.stop.clone());
            let merged = self.upkeep.compact(&group, clock::now(), pace).await?;
            if let Some(compacted) = merged {
                tell_compacted(&group, &compacted);
                done.compacted = Some(clock::now());
                lease.note(table, done);
            }
            if self.stop.is_cancelled() || !lease.renew(clock::now()).await? {
                return Ok(());
            }
        }
        let is_due = |last: Timestamp| VACUUM_EVERY <= clock::now().since(last);
        if done.vacuumed.is_none_or(is_due) {
            let HorizonHours(horizon) = self.plan.horizon;
            let swept = self.upkeep.vacuum(table, horizon, clock::now(), false).await?;
            tell_swept(table, &swept);
            done.vacuumed = Some(clock::now());
            lease.note(table, done);
        }
        self.upkeep.keep_log_short(table).await?;
        Ok(())
    }
}

/// Works half of the time, on one core: after each step as long a pause as the step took.
fn leaving_half(stop: CancellationToken) -> Arc<Pace> {
    let last = Mutex::new(Instant::now());
    Arc::new(move || {
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::thread::sleep(last.elapsed().min(PAUSE_MAX));
        *last = Instant::now();
        ControlFlow::Continue(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
fn publish(standing: &TableStatus) {
    let labels = [("table", standing.table.name())];
    metrics::gauge!("surety_lake_files", &labels).set(standing.files as f64);
    metrics::gauge!("surety_lake_small_files", &labels).set(standing.small_files as f64);
    metrics::gauge!("surety_lake_rows", &labels).set(standing.rows as f64);
    metrics::gauge!("surety_lake_bytes", &labels).set(standing.bytes as f64);
    metrics::gauge!("surety_lake_log_entries", &labels).set(standing.log_entries as f64);
}

fn tell_compacted(group: &Group, compacted: &Compacted) {
    let table = group.table().name();
    metrics::counter!("surety_compactions_total", "table" => table).increment(1);
    let files = compacted.files_before as u64;
    metrics::counter!("surety_compacted_files_total", "table" => table).increment(files);
    metrics::counter!("surety_compacted_rows_total", "table" => table).increment(compacted.rows);
    tracing::info!(
        table,
        files,
        rows = compacted.rows,
        bytes_before = compacted.bytes_before,
        bytes_after = compacted.bytes_after,
        "files merged into one"
    );
}

fn tell_swept(table: Table, swept: &Swept) {
    let (table, files) = (table.name(), swept.files as u64);
    metrics::counter!("surety_vacuumed_files_total", "table" => table).increment(files);
    metrics::counter!("surety_vacuumed_bytes_total", "table" => table).increment(swept.bytes);
    if 0 < files {
        tracing::info!(table, files, bytes = swept.bytes, "old files deleted");
    }
}

fn tell_retained(table: Table, retained: &Retained) {
    let table = table.name();
    metrics::counter!("surety_retained_rows_total", "table" => table).increment(retained.rows);
    if 0 < retained.files {
        tracing::info!(
            table,
            files = retained.files,
            rows = retained.rows,
            bytes = retained.bytes,
            "days removed that are not kept"
        );
    }
}
