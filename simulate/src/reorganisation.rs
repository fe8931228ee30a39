//! Re-organisations: agents that are given to other people, and a sponsor who leaves to his or her manager.
//!
//! Invariant: decided here by each agent's own key, for the registry and for the ground truth alike.
//! Announced before it holds, so that the registry is never behind; no agent of the story is moved.

use std::time::Duration;

use schemas::Timestamp;

use crate::class::{BACKUP, Class};
use crate::company::{Agent, Company, DAY};
use crate::draw::{choice, mix};

/// One agent in so many is given to somebody else.
const MOVED_ONE_IN: u32 = 12;

impl Company {
    /// From when agents answer to other people.
    pub(crate) fn reorganised(&self) -> Timestamp {
        self.day(11).plus(Duration::from_hours(9))
    }

    /// From when the sponsors of a class have another manager.
    pub(crate) fn managers_change(&self) -> Timestamp {
        self.day(12)
    }

    /// From when the sponsor who goes without a successor no longer answers.
    pub(crate) fn retires(&self) -> Timestamp {
        self.day(14)
    }

    /// When what holds from `time` on is announced.
    pub(crate) fn announced(time: Timestamp) -> Timestamp {
        time.minus(DAY * 2)
    }

    /// Into the company's sponsors: who is given the agent, if anybody is.
    pub(crate) fn moved_to(&self, agent: &Agent) -> Option<usize> {
        let stays = Class::is_first(agent.index as usize)
            // An account of theirs leads to one sponsor, and is enough to find them.
            || agent.class == BACKUP
            || agent.sponsor == self.leaver
            || self.reorganised() <= agent.joins
            || self.purpose_ends(agent).is_some()
            || choice(mix(agent.key, 35), MOVED_ONE_IN) != 0;
        if stays {
            return None;
        }
        let may_answer = |sponsor: &usize| {
            *sponsor != agent.sponsor
                && *sponsor != self.leaver
                && *sponsor != self.successor
                && !self.managers.contains(sponsor)
        };
        let able: Vec<usize> = (0..self.sponsors.len()).filter(may_answer).collect();
        let able_count = u32::try_from(able.len()).expect("fewer sponsors than agents");
        Some(able[choice(mix(agent.key, 36), able_count) as usize])
    }

    /// Into the company's sponsors: who is given as the agent's at `time`, whether still there or not.
    pub(crate) fn given_to(&self, agent: &Agent, time: Timestamp) -> usize {
        match self.moved_to(agent) {
            Some(next) if self.reorganised() <= time => next,
            Some(_) | None => agent.sponsor,
        }
    }
}
