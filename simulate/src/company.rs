//! [`Company`]: its agents, their sponsors, and the days on which something happens.
//!
//! Invariant: an agent is a function of (seed, index) alone, whatever the size of the company; and
//! who answers for it at a time is decided here, for the registry and for the ground truth alike.

use std::time::Duration;

use schemas::{AgentId, CredentialId, SponsorId, Timestamp};

use crate::attack::Scenario;
use crate::class::{BACKUP, CLASSES, CONTENT, Class, Keys, PIPELINE};
use crate::draw::{self, Draw, Purpose, exp, mix};
use crate::party::{FIRST_NAMES, LAST_NAMES};

pub(crate) const DAY: Duration = Duration::from_hours(24);
/// Standard deviation of ln activity over the agents of a class: of a thousand agents the busiest
/// does some two thousand times as much as the quietest.
const ACTIVITY_SIGMA: f64 = 1.2;
/// ... but for the first agents, which a company of any size has: none is so quiet that its class is
/// not at work, or so busy that it is most of a small company.
const FIRST_ACTIVITY: [f64; 2] = [0.5, 2.0];
/// How many agents of a class one person answers for.
const AGENTS_PER_SPONSOR: u32 = 12;

/// What a company is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    /// At least [`Settings::AGENTS_MIN`]. Short-lived agents come on top.
    pub agents: usize,
    /// The first moment: before it nothing happens, and no agent knows anybody.
    pub start: Timestamp,
    /// Mean over all agents and all days of the week.
    pub events_per_agent_day: f64,
    /// Attacks woven into [`Company::events`].
    pub scenarios: Vec<Scenario>,
}

impl Settings {
    /// Fewer would leave out the systems that share the purchasing account.
    pub const AGENTS_MIN: usize = 10;

    /// 80 events per agent and day, no attack. At least 20 agents hold every class.
    pub fn new(seed: u64, agents: usize, start: Timestamp) -> Self {
        Self { seed, agents, start, events_per_agent_day: 80.0, scenarios: Vec::new() }
    }
}

/// How the registry knows an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Registered,
    /// Registered, but nobody answers for it.
    Orphaned,
    Unregistered,
}

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) index: u32,
    /// Into [`CLASSES`].
    pub(crate) class: usize,
    /// From 1 within the class.
    pub(crate) ordinal: u32,
    /// Random and its own.
    pub(crate) key: u64,
    pub(crate) id: AgentId,
    pub(crate) keys: Keys,
    /// The credential, or for keys that are made anew the stem of their names.
    pub(crate) credential: CredentialId,
    pub(crate) sessions_per_day: f64,
    /// How many windows earlier than the class's rhythm it works.
    pub(crate) shift_windows: u32,
    pub(crate) joins: Timestamp,
    pub(crate) model_update: Timestamp,
    pub(crate) standing: Standing,
    /// Into the company's sponsors.
    pub(crate) sponsor: usize,
}

impl Agent {
    pub(crate) fn class(&self) -> &'static Class {
        CLASSES[self.class]
    }
}

/// Somebody who answers for agents.
#[derive(Debug)]
pub(crate) struct Sponsor {
    pub(crate) id: SponsorId,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
}

/// A seeded company: the same settings give the same events, byte for byte, on every machine.
#[derive(Debug)]
pub struct Company {
    pub(crate) settings: Settings,
    pub(crate) agents: Vec<Agent>,
    pub(crate) sponsors: Vec<Sponsor>,
    /// Of each class: activity by hour of the week, as a multiple of the mean.
    pub(crate) weeks: Vec<[f64; 168]>,
    /// Takes over the agents of the sponsor who leaves.
    pub(crate) successor: usize,
    /// The sponsor who leaves.
    pub(crate) leaver: usize,
    /// The sponsor who leaves and whom nobody succeeds; a small company has none.
    pub(crate) retiree: Option<usize>,
    /// The manager of all but the leaver, and who follows for the retiree's class.
    pub(crate) managers: [usize; 2],
    /// Of each class, the sponsor of its first agents, who also answers for its short-lived ones.
    pub(crate) class_owners: Vec<usize>,
}

