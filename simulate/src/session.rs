//! [`Draft`]: one event before it is written out, and the sessions that drafts come from.
//!
//! Invariant: a session is a function of (seed, agent, window, number) alone, begins in its window
//! and ends within [`SESSION_MAX`]. So the events of any time can be made without those before.

use std::time::Duration;

use schemas::{Outcome, Timestamp};
use serde::Serialize;

use crate::class::{Flow, INVOICE, Naming, PROCUREMENT, Step};
use crate::company::{Agent, Company, DAY, hour_of, sessions_begun};
use crate::draw::{self, Draw, Purpose, mix};
use crate::party::{Acquaintance, Party, Pool};

/// Sessions are drawn for each agent and each window.
pub(crate) const WINDOW: Duration = Duration::from_mins(15);
const WINDOW_MILLIS: u32 = 900_000;
const _: () = assert!(WINDOW.as_millis() == WINDOW_MILLIS as u128);
/// No session is longer: seven windows, so that it touches eight at most.
pub(crate) const SESSION_MAX: Duration = Duration::from_mins(7 * 15);
const GAP_MAX_SECONDS: f64 = 1_200.0;
/// Few sessions are longer, and [`SESSION_MAX`] ends most of those.
const FLOWS_MAX: u32 = 100;

/// Out of the ordinary, and honest all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BenignSurprise {
    /// The first week of a vendor that several agents deal with from then on.
    NewVendor,
    /// The last two days of a month and the first of the next, for invoices and payments.
    MonthEnd,
    /// A data pipeline makes up for lost days.
    Backfill,
    /// An agent's first three days.
    NewAgent,
}

/// One event before it is written out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) time: Timestamp,
    /// The agent's index.
    pub(crate) agent: u32,
    /// The session's random name.
    pub(crate) session: u64,
    /// Counts the session's events.
    pub(crate) order: u32,
    /// The number of a short-lived agent; none: the agent itself.
    pub(crate) worker: Option<u32>,
    pub(crate) flow: &'static Flow,
    pub(crate) step: &'static Step,
    /// The number of the thing that the flow is about.
    pub(crate) subject: u32,
    /// Which of a few things is touched.
    pub(crate) rank: u32,
    pub(crate) party: Option<Party>,
    pub(crate) cents: Option<i64>,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<&'static str>,
    pub(crate) surprise: Option<BenignSurprise>,
}

impl Draft {
    /// Total, and the same however events are sliced.
    pub(crate) fn order(&self) -> (Timestamp, u32, u64, u32) {
        (self.time, self.agent, self.session, self.order)
    }
}

/// The number of the window that holds `time`.
pub(crate) fn window_of(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros()).expect("no time before 1970") / micros(WINDOW)
}

pub(crate) fn window_start(window: u64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_micros(window * micros(WINDOW)))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("hours fit")
}

impl Company {
    /// Makes the sessions that begin in `window`, of all agents.
    pub(crate) fn sessions(&self, window: u64, mut take: impl FnMut(Draft)) {
        let start = window_start(window);
        let is_month_end = is_month_end(start);
        let windows_per_day = DAY.as_secs_f64() / WINDOW.as_secs_f64();
        for agent in &self.agents {
            let rhythm = self.weeks[agent.class][hour_of(agent, start, WINDOW)];
            let (boost, _) = self.boost(agent, start, is_month_end);
            let mean = agent.sessions_per_day / windows_per_day * rhythm * boost;
            for number in 0..sessions_begun(agent, window, mean) {
                let moment = (window << 8) | u64::from(number);
                let draw =
                    Draw::new(self.settings.seed, Purpose::Session, u64::from(agent.index), moment);
                self.session(agent, start, draw, &mut take);
            }
        }
    }

    /// Makes one session of an agent by its index, which begins in the window from `start`.
    pub(crate) fn session_of(
        &self,
        agent: u32,
        start: Timestamp,
        draw: Draw,
        mut take: impl FnMut(Draft),
    ) {
        self.session(&self.agents[agent as usize], start, draw, &mut take);
    }

