//! Rows of the table `counterparty_edges`: who dealt with whom.
//!
//! A row is what one commit adds to an edge; who reads the table takes the smallest `first_time`,
//! the largest `last_time` and the sum of `events` of an edge. So a commit never reads the table, and
//! the table's own offsets keep it in step with `events`: rows and marks are in one commit here too.

use std::collections::BTreeMap;

use arrow::array::{Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use schemas::{AgentId, CounterpartyId, Offsets, StampedEvent, Table, Timestamp};

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

/// The edges of those events that are not below `offsets` (what the table has already), sorted by
/// agent and counterparty.
pub fn edges_of<'a>(
    events: impl IntoIterator<Item = &'a StampedEvent>,
    offsets: &Offsets,
) -> Vec<Edge> {
    let mut edges: BTreeMap<(&AgentId, &CounterpartyId), Edge> = BTreeMap::new();
    for StampedEvent { event, position, .. } in events {
        let Some(counterparty) = &event.counterparty_id else { continue };
        if !offsets.is_empty() && offsets.covers(position) {
            continue;
        }
        let edge = edges.entry((&event.agent_id, counterparty)).or_insert_with(|| Edge {
            agent_id: event.agent_id.clone(),
            counterparty_id: counterparty.clone(),
            first_time: event.time,
            last_time: event.time,
            events: 0,
        });
        edge.first_time = edge.first_time.min(event.time);
        edge.last_time = edge.last_time.max(event.time);
        edge.events += 1;
    }
    edges.into_values().collect()
}

/// Rows of `counterparty_edges` while they are collected.
#[derive(Debug)]
pub struct EdgeRows {
    agent_id: StringBuilder,
    counterparty_id: StringBuilder,
    first_time: TimestampMicrosecondBuilder,
    last_time: TimestampMicrosecondBuilder,
    events: Int64Builder,
    rows: usize,
}

impl Default for EdgeRows {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl EdgeRows {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            agent_id: texts(rows),
            counterparty_id: texts(rows),
            first_time: times(rows),
            last_time: times(rows),
            events: Int64Builder::with_capacity(rows),
            rows: 0,
        }
    }

    pub fn push(&mut self, edge: &Edge) {
        self.agent_id.append_value(&edge.agent_id);
        self.counterparty_id.append_value(&edge.counterparty_id);
        self.first_time.append_value(edge.first_time.as_micros());
        self.last_time.append_value(edge.last_time.as_micros());
        self.events.append_value(i64::try_from(edge.events).unwrap_or(i64::MAX));
        self.rows += 1;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows as columns of [`Table::CounterpartyEdges`]; none are left here.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
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
