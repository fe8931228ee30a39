//! Seals of whole lakes in memory: made, interrupted, tampered with.

#![expect(clippy::unwrap_used, reason = "a test says by panicking what is not true")]

mod earlier;
mod making;
mod parts;
mod storage;
mod tampering;
mod untouched;
mod upkeep;
mod witnesses;
mod world;
