//! Events to findings: baselines, detectors, webhooks.
//!
//! Invariant: the detector does no IO and reads no clock; it is a function of the records (D1).
//!
//! Layout, in the order a newcomer wants it:
//! - [`Detector`] (`detector.rs`): folds batches, shard by shard, hour by hour (`clock.rs`);
//! - `shard.rs`: one event from facts (`facts.rs`) through signs (`signs.rs`) and a verdict
//!   (`score.rs`) to a finding (`explain.rs`, numbers by `figures.rs`), and then learned (`learning.rs`);
//! - `agent.rs`: what is remembered of an agent: whom it deals with (`counterparty.rs`, `memory.rs`,
//!   `novelty.rs`), with how many (`fan.rs`), how much it does (`volume.rs`), when (`rhythm.rs`), from
//!   where (`origin.rs`), what it pays (`amount.rs`, `purse.rs`) and to strangers (`exposure.rs`);
//! - `sums.rs`, `class.rs`, `population.rs`: what agents of a class have in common, and those of a model
//!   (`fleet.rs`); `voter.rs`: whose word counts there; `calibration.rs`: how unusual is unusual;
//! - `copies.rs`: which events are copies of others: they count for nothing;
//! - `guidance.rs`: what people told of findings and of what is to come;
//! - `slab.rs`: where agents lie, `index.rs`: under which number; `checkpoint.rs`: [`Snapshot`]; `config.rs`: [`Config`];
//! - [`evaluate`]: labelled streams through the detector, and how well it does;
//! - [`webhook`]: findings to the outside.

mod agent;
mod amount;
mod calibration;
mod checkpoint;
mod class;
mod clock;
mod config;
mod copies;
mod counterparty;
mod detector;
pub mod evaluate;
mod explain;
mod exposure;
mod facts;
mod fan;
mod figures;
mod fleet;
mod flood;
mod gone;
mod guidance;
mod hash;
mod index;
mod lapses;
mod learning;
mod memory;
mod novelty;
mod origin;
mod pack;
mod population;
mod prefetch;
mod purse;
mod rhythm;
mod rough;
#[cfg(test)]
mod sample;
mod score;
mod shard;
mod signs;
mod slab;
mod sums;
mod tails;
mod volume;
mod voter;
pub mod webhook;

pub use checkpoint::{CheckpointError, Snapshot};
pub use config::{Ablation, Budgets, Config, Detectors, Weight};
pub use copies::Fingerprint;
pub use detector::{Detector, Stats};
pub use score::{Assessment, Score};