impl Company {
    /// # Panics
    ///
    /// With fewer than [`Settings::AGENTS_MIN`] agents or more than `u32::MAX`.
    pub fn new(settings: &Settings) -> Self {
        assert!(Settings::AGENTS_MIN <= settings.agents, "too few agents for the story");
        let mut sponsors: Vec<Sponsor> = Vec::new();
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); CLASSES.len()];
        for (class, group) in groups.iter_mut().enumerate() {
            group.push(hire(&mut sponsors, CLASSES[class].unit));
        }
        let successor = hire(&mut sponsors, CLASSES[CONTENT].unit);

        let mut ordinals = [0; CLASSES.len()];
        let mut agents = Vec::with_capacity(settings.agents);
        for index in 0..settings.agents {
            let class = Class::of_index(index);
            ordinals[class] += 1;
            let group = ((ordinals[class] - 1) / AGENTS_PER_SPONSOR) as usize;
            if groups[class].len() <= group {
                groups[class].push(hire(&mut sponsors, CLASSES[class].unit));
            }
            agents.push(agent(settings, index, ordinals[class], groups[class][group]));
        }
        let class_owners: Vec<usize> = groups.iter().map(|group| group[0]).collect();
        // Of the class that most people answer for, the last: no agent of the story is theirs.
        let largest = groups.iter().max_by_key(|group| group.len()).expect("there are classes");
        let retiree = largest.last().copied().filter(|_| 1 < largest.len());
        let managers = [(); 2].map(|()| hire(&mut sponsors, "Management"));
        Self {
            settings: settings.clone(),
            agents,
            sponsors,
            weeks: CLASSES.iter().map(|class| class.rhythm.of_week()).collect(),
            successor,
            leaver: class_owners[CONTENT],
            retiree,
            managers,
            class_owners,
        }
    }

    /// Mean number of events on a day, attacks and surprises left out.
    pub fn events_per_day(&self) -> f64 {
        let of = |agent: &Agent| agent.sessions_per_day * agent.class().events_per_session();
        self.agents.iter().map(of).sum()
    }

    /// `days` after the start.
    pub(crate) fn day(&self, days: u32) -> Timestamp {
        self.settings.start.plus(DAY * days)
    }

    /// From when the sponsor who leaves no longer answers.
    pub(crate) fn leaves(&self) -> Timestamp {
        self.day(10)
    }

    /// From when the successor answers.
    pub(crate) fn succeeds(&self) -> Timestamp {
        self.day(15)
    }

    /// From when purchasing uses the new vendor.
    pub(crate) fn new_vendor(&self) -> Timestamp {
        self.day(12)
    }

    /// When a data pipeline makes up for lost days.
    pub(crate) fn backfill(&self) -> [Timestamp; 2] {
        let morning = self.day(9).plus(Duration::from_hours(10));
        [morning, morning.plus(Duration::from_hours(6))]
    }

    pub(crate) fn is_backfilling(agent: &Agent) -> bool {
        agent.class == PIPELINE && agent.ordinal == 1
    }

    /// Who in truth answers for what the agent does at `time`, whatever the registry knows.
    pub(crate) fn sponsor_of(&self, agent: &Agent, time: Timestamp) -> Option<&SponsorId> {
        let sponsor = match agent.standing {
            Standing::Orphaned => return None,
            Standing::Registered | Standing::Unregistered => self.given_to(agent, time),
        };
        if Some(sponsor) == self.retiree && self.retires() <= time {
            return Some(&self.sponsors[self.managers[1]].id);
        }
        if sponsor != self.leaver || time < self.leaves() {
            return Some(&self.sponsors[sponsor].id);
        }
        (self.succeeds() <= time).then(|| &self.sponsors[self.successor].id)
    }

    pub(crate) fn class_owner(&self, class: usize) -> &SponsorId {
        &self.sponsors[self.class_owners[class]].id
    }
}

/// Adds a person with a name of their own and returns their place.
fn hire(sponsors: &mut Vec<Sponsor>, unit: &'static str) -> usize {
    let number = sponsors.len();
    let first = FIRST_NAMES[number % FIRST_NAMES.len()];
    // A step of one for each round through the first names gives every pair once.
    let round = number / FIRST_NAMES.len();
    let last = LAST_NAMES[(number + round) % LAST_NAMES.len()];
    let again = number / (FIRST_NAMES.len() * LAST_NAMES.len());
    let suffix = if again == 0 { String::new() } else { again.to_string() };
    let id = format!("{first}.{last}{suffix}@example.com");
    sponsors.push(Sponsor {
        id: SponsorId::try_from(id).expect("letters, digits and dots"),
        name: format!("{} {}{suffix}", capital(first), capital(last)),
        unit,
    });
    number
}