    /// How much more an agent works than usual, and why.
    fn boost(
        &self,
        agent: &Agent,
        time: Timestamp,
        is_month_end: bool,
    ) -> (f64, Option<BenignSurprise>) {
        if Self::is_backfilling(agent) {
            let [from, to] = self.backfill();
            if from <= time && time < to {
                return (12.0, Some(BenignSurprise::Backfill));
            }
        }
        if is_month_end && agent.class().is_monthly {
            return (2.2, Some(BenignSurprise::MonthEnd));
        }
        let is_new = self.settings.start < agent.joins && time < agent.joins.plus(DAY * 3);
        (1.0, is_new.then_some(BenignSurprise::NewAgent))
    }

    fn session(
        &self,
        agent: &Agent,
        window: Timestamp,
        mut draw: Draw,
        take: &mut impl FnMut(Draft),
    ) {
        let start = window.plus(Duration::from_millis(u64::from(draw.below(WINDOW_MILLIS))));
        if start < agent.joins {
            return;
        }
        let class = agent.class();
        let end = start.plus(SESSION_MAX);
        let session = draw.bits();
        let (_, surprise) = self.boost(agent, window, is_month_end(window));
        let mut writer =
            Writer { company: self, agent, session, surprise, time: start, end, order: 0 };
        for _ in 0..draw.pareto(class.flows_per_session, FLOWS_MAX) {
            writer.flow(&mut draw, take);
        }
    }
}

/// Whether month's close is near: its last two days and the first of the next.
fn is_month_end(time: Timestamp) -> bool {
    time.minus(DAY).month() != time.plus(DAY * 2).month()
}

/// Writes one session.
struct Writer<'a> {
    company: &'a Company,
    agent: &'a Agent,
    session: u64,
    surprise: Option<BenignSurprise>,
    time: Timestamp,
    end: Timestamp,
    order: u32,
}

