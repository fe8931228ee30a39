//! SQL, views and traces over the lake, read only.
//!
//! Invariant (Q1): no statement writes, reads a file of the machine or leaves its limits.
//!
//! Layout, in the order a newcomer wants it:
//! - [`Engine`] (`engine.rs`): takes a statement, gives an [`Answer`] (`answer.rs`);
//! - `statement.rs`: what a statement may be: its size, its depth, and that it only reads;
//!   `bounds.rs`: what its functions may make of it;
//! - `views.rs` and `views/*.sql`: the published views; `json_get.rs`: the function they lean on;
//! - [`TraceAnswer`] (`trace.rs`): who answers for an event, and how we know;
//! - [`unmix`] (`unmix.rs`): who uses a shared credential, by what the uses have in common;
//! - [`Format`] (`format.rs`): answers as table, JSON, CSV, Parquet and Arrow;
//! - [`report`] (`report.rs`): evidence packs, and [`verify_pack`] (`pack.rs`), which needs no lake;
//! - [`posture`] (`posture.rs` and `posture/*.sql`): the seven figures of a company;
//! - [`Screen`] (`screen.rs`), [`prompt`] (`prompt.rs`): a person at a terminal;
//! - [`QueryError`] (`error.rs`): what went wrong, by what the caller does about it.

mod answer;
mod bounds;
mod engine;
mod error;
mod format;
mod json_get;
mod pack;
pub mod posture;
pub mod prompt;
pub mod report;
mod screen;
mod statement;
mod trace;
pub mod unmix;
mod views;

pub use answer::{Answer, Progress, Watch};
pub use engine::{Budget, Engine, Limits, Relation, RelationColumn};
pub use error::{NameKind, Place, QueryError, Spot};
pub use format::{Destination, Encoded, Format, WriteError, write_answer, write_rows};
pub use pack::{PackFlaw, PackScope, PackVerified, Subject, verify_pack};
pub use screen::{Screen, ShowError, Shown};
pub use statement::split_statements;
pub use trace::{EventSummary, Stamp, TraceAnswer};
