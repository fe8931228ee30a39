//! [`Class`]: what the agents of one kind do, when, with what and with whom.
//!
//! Invariant: everything here is constant data; which agent does what at which moment is drawn
//! elsewhere. Every action is `noun.verb`.

mod customers;
mod engineering;
mod finance;
mod rhythm;

pub(crate) use rhythm::Rhythm;

use crate::party::Pool;

/// What the agents of one kind do.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) name: &'static str,
    /// Agents are called `<prefix>-<number from 1>`.
    pub(crate) prefix: &'static str,
    /// The unit whose people answer for them.
    pub(crate) unit: &'static str,
    /// Share of a company's agents.
    pub(crate) percent: u32,
    /// Events per day, as a multiple of the company's mean before it is scaled.
    pub(crate) activity: f64,
    pub(crate) rhythm: Rhythm,
    /// Median time between two events of a session.
    pub(crate) gap_seconds: f64,
    /// Mean number of flows in a session; their distribution has a heavy tail.
    pub(crate) flows_per_session: f64,
    pub(crate) flows: &'static [Flow],
    /// The model before and after the update; none for plain automation.
    pub(crate) models: Option<[&'static str; 2]>,
    pub(crate) user_agents: &'static [&'static str],
    /// How agents authenticate, with percentages. The first agent of a class has the first.
    pub(crate) credentials: &'static [(Keys, u8)],
    pub(crate) denied_permille: u32,
    pub(crate) error_permille: u32,
    /// A name for an attribute and its possible values, one for each agent.
    pub(crate) attribute: Option<(&'static str, &'static [&'static str])>,
    /// Whether agents hold a standing grant for what they write.
    pub(crate) has_grant: bool,
    /// Whether the end of a month brings more work.
    pub(crate) is_monthly: bool,
    pub(crate) workers: Option<Workers>,
}

/// How an agent authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// A long-lived key of its own.
    Static,
    /// The token of a service account that this many agents of the class use together.
    Shared { account: &'static str, agents: u32 },
    /// A key made anew for each session.
    Temporary,
    /// A bearer token, made anew each day.
    Token,
    /// A client certificate, made anew every 90 days.
    Certificate,
}

/// Short-lived agents that an agent starts.
#[derive(Debug)]
pub(crate) struct Workers {
    pub(crate) class: &'static str,
    pub(crate) naming: Naming,
    /// Whether their events name the agent that started them.
    pub(crate) claims_parent: bool,
    pub(crate) steps: &'static [Step],
}

/// What short-lived agents are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// A new name each time.
    Fresh,
    /// One of this many names that belong to the parent and stand in the registry.
    OfParent(u32),
}

/// A piece of work: steps that concern one subject and one counterparty.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    /// How often it is chosen, against the class's other flows.
    pub(crate) weight: u32,
    pub(crate) pool: Option<Pool>,
    pub(crate) novelty: Novelty,
    pub(crate) money: Option<Money>,
    pub(crate) steps: &'static [Step],
}

/// How often an agent deals with somebody new.
///
/// P(new) after n dealings with K others is (theta + discount K) / (theta + n).
///
/// Source: Pitman and Yor, *The two-parameter Poisson-Dirichlet distribution* (1997). Theta 4 to 5
/// with discount 0 is what measured agents show: 0.25 after 16 dealings, 0.007 after 512.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Novelty {
    pub(crate) theta: f64,
    pub(crate) discount: f64,
}

/// What is paid: log-normal around a median that each counterparty has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Money {
    pub(crate) median_units: f64,
    /// Standard deviation of ln amount at one counterparty.
    pub(crate) sigma: f64,
    /// What the agent may decide alone. More is denied.
    pub(crate) limit_units: Option<u32>,
}

/// One use of a credential.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) action: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) resource: Resource,
    /// How likely the step is taken.
    pub(crate) percent: u8,
    /// Taken 1 to this many times, each equally likely.
    pub(crate) repeats_max: u32,
    pub(crate) has_party: bool,
    pub(crate) has_amount: bool,
    pub(crate) is_write: bool,
    /// Starts this many short-lived agents at most.
    pub(crate) starts_max: u32,
}

