//! [`bench_events`]: very many events at little cost, for measuring the pipeline.
//!
//! Invariant: events are spread over agents by Zipf's law and evenly over time; a company's rhythm of
//! the day and sessions side by side are given up for speed.

use std::time::Duration;

use schemas::{AgentId, CounterpartyId, NativeEvent, Timestamp};

use crate::company::{Company, Settings};
use crate::draw::{Draw, Purpose};
use crate::session::Draft;

/// `count` events of a company of `agents`, in the order of time, one every ten milliseconds.
///
/// # Panics
///
/// With fewer than [`Settings::AGENTS_MIN`] agents.
pub fn bench_events(agents: usize, count: u64, seed: u64) -> impl Iterator<Item = NativeEvent> {
    let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a valid time");
    let company = Company::new(&Settings::new(seed, agents, start));
    let mut drafts: Vec<Draft> = Vec::new();
    let mut session = 0;
    (0..count).map(move |n| {
        while drafts.is_empty() {
            let mut draw = Draw::new(seed, Purpose::Bench, session, 0);
            session += 1;
            // By Zipf's law over all agents: some are thousands of times busier than others.
            let agent = draw.rank(u32::try_from(agents).expect("at most u32::MAX agents"));
            company.session_of(agent, start, draw, |draft| drafts.push(draft));
            drafts.reverse();
        }
        let mut draft = drafts.pop().expect("just filled");
        draft.time = start.plus(Duration::from_millis(10 * n));
        company.event(&draft).event
    })
}

/// How many counterparties the one busy agent deals with in turn.
const BUSY_COUNTERPARTIES: u64 = 100_000;

/// `events`, but every other one is of one agent that deals with 100,000 counterparties in turn: the worst
/// case for whatever costs more the more an agent has done.
pub fn half_of_one_agent(
    events: impl Iterator<Item = NativeEvent>,
) -> impl Iterator<Item = NativeEvent> {
    let busy = AgentId::try_from("busy-agent").expect("a valid id");
    events.zip(0_u64..).map(move |(mut event, n)| {
        if n % 2 == 1 {
            event.agent_id = busy.clone();
            let counterparty = format!("resource-{}", n / 2 % BUSY_COUNTERPARTIES);
            event.counterparty_id =
                Some(CounterpartyId::try_from(counterparty.as_str()).expect("a valid id"));
        }
        event
    })
}
