//! The design's scenario: a procurement agent approves orders of shell companies.
//!
//! Invariant: [`FRAUD_ORDERS`] approvals, each 47,500 to 49,990, together exactly
//! [`FRAUD_TOTAL_CENTS`].

use schemas::Timestamp;

use super::{Doing, Intruder, pause};
use crate::class::{Resource, Step};
use crate::company::{Agent, Company};
use crate::draw::Draw;
use crate::event::{SimulatedEvent, currency};
use crate::party::Party;

/// The agent that is compromised.
pub const FRAUD_AGENT: &str = "procurement-agent-3";
/// How many orders of shell companies it approves.
pub const FRAUD_ORDERS: u32 = 65;
/// What the approved orders sum to: 3.2 million euros.
pub const FRAUD_TOTAL_CENTS: i64 = 320_000_000;

/// 3.2 million by 65, rounded down.
const MEAN_CENTS: i64 = FRAUD_TOTAL_CENTS / FRAUD_ORDERS as i64;
/// Most that an order differs from the mean: 49,230.76 + 759.00 stays below 49,990.
const SPREAD_CENTS: u32 = 75_900;

const CREATE: Step = Step::write("order.create", "purchase_order", Resource::Subject("po")).paid();
const APPROVE: Step =
    Step::write("order.approve", "purchase_order", Resource::Subject("po")).paid();

pub(super) fn fraud(company: &Company, start: Timestamp, mut draw: Draw) -> Vec<SimulatedEvent> {
    let is_victim = |agent: &&Agent| agent.id.as_str() == FRAUD_AGENT;
    let agent = company.agents.iter().find(is_victim).expect("one of the first ten agents");
    let mut intruder = Intruder::new(company, agent, &mut draw);
    let euro = Some(currency("EUR"));
    let mut time = start;
    for cents in amounts(&mut draw) {
        let mut with = Doing::new(agent, &mut draw);
        with.party = Some(Party::shell_company(draw.below(Party::SHELL_COMPANIES)));
        with.cents = Some(cents);
        intruder.act(time, &CREATE, with).event.currency = euro;
        let approval = intruder.act(time.plus(pause(2, 9, &mut draw)), &APPROVE, with);
        approval.event.currency = euro;
        approval.truth.is_fraudulent_order = true;
        time = time.plus(pause(20, 90, &mut draw));
    }
    intruder.events
}

/// Pairs around the mean, and one order that takes what rounding left.
fn amounts(draw: &mut Draw) -> Vec<i64> {
    let mut amounts = Vec::new();
    for _ in 0..FRAUD_ORDERS / 2 {
        let apart = i64::from(draw.below(SPREAD_CENTS));
        amounts.push(MEAN_CENTS + apart);
        amounts.push(MEAN_CENTS - apart);
    }
    amounts.push(FRAUD_TOTAL_CENTS - amounts.iter().sum::<i64>());
    // Fisher and Yates, so that pairs do not stand beside each other.
    for last in (1..FRAUD_ORDERS).rev() {
        amounts.swap(last as usize, draw.below(last + 1) as usize);
    }
    amounts
}