fn capital(name: &str) -> String {
    name[..1].to_ascii_uppercase() + &name[1..]
}

fn agent(settings: &Settings, index: usize, ordinal: u32, sponsor: usize) -> Agent {
    let index = u32::try_from(index).expect("at most u32::MAX agents");
    let mut draw = Draw::new(settings.seed, Purpose::Agent, u64::from(index), 0);
    let class = Class::of_index(index as usize);
    let one = CLASSES[class];
    let is_first = Class::is_first(index as usize);
    let key = draw.bits();
    let keys = keys_of(one, ordinal, draw.below(100));
    let id = format!("{}-{ordinal}", one.prefix);
    let joins = match draw.below(100) {
        0..2 if !is_first => {
            settings.start.plus(DAY * (3 + draw.below(38)) + Duration::from_hours(8))
        }
        _ => settings.start,
    };
    // The factor's mean is 1.
    let mut busy = draw.log_normal(exp(-ACTIVITY_SIGMA * ACTIVITY_SIGMA / 2.0), ACTIVITY_SIGMA);
    if is_first {
        busy = busy.clamp(FIRST_ACTIVITY[0], FIRST_ACTIVITY[1]);
    }
    let events_per_day = settings.events_per_agent_day * one.activity * busy / mean_activity();
    Agent {
        index,
        class,
        ordinal,
        key,
        credential: CredentialId::try_from(stem(one, keys, ordinal, key))
            .expect("letters and digits"),
        id: AgentId::try_from(id).expect("letters and digits"),
        keys,
        sessions_per_day: events_per_day / one.events_per_session(),
        shift_windows: draw.below(9),
        joins,
        model_update: settings.start.plus(DAY * (15 + draw.below(3))),
        standing: standing(class, ordinal, is_first, draw.below(1_000)),
        sponsor,
    }
}

/// Mean of the classes' activities, weighed by their shares.
fn mean_activity() -> f64 {
    CLASSES.iter().map(|class| class.activity * f64::from(class.percent)).sum::<f64>() / 100.0
}

fn keys_of(class: &Class, ordinal: u32, percentile: u32) -> Keys {
    let mut rest = percentile;
    for (keys, percent) in class.credentials {
        if ordinal == 1 || rest < u32::from(*percent) {
            return *keys;
        }
        rest -= u32::from(*percent);
    }
    unreachable!("the percentages sum to 100")
}

/// The credential's id, or the part of it that stays when it is made anew.
fn stem(class: &Class, keys: Keys, ordinal: u32, key: u64) -> String {
    match keys {
        Keys::Shared { account, agents } => match (ordinal - 1) / agents {
            0 => account.to_owned(),
            group => format!("{account}-{}", group + 1),
        },
        Keys::Static => format!("key-{}-{ordinal}-{:06x}", class.prefix, key >> 40),
        Keys::Temporary => format!("tmp-{}-{ordinal}", class.prefix),
        Keys::Token => format!("tok-{}-{ordinal}", class.prefix),
        Keys::Certificate => format!("cert-{}-{ordinal}", class.prefix),
    }
}

/// Of a thousand agents about 25 are orphaned and 45 unregistered, the story's own never.
fn standing(class: usize, ordinal: u32, is_first: bool, permille: u32) -> Standing {
    if class == BACKUP {
        // Every fourth leads to its sponsor by the service account only.
        return if ordinal.is_multiple_of(4) {
            Standing::Unregistered
        } else {
            Standing::Registered
        };
    }
    match permille {
        _ if is_first => Standing::Registered,
        0..25 => Standing::Orphaned,
        25..70 => Standing::Unregistered,
        _ => Standing::Registered,
    }
}

/// The hour of the week, as `agent` lives, of the window that begins at `time`.
pub(crate) fn hour_of(agent: &Agent, time: Timestamp, window: Duration) -> usize {
    time.plus(window * agent.shift_windows).hour_of_week()
}

/// How many sessions begin when `mean` are expected, for the agent and the window's number.
pub(crate) fn sessions_begun(agent: &Agent, window: u64, mean: f64) -> u32 {
    draw::poisson(draw::fraction(mix(agent.key, window)), mean)
}
