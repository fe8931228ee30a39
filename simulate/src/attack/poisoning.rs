//! Slow poisoning: a payee made trusted first, then paid ever more.
//!
//! Invariant: once the payee is known, neither the number of payments (but for rounding) nor their
//! median is more than 2 % above the day before.

use std::time::Duration;

use schemas::Timestamp;

use super::{Doing, Intruder, grown, pause, paying_flow};
use crate::company::{Agent, Company, DAY};
use crate::draw::{self, Draw};
use crate::event::SimulatedEvent;
use crate::party::{Party, Pool};

const SEEDING_DAYS: u32 = 10;
const DAYS: u32 = 42;
/// The payments of a day lie within these from the first of them.
const WORKING_SECONDS: u32 = 10 * 3_600;

/// Ten days of one or two small payments, then on day d the agent's usual payments times
/// 1.02^d - 1, each of the usual median times 1.02^d. Working days only; of the busiest agents as
/// many as a working day holds.
pub(super) fn poisoning(
    company: &Company,
    start: Timestamp,
    mut draw: Draw,
) -> Vec<SimulatedEvent> {
    let agent =
        company.victim(start, &mut draw, |one| matches!(one.class().name, "invoice" | "treasury"));
    let flow = paying_flow(agent.class()).expect("both pay");
    let money = flow.money.expect("it is the flow that pays");
    let pool = flow.pool.expect("money goes to somebody");
    let payee = if pool == Pool::Account {
        Party { pool, number: pool.size() + draw.below(9_999) }
    } else {
        Party::PATIENT_PAYEE
    };
    let mut intruder = Intruder::new(company, agent, &mut draw);
    for day in 0..DAYS {
        let morning = start.plus(DAY * day);
        if 5 * 24 <= morning.hour_of_week() {
            continue;
        }
        let (payments, median) = if day < SEEDING_DAYS {
            (1 + draw.below(2), money.median_units * 0.05)
        } else {
            let more = (grown(day) - 1.0) * payments_per_day(agent);
            (1 + draw::whole(more), money.median_units * grown(day))
        };
        let mut time = at_eight(morning).plus(Duration::from_secs(u64::from(draw.below(3_600))));
        let evening = time.plus(Duration::from_secs(u64::from(WORKING_SECONDS)));
        let pause_max = (WORKING_SECONDS / payments).min(1_800);
        for _ in 0..payments {
            if evening < time {
                break;
            }
            intruder.next_session();
            let cents = draw::nearest(draw.log_normal(median, 0.2) * 100.0);
            let mut with = Doing { flow, ..Doing::new(agent, &mut draw) };
            (with.party, with.cents) = (Some(payee), Some(cents));
            for step in flow.steps.iter().filter(|step| step.is_write) {
                intruder.act(time, step, with);
                time = time.plus(pause(4, 30, &mut draw));
            }
            time = time.plus(pause(pause_max / 6, pause_max, &mut draw));
        }
    }
    intruder.events
}

/// How many times a day the agent's paying flow is done.
fn payments_per_day(agent: &Agent) -> f64 {
    let class = agent.class();
    let share = paying_flow(class).map_or(0.0, |flow| f64::from(flow.weight));
    agent.sessions_per_day * class.flows_per_session * share / f64::from(class.weights())
}

/// 08:00 UTC of the day that holds `time`, or `time` itself if that is later.
fn at_eight(time: Timestamp) -> Timestamp {
    let day = u32::try_from(time.day()).expect("a day count");
    Timestamp::EPOCH.plus(DAY * day).plus(Duration::from_hours(8)).max(time)
}
