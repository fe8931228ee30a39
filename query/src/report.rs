//! Reports: what was done in a sponsor's name, by an agent, or how much of everything leads to a sponsor,
//! as an evidence pack.
//!
//! Invariant: the figures of a report are counted from the very rows that are in its pack ([`tally`]),
//! so that whoever has the pack counts the same; only what is not in the rows comes from statements
//! ([`statements`]), which are in the pack too.
//!
//! - [`build`]: from the lake to a pack;
//! - [`facts`]: everything that the report for people says;
//! - [`html`] and [`plots`]: the report for people; [`pdf`]: the same as pages.

mod build;
pub(crate) mod facts;
pub(crate) mod html;
pub(crate) mod pdf;
mod plots;
mod rows;
mod statements;
pub(crate) mod tally;

use schemas::Timestamp;

use crate::Subject;

pub use build::{ReportError, Request, Written, write_report};

/// The release that this build is of.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// `queries.sql` of such a report.
pub(crate) fn queries(subject: &Subject, from: Timestamp, to: Timestamp) -> String {
    statements::Statements::of(subject, from, to).text()
}

#[cfg(test)]
mod tests;
