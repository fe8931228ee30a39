//! A seeded company whose agents use credentials, with attacks and their ground truth.
//!
//! Invariant: the same [`Settings`] give the same events, byte for byte, on every machine; an
//! attack adds events and changes none of the others; cutting a range of time in two changes
//! nothing.
//!
//! Layout, in the order a newcomer wants it:
//! - [`Company`], [`Settings`] (`company.rs`): agents, sponsors, and the days of the story;
//! - [`Company::events`] (`stream.rs`): all events in the order of time;
//! - [`SimulatedEvent`], [`Truth`] (`event.rs`): an event as producers write it, and what is true;
//! - [`Company::attack`], [`ScenarioKind`] (`attack.rs`): what attackers do;
//! - [`Company::registry_changes`] (`registry.rs`): what the company told of its agents;
//! - [`Company::lapses`] (`lapse.rs`): what is wrong with credentials, agents and grants;
//! - [`output`]: JSON Lines; [`cloudtrail`]: the same as AWS would tell it; [`bench_events`]: many events at little cost.
//!
//! Below these: classes of agents as constant data (`class.rs`), sessions (`session.rs`),
//! counterparties (`party.rs`), random numbers (`draw.rs`).

mod attack;
mod bench;
mod class;
pub mod cloudtrail;
mod company;
mod draw;
mod event;
mod lapse;
pub mod output;
mod party;
mod registry;
mod reorganisation;
mod session;
mod stream;

pub use attack::{FRAUD_AGENT, FRAUD_ORDERS, FRAUD_TOTAL_CENTS, Scenario, ScenarioKind};
pub use bench::{bench_events, half_of_one_agent};
pub use company::{Company, Settings};
pub use event::{SimulatedEvent, Truth};
pub use lapse::Lapse;
pub use session::BenignSurprise;
pub use stream::Events;

#[cfg(test)]
mod tests;
