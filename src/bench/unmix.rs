//! `surety bench unmix`: how well the uses of shared service accounts are split into their users.
//!
//! Invariant: the split sees address, user agent, session, action and time of each event, or less, and
//! never who made it. Means are over events, and those of several accounts weigh by their events.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use query::unmix::{Measure, Unmixer, Use, measure};
use schemas::{CredentialKind, SessionId, Timestamp};
use serde_json::{Value, json};
use simulate::{Company, Settings};

use crate::cli::unmix::BenchUnmix;
use crate::exit::{Exit, Failure};

/// What a source may leave out.
const VIEWS: [(&str, View); 4] = [
    ("all", View { has_address: true, has_user_agent: true, has_session: true }),
    ("no_session", View { has_address: true, has_user_agent: true, has_session: false }),
    ("one_address", View { has_address: false, has_user_agent: true, has_session: true }),
    (
        "one_address_one_user_agent",
        View { has_address: false, has_user_agent: false, has_session: true },
    ),
];

#[derive(Clone, Copy)]
struct View {
    has_address: bool,
    has_user_agent: bool,
    has_session: bool,
}

/// One account, with the true user of each use: the agent, and its class.
#[derive(Default)]
struct Account {
    unmixer: Unmixer,
    names: HashMap<String, u32>,
    agents: Vec<u32>,
    classes: Vec<u32>,
}

impl Account {
    fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.names.len()).expect("few agents");
        *self.names.entry(name.to_owned()).or_insert(next)
    }
}

/// Sums over accounts, by events.
#[derive(Default)]
struct Sums {
    events: f64,
    accounts: u32,
    totals: [f64; 6],
}

impl Sums {
    #[expect(clippy::cast_precision_loss, reason = "a few million events")]
    fn add(&mut self, agents: &Measure, classes: &Measure) {
        let weight = agents.uses as f64;
        self.events += weight;
        self.accounts += 1;
        let figures = [
            agents.precision,
            agents.recall,
            agents.matched,
            agents.probability,
            classes.precision,
            classes.recall,
        ];
        for (total, figure) in self.totals.iter_mut().zip(figures) {
            *total += figure * weight;
        }
    }

    fn told(&self) -> Value {
        let mean = |at: usize| (self.totals[at] / self.events.max(1.0) * 1e4).round() / 1e4;
        json!({
            "events": self.events,
            "accounts": self.accounts,
            "precision": mean(0),
            "recall": mean(1),
            "matched": mean(2),
            "mean_probability": mean(3),
            "system_precision": mean(4),
            "system_recall": mean(5),
        })
    }
}

/// Splits the accounts of all companies, with everything told and with less, and prints the figures.
///
/// # Errors
///
/// A [`Failure`] if nobody reads the answer.
pub(crate) fn run(args: &BenchUnmix) -> Result<Exit, Failure> {
    let mut answer = json!({"seeds": args.seeds, "agents": args.agents, "days": args.days});
    for (name, view) in VIEWS {
        let mut sums = Sums::default();
        for seed in 1..=u64::from(args.seeds) {
            split(seed, args, view, &mut sums);
        }
        answer[name] = sums.told();
    }
    super::print(args.format, &answer)?;
    Ok(Exit::Ok)
}

fn split(seed: u64, args: &BenchUnmix, view: View, sums: &mut Sums) {
    let start = Timestamp::parse("2026-03-02T00:00:00Z").expect("a time");
    let agents = usize::try_from(args.agents).expect("few agents");
    let company = Company::new(&Settings::new(seed, agents, start));
    let end = start.plus(Duration::from_hours(24) * args.days);
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for one in company.events(start, end) {
        let event = one.event;
        if event.credential_kind != CredentialKind::ServiceAccountToken {
            continue;
        }
        let account = accounts.entry(event.credential_id.to_string()).or_default();
        let session = event.session_id.as_ref().map(SessionId::as_str);
        let is_kept = account.unmixer.push(&Use {
            time: event.time,
            session: session.filter(|_| view.has_session),
            address: event.source_ip.filter(|_| view.has_address),
            user_agent: event.user_agent.as_deref().filter(|_| view.has_user_agent),
            action: &event.action,
        });
        if is_kept {
            let (agent, class) = (event.agent_id.as_str(), event.agent_class.as_ref());
            let agent = account.number(agent);
            let class = account.number(class.map_or("", |class| class.as_str()));
            account.agents.push(agent);
            account.classes.push(class);
        }
    }
    for account in accounts.into_values() {
        let split = account.unmixer.finish();
        let agents = measure(&split, &account.agents);
        // An account of one agent has nothing to split.
        if 1 < agents.users_true {
            sums.add(&agents, &measure(&split, &account.classes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ReportFormat;

    #[test]
    fn shared_accounts_are_split_by_what_is_told_and_worse_by_less() {
        let args = BenchUnmix { seeds: 2, agents: 60, days: 7, format: ReportFormat::Json };
        let of = |view: usize| {
            let mut sums = Sums::default();
            for seed in 1..=2 {
                split(seed, &args, VIEWS[view].1, &mut sums);
            }
            sums.told()
        };

        let (all, least) = (of(0), of(3));

        assert!(4.0 < all["accounts"].as_f64().unwrap(), "{all}");
        assert!(0.9 < all["precision"].as_f64().unwrap(), "{all}");
        assert!(0.99 < all["recall"].as_f64().unwrap(), "{all}");
        assert!(least["precision"].as_f64().unwrap() < 0.7, "nothing is made up: {least}");
    }
}
