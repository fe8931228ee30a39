//! [`Events`]: the events of all agents in the order of time.
//!
//! Invariant: time never goes back, and cutting a range in two gives the same events as the range.
//! What is held is about two hours of events, so memory grows with agents and not with days.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::vec::IntoIter;

use schemas::Timestamp;

use crate::company::Company;
use crate::event::SimulatedEvent;
use crate::session::{Draft, SESSION_MAX, window_of, window_start};

/// Iterator over a company's events, attacks among them. Made by [`Company::events`].
#[derive(Debug)]
pub struct Events<'a> {
    company: &'a Company,
    from: Timestamp,
    to: Timestamp,
    /// The window whose sessions are made next.
    next: u64,
    /// Drafts by the window they lie in, from `next` on. Sorted when their window is reached.
    windows: VecDeque<Vec<Draft>>,
    current: Peekable<IntoIter<Draft>>,
    attacks: Peekable<IntoIter<SimulatedEvent>>,
}

impl Company {
    /// All events with `from <= time < to`, in the order of time.
    ///
    /// Events of the same microsecond come in the order of agents, attacks last.
    pub fn events(&self, from: Timestamp, to: Timestamp) -> Events<'_> {
        let mut attacks = Vec::new();
        for scenario in &self.settings.scenarios {
            attacks.extend(self.attack(scenario.kind, scenario.start));
        }
        attacks.retain(|one| from <= one.event.time && one.event.time < to);
        // Stable: attacks of one microsecond stay in the order of the scenarios.
        attacks.sort_by_key(|one| one.event.time);
        let first = from.max(self.settings.start).minus(SESSION_MAX);
        Events {
            company: self,
            from,
            to,
            next: window_of(first),
            windows: VecDeque::new(),
            current: Vec::new().into_iter().peekable(),
            attacks: attacks.into_iter().peekable(),
        }
    }
}

impl Events<'_> {
    /// Makes windows until there is a draft or the end is reached.
    fn refill(&mut self) {
        while self.current.peek().is_none() && window_start(self.next) < self.to {
            let (from, to, first) = (self.from, self.to, self.next);
            let windows = &mut self.windows;
            self.company.sessions(first, |draft| {
                if draft.time < from || to <= draft.time {
                    return;
                }
                let ahead = usize::try_from(window_of(draft.time) - first).expect("few windows");
                while windows.len() <= ahead {
                    windows.push_back(Vec::new());
                }
                windows[ahead].push(draft);
            });
            let mut drafts = windows.pop_front().unwrap_or_default();
            drafts.sort_unstable_by_key(Draft::order);
            self.current = drafts.into_iter().peekable();
            self.next += 1;
        }
    }
}

impl Iterator for Events<'_> {
    type Item = SimulatedEvent;

    fn next(&mut self) -> Option<SimulatedEvent> {
        self.refill();
        let Some(draft) = self.current.peek() else { return self.attacks.next() };
        let time = draft.time;
        if let Some(attack) = self.attacks.next_if(|attack| attack.event.time < time) {
            return Some(attack);
        }
        self.current.next().map(|draft| self.company.event(&draft))
    }
}
