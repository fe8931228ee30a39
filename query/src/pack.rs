//! An evidence pack: a zip with rows, the proof that they are as they were sealed, and a report.
//!
//! Invariant: the bytes of a pack follow from its content alone: no clock, no time zone, no name of a
//! machine. What is in it can be verified without the lake and without a network.
//!
//! - [`zip`]: the container, written and read in one canonical form;
//! - [`member`]: one file on its way into the container, spilled to a temporary file;
//! - [`proof`]: what leads from rows to the root of a seal;
//! - [`chain`]: the seals of a pack, and what they say of completeness;
//! - [`verify`]: everything again, from the pack alone;
//! - [`compare`]: whether a file says the same as the rows.

pub(crate) mod chain;
mod compare;
pub(crate) mod manifest;
pub(crate) mod member;
pub(crate) mod proof;
mod verify;
pub(crate) mod zip;

pub use manifest::Subject;
pub use verify::{PackFlaw, PackScope, PackVerified, verify_pack};

/// The names of the files of a pack.
pub(crate) mod name {
    pub(crate) const CHAIN: &str = "seals.jsonl";
    pub(crate) const FACTS: &str = "facts.json";
    pub(crate) const KEY: &str = "key.txt";
    pub(crate) const MANIFEST: &str = "manifest.json";
    pub(crate) const PROOFS: &str = "proofs.jsonl";
    pub(crate) const QUERIES: &str = "queries.sql";
    pub(crate) const README: &str = "README.txt";
    pub(crate) const REPORT: &str = "report.html";
    pub(crate) const REPORT_PDF: &str = "report.pdf";
    /// The files of the events, without what they end in.
    pub(crate) const EVENTS: &str = "rows/events";
}
