//! [`bench_events`]: very many events at little cost, for measuring the pipeline.
//!
//! Invariant: events are spread over agents by Zipf's law and evenly over time; a company's rhythm of
//! the day and sessions side by side are given up for speed.

use std::time::Duration;

use schemas::{NativeEvent, Timestamp};

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
