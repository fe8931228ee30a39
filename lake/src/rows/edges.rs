//! Rows of the table `counterparty_edges`: who dealt with whom.
//!
//! A row is what one commit adds to an edge; who reads the table takes the smallest `first_time`,
//! the largest `last_time` and the sum of `events` of an edge. So a commit never reads the table, and
//! the table's own offsets keep it in step with `events`: rows and marks are in one commit here too.

use arrow::array::{
    Array as _, AsArray as _, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::HashMap;
use schemas::{AgentId, CounterpartyId, Table, Timestamp};

use super::columns::{Columns, RowError, batch, finished, texts, times};

/// What some events say of one agent and one counterparty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub agent_id: AgentId,
    pub counterparty_id: CounterpartyId,
    /// Time of the first of the events.
    pub first_time: Timestamp,
    /// Time of the last of the events.
    pub last_time: Timestamp,
    pub events: u64,
}

/// What was seen of one edge so far.
struct Uses {
    first_us: i64,
    last_us: i64,
    events: i64,
}

/// Distinct counterparties of one agent for which the memory is kept for the next agent.
const KEPT_MAX: usize = 1_024;

/// What [`edges_of`] looks at.
pub(crate) const EDGE_COLUMNS: &[&str] = &["agent_id", "counterparty_id", "time", "dup_of"];

/// The edges of `events` (columns of [`Table::Events`], of which it looks at [`EDGE_COLUMNS`]) as columns of
/// [`Table::CounterpartyEdges`]. Copies do not count.
///
/// Events that are sorted by agent give one row for each edge; in any other order an edge may have
/// several, which mean the same. Agent by agent, a look-up stays in the nearest cache: one table of all
/// edges costs eight times as much.
pub(crate) fn edges_of(events: &[RecordBatch]) -> RecordBatch {
    let mut rows = EdgeRows::with_capacity(0);
    let mut uses: HashMap<&str, Uses> = HashMap::new();
    let mut agent = "";
    for batch in events {
        let agents = batch["agent_id"].as_string::<i32>();
        let counterparties = batch["counterparty_id"].as_string::<i32>();
        let times = batch["time"].as_primitive::<TimestampMicrosecondType>().values();
        let copies = batch["dup_of"].as_string::<i32>();
        let counts = |row: &usize| counterparties.is_valid(*row) && copies.is_null(*row);
        for row in (0..batch.num_rows()).filter(counts) {
            if agents.value(row) != agent {
                rows.take(agent, &mut uses);
                agent = agents.value(row);
            }
            let time_us = times[row];
            let uses = uses.entry(counterparties.value(row)).or_insert(Uses {
                first_us: time_us,
                last_us: time_us,
                events: 0,
            });
            uses.first_us = uses.first_us.min(time_us);
            uses.last_us = uses.last_us.max(time_us);
            uses.events += 1;
        }
    }
    rows.take(agent, &mut uses);
    rows.finish()
}

/// Rows of `counterparty_edges` while they are collected.
struct EdgeRows {
    agent_id: StringBuilder,
    counterparty_id: StringBuilder,
    first_time: TimestampMicrosecondBuilder,
    last_time: TimestampMicrosecondBuilder,
    events: Int64Builder,
}

impl EdgeRows {
    fn with_capacity(rows: usize) -> Self {
        Self {
            agent_id: texts(rows),
            counterparty_id: texts(rows),
            first_time: times(rows),
            last_time: times(rows),
            events: Int64Builder::with_capacity(rows),
        }
    }

    /// Everything about one agent; nothing is left in `uses`.
    fn take(&mut self, agent: &str, uses: &mut HashMap<&str, Uses>) {
        for (counterparty, uses) in uses.drain() {
            self.push(agent, counterparty, &uses);
        }
        if KEPT_MAX < uses.capacity() {
            uses.shrink_to(0);
        }
    }

    fn push(&mut self, agent: &str, counterparty: &str, uses: &Uses) {
        self.agent_id.append_value(agent);
        self.counterparty_id.append_value(counterparty);
        self.first_time.append_value(uses.first_us);
        self.last_time.append_value(uses.last_us);
        self.events.append_value(uses.events);
    }

    fn finish(&mut self) -> RecordBatch {
        let columns = finished![
            self.agent_id,
            self.counterparty_id,
            self.first_time,
            self.last_time,
            self.events,
        ];
        batch(Table::CounterpartyEdges, columns)
    }
}

/// The edges of a batch with the columns of [`Table::CounterpartyEdges`].
///
/// # Errors
///
/// [`RowError`] for a value that is not one of ours.
pub fn decode_edges(batch: &RecordBatch) -> Result<Vec<Edge>, RowError> {
    let columns = Columns(batch);
    let agent_id = columns.texts("agent_id")?;
    let counterparty_id = columns.texts("counterparty_id")?;
    let first_time = columns.numbers::<TimestampMicrosecondType>("first_time")?;
    let last_time = columns.numbers::<TimestampMicrosecondType>("last_time")?;
    let events = columns.numbers::<Int64Type>("events")?;
    let read = |row| {
        Ok(Edge {
            agent_id: agent_id.one(row, AgentId::try_from)?,
            counterparty_id: counterparty_id.one(row, CounterpartyId::try_from)?,
            first_time: first_time.time(row)?,
            last_time: last_time.time(row)?,
            events: events.one(row, u64::try_from)?,
        })
    };
    (0..batch.num_rows()).map(read).collect()
}
