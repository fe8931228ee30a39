//! Rows from our types, and back. One file for each table.
//!
//! Invariant: a row holds everything of what it was made of, so that making a row and reading it
//! back gives an equal value; columns stand in the order of [`schemas::Table::columns`].

mod columns;
mod deliveries;
mod edges;
mod events;
mod findings;
mod registry;
mod rejects;
mod seals;

pub use columns::RowError;
pub use deliveries::{Delivery, DeliveryRows, decode_deliveries};
pub(crate) use edges::{EDGE_COLUMNS, edges_of};
pub use edges::{Edge, decode_edges};
pub use events::{EventRows, decode_events};
pub use findings::{FindingRows, decode_findings};
pub use registry::{RegistryRows, decode_registry};
pub use rejects::{RejectRows, decode_rejects};
pub(crate) use seals::seal_row;
pub use seals::{SealRow, decode_seals};

#[cfg(test)]
mod tests;