/// What a step touches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource {
    /// `<prefix>-<the flow's number>`: the thing this piece of work is about.
    Subject(&'static str),
    /// `<prefix>-<n>`: one of a few things that the agent touches again and again.
    Few(&'static str, u32),
    /// The counterparty's own record.
    Party,
}

impl Step {
    pub(crate) const fn read(action: &'static str, kind: &'static str, resource: Resource) -> Self {
        Self {
            action,
            kind,
            resource,
            percent: 100,
            repeats_max: 1,
            has_party: true,
            has_amount: false,
            is_write: false,
            starts_max: 0,
        }
    }

    pub(crate) const fn write(
        action: &'static str,
        kind: &'static str,
        resource: Resource,
    ) -> Self {
        let mut step = Self::read(action, kind, resource);
        step.is_write = true;
        step
    }

    const fn likely(mut self, percent: u8) -> Self {
        self.percent = percent;
        self
    }

    const fn repeated(mut self, times_max: u32) -> Self {
        self.repeats_max = times_max;
        self
    }

    /// Without a counterparty.
    pub(crate) const fn alone(mut self) -> Self {
        self.has_party = false;
        self
    }

    pub(crate) const fn paid(mut self) -> Self {
        self.has_amount = true;
        self
    }

    const fn starts(mut self, workers_max: u32) -> Self {
        self.starts_max = workers_max;
        self
    }

    /// Mean number of events, those of started agents left out.
    fn events_mean(&self) -> f64 {
        f64::from(self.percent) / 100.0 * f64::from(self.repeats_max + 1) / 2.0
    }
}

/// All classes. An agent's class is an index into this.
pub(crate) const CLASSES: [&Class; 15] = [
    &finance::PROCUREMENT,
    &finance::INVOICE,
    &finance::TREASURY,
    &finance::ERP_SYNC,
    &customers::SUPPORT,
    &engineering::PIPELINE,
    &engineering::RESEARCH,
    &engineering::CI,
    &engineering::REVIEW,
    &engineering::SRE,
    &customers::HR,
    &customers::OUTREACH,
    &customers::CONTENT,
    &engineering::BACKUP,
    &engineering::SCANNER,
];

pub(crate) const PROCUREMENT: usize = 0;
pub(crate) const INVOICE: usize = 1;
pub(crate) const SUPPORT: usize = 4;
pub(crate) const PIPELINE: usize = 5;
pub(crate) const RESEARCH: usize = 6;
pub(crate) const CONTENT: usize = 12;
pub(crate) const BACKUP: usize = 13;

/// Classes of the first agents, so that a small company has the systems of the story in it.
const FIRST: [usize; 20] = [0, 0, 0, 0, 1, 2, 3, 6, 4, 7, 5, 9, 10, 11, 8, 12, 13, 14, 1, 4];

impl Class {
    /// The class of the agent with this index: the same whatever the size of the company.
    pub(crate) fn of_index(index: usize) -> usize {
        if let Some(class) = FIRST.get(index) {
            return *class;
        }
        // 37 and 100 have no common divisor, so each hundred agents hold each class by percentage.
        let mut rest = u32::try_from((index - FIRST.len()) * 37 % 100).expect("below 100");
        for (class, one) in CLASSES.iter().enumerate() {
            if rest < one.percent {
                return class;
            }
            rest -= one.percent;
        }
        unreachable!("the percentages sum to 100")
    }

    /// Whether an agent is one of those that every company has.
    pub(crate) const fn is_first(index: usize) -> bool {
        index < FIRST.len()
    }

    pub(crate) fn weights(&self) -> u32 {
        self.flows.iter().map(|flow| flow.weight).sum()
    }

    /// Mean number of events of a session, those of started agents included.
    pub(crate) fn events_per_session(&self) -> f64 {
        let worker: f64 = match &self.workers {
            Some(workers) => workers.steps.iter().map(Step::events_mean).sum(),
            None => 0.0,
        };
        let mut per_flow = 0.0;
        for flow in self.flows {
            for step in flow.steps {
                let started = f64::from(step.starts_max + 1) / 2.0 * worker;
                let started = if step.starts_max == 0 { 0.0 } else { started };
                per_flow += f64::from(flow.weight) * step.events_mean() * (1.0 + started);
            }
        }
        per_flow / f64::from(self.weights()) * self.flows_per_session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        assert_eq!(CLASSES.iter().map(|class| class.percent).sum::<u32>(), 100);
        for class in CLASSES {
            let keys: u32 = class.credentials.iter().map(|(_, percent)| u32::from(*percent)).sum();
            assert_eq!(keys, 100, "{}", class.name);
            for flow in class.flows {
                for step in flow.steps {
                    assert!(step.action.contains('.'), "{}", step.action);
                    assert!(!step.has_amount || flow.money.is_some(), "{}", step.action);
                    assert!(step.starts_max == 0 || class.workers.is_some(), "{}", step.action);
                    let is_of_party = matches!(step.resource, Resource::Party);
                    assert!(!is_of_party || flow.pool.is_some(), "{}", step.action);
                }
            }
        }
        assert_eq!(CLASSES[PROCUREMENT].name, "procurement");
        assert_eq!(CLASSES[INVOICE].name, "invoice");
        assert_eq!(CLASSES[SUPPORT].name, "customer-support");
        assert_eq!(CLASSES[PIPELINE].name, "data-pipeline");
        assert_eq!(CLASSES[RESEARCH].name, "research");
        assert_eq!(CLASSES[CONTENT].name, "marketing-content");
        assert_eq!(CLASSES[BACKUP].name, "backup");
    }

    #[test]
    fn each_hundred_agents_hold_each_class_by_its_percentage() {
        for from in [FIRST.len(), 1_000] {
            let mut counts = [0; CLASSES.len()];
            for index in from..from + 100 {
                counts[Class::of_index(index)] += 1;
            }
            for (class, count) in CLASSES.iter().zip(counts) {
                assert_eq!(class.percent, count, "{}", class.name);
            }
        }
    }
}
