//! The engine from outside: what people ask, what is refused, and what errors say.
//!
//! Invariant: every test asks the same small lake (`fixture.rs`).

#![expect(clippy::unwrap_used, reason = "a test may fail wherever it is")]

mod documents;
mod edges;
mod errors;
mod fixture;
mod formats;
mod plans;
mod refusals;
mod slt;
mod traces;