impl Writer<'_> {
    fn flow(&mut self, draw: &mut Draw, take: &mut impl FnMut(Draft)) {
        let class = self.agent.class();
        let flow = self.choose(draw);
        let party = flow.pool.map(|pool| self.party(flow, pool, draw));
        let cents = match (party, flow.money) {
            (Some(party), Some(money)) => Some(party.draw_cents(money, draw)),
            _ => None,
        };
        let subject = 100_000 + draw.below(900_000);
        let limit = flow.money.and_then(|money| money.limit_units);
        let is_over =
            cents.is_some_and(|cents| limit.is_some_and(|limit| i64::from(limit) * 100 < cents));
        let last_paid = flow.steps.iter().rposition(|step| step.has_amount);
        for (place, step) in flow.steps.iter().enumerate() {
            if !draw.percent(step.percent) {
                continue;
            }
            for _ in 0..=draw.below(step.repeats_max) {
                self.time = self.time.plus(gap(class.gap_seconds, draw));
                let mut draft = self.draft(flow, step, (party, cents, subject), draw);
                if is_over && last_paid == Some(place) {
                    (draft.outcome, draft.reason) = (Outcome::Denied, Some("over_limit"));
                }
                self.put(draft, take);
                if draft.outcome == Outcome::Error && draw.percent(60) {
                    self.time = self.time.plus(gap(2.0, draw));
                    (draft.outcome, draft.reason, draft.time) = (Outcome::Success, None, self.time);
                    self.put(draft, take);
                }
                if 0 < step.starts_max {
                    self.workers(draft, 1 + draw.below(step.starts_max), draw, take);
                }
            }
        }
    }

    fn choose(&self, draw: &mut Draw) -> &'static Flow {
        let class = self.agent.class();
        let mut rest = draw.below(class.weights());
        for flow in class.flows {
            if rest < flow.weight {
                return flow;
            }
            rest -= flow.weight;
        }
        unreachable!("the rest is below the sum of the weights")
    }

    fn party(&self, flow: &Flow, pool: Pool, draw: &mut Draw) -> Party {
        let (agent, class) = (self.agent, self.agent.class());
        let buys = matches!(agent.class, PROCUREMENT | INVOICE) && pool == Pool::Vendor;
        if buys && self.company.new_vendor() <= self.time && draw.percent(6) {
            return Party::NEW_VENDOR;
        }
        let share = f64::from(flow.weight) / f64::from(class.weights());
        let days = self.time.since(agent.joins).as_secs_f64() / DAY.as_secs_f64();
        let dealings = agent.sessions_per_day * class.flows_per_session * share * days;
        let agent_key = agent.key;
        Acquaintance { agent_key, pool, novelty: flow.novelty, dealings }.draw(draw)
    }

    fn draft(
        &self,
        flow: &'static Flow,
        step: &'static Step,
        (party, cents, subject): (Option<Party>, Option<i64>, u32),
        draw: &mut Draw,
    ) -> Draft {
        let class = self.agent.class();
        let permille = draw.below(1_000);
        let (outcome, reason) = if permille < class.denied_permille {
            (Outcome::Denied, Some("permission_denied"))
        } else if permille < class.denied_permille + class.error_permille {
            (
                Outcome::Error,
                Some(*draw.pick(&["timeout", "rate_limited", "conflict", "not_found"])),
            )
        } else {
            (Outcome::Success, None)
        };
        let rank = match step.resource {
            crate::class::Resource::Few(_, few) => draw.rank(few),
            crate::class::Resource::Subject(_) | crate::class::Resource::Party => 0,
        };
        Draft {
            time: self.time,
            agent: self.agent.index,
            session: self.session,
            order: 0,
            worker: None,
            flow,
            step,
            subject,
            rank,
            party: party.filter(|_| step.has_party),
            cents: cents.filter(|_| step.has_amount),
            outcome,
            reason,
            surprise: self.surprise_of(party.filter(|_| step.has_party)),
        }
    }

    fn surprise_of(&self, party: Option<Party>) -> Option<BenignSurprise> {
        let is_week = self.time < self.company.new_vendor().plus(DAY * 7);
        if party == Some(Party::NEW_VENDOR) && is_week {
            return Some(BenignSurprise::NewVendor);
        }
        self.surprise
    }

    /// Hands an event on, unless the session is over.
    fn put(&mut self, mut draft: Draft, take: &mut impl FnMut(Draft)) {
        if draft.time < self.end {
            draft.order = self.order;
            self.order += 1;
            take(draft);
        }
    }

    /// Short-lived agents, at work side by side for some seconds.
    fn workers(
        &mut self,
        parent: Draft,
        count: u32,
        draw: &mut Draw,
        take: &mut impl FnMut(Draft),
    ) {
        let Some(workers) = &self.agent.class().workers else { return };
        let started = self.time;
        let mut finished = started;
        let party = parent
            .party
            .or_else(|| parent.flow.pool.map(|pool| self.party(parent.flow, pool, draw)));
        for _ in 0..count {
            let number = match workers.naming {
                Naming::Fresh => draw::choice(mix(self.session, draw.bits()), u32::MAX),
                Naming::OfParent(names) => 1 + draw.below(names),
            };
            self.time = started;
            for step in workers.steps {
                if !draw.percent(step.percent) {
                    continue;
                }
                for _ in 0..=draw.below(step.repeats_max) {
                    self.time = self.time.plus(gap(1.2, draw));
                    let mut draft =
                        self.draft(parent.flow, step, (party, None, parent.subject), draw);
                    draft.worker = Some(number);
                    self.put(draft, take);
                }
            }
            finished = finished.max(self.time);
        }
        self.time = finished;
    }
}

/// A pause around a median, in whole milliseconds.
fn gap(median_seconds: f64, draw: &mut Draw) -> Duration {
    let seconds = draw.log_normal(median_seconds, 0.9).min(GAP_MAX_SECONDS);
    Duration::from_millis(1 + u64::from(draw::whole(seconds * 1_000.0)))
}
