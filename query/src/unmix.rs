//! [`Unmixer`]: who uses one credential, told from the uses alone.
//!
//! Invariant: a function of the uses in their order, and of nothing else: no agent id is looked at,
//! so a split can be compared with what events or the registry say. Memory is bounded: at most
//! [`USES_MAX`] uses, of which a session keeps at most [`ACTIONS_MAX`] actions and [`PLACES_MAX`]
//! places, and at most [`ATOMS_MAX`] places are compared with each other.
//!
//! - Uses are gathered into sessions: by their session id, else by place, until half an hour of silence.
//!   A session is one user's; so what is thought of a session is thought of each of its uses.
//! - Sessions lie at places, an address with a user agent. Places that sessions span are one.
//! - Places are merged as long as one user explains two of them better than two users do, the best
//!   pair first (`unmix/likeness.rs`): by network, user agent, actions, pace and hour.
//! - Each session is then weighed against all users, without its own part in them.
//!
//! Source: Heller and Ghahramani, *Bayesian Hierarchical Clustering* (2005), for merging by marginal
//! likelihood; Bagga and Baldwin, *Algorithms for Scoring Coreference Chains* (1998), for the measure.

mod answer;
mod likeness;
mod measure;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use schemas::Timestamp;

pub use answer::{Owner, UnmixAnswer, UnmixedUse, UserAnswer};
pub use measure::{Measure, measure};

pub(crate) use answer::{Row, take};

use likeness::{Profile, Scale, Sighting};

/// Most uses that are split in one go. Source: under 1 GB by some 300 bytes for each.
pub const USES_MAX: usize = 2_000_000;
/// Most places that are compared with each other, the busiest; the others join whom they are like.
const ATOMS_MAX: usize = 512;
/// Most different actions kept of a session.
const ACTIONS_MAX: usize = 24;
/// Most places kept of a session.
const PLACES_MAX: usize = 4;
/// A place without session ids begins a new session after this silence.
const SILENCE: Duration = Duration::from_mins(30);
/// Places are one if at least this many sessions span them, ...
const SPANNING_MIN: usize = 3;
/// ... and these are this share of the sessions of the less busy one.
const SPANNING_SHARE: f64 = 0.1;
/// Users kept of what a session may be of.
const LIKELY_MAX: usize = 4;

/// One use of the credential, as far as it may tell of the user.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    pub time: Timestamp,
    pub session: Option<&'a str>,
    pub address: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub action: &'a str,
}

/// Who made a use, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// Into [`Split::users`].
    pub user: usize,
    /// From 0 to 1; those of a use sum to 1, but for users left out as most unlikely.
    pub probability: f64,
}

/// What tells a user from the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    pub uses: u64,
    pub sessions: u64,
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    /// Most used first, as are the others.
    pub networks: Vec<String>,
    pub addresses: Vec<String>,
    pub user_agents: Vec<String>,
    pub actions: Vec<String>,
    /// Geometric mean of the time between two uses of a session.
    pub seconds_between_uses: Option<f64>,
}

/// The uses, split.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// Busiest first.
    pub users: Vec<Signature>,
    /// Of each session, the likeliest first.
    sessions: Vec<Vec<Likely>>,
    /// Of each use, its session.
    of_uses: Vec<u32>,
}

impl Split {
    pub fn len(&self) -> usize {
        self.of_uses.len()
    }

    pub fn is_empty(&self) -> bool {
        self.of_uses.is_empty()
    }

    /// Who may have made the use of this number, the likeliest first; never empty.
    pub fn likely(&self, number: usize) -> &[Likely] {
        &self.sessions[self.of_uses[number] as usize]
    }
}

/// Names to numbers, in the order of their first use.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("as many as uses at most");
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// An address with a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    address: u32,
    network: u32,
    user_agent: u32,
}

#[derive(Debug)]
struct Session {
    began: Timestamp,
    last: Timestamp,
    uses: u32,
    /// With how many uses; the first has most in the end.
    places: Vec<(u32, u32)>,
    actions: Vec<u32>,
    /// Sum of the logarithms of seconds between uses, and of how many.
    pace: (f64, u32),
}

/// Gathers uses, in the order of time.
#[derive(Debug, Default)]
pub struct Unmixer {
    addresses: Names,
    networks: Names,
    user_agents: Names,
    actions: Names,
    places: HashMap<Place, u32>,
    place_list: Vec<Place>,
    sessions: Vec<Session>,
    by_id: HashMap<String, u32>,
    /// The last session without an id, by place.
    open: HashMap<u32, u32>,
    of_uses: Vec<u32>,
}

impl Unmixer {
    /// Takes a use. Returns whether there was room for it.
    pub fn push(&mut self, one: &Use<'_>) -> bool {
        if USES_MAX <= self.of_uses.len() {
            return false;
        }
        let place = self.place(one);
        let at = self.session(one, place);
        let action = self.actions.number(one.action);
        let session = &mut self.sessions[at as usize];
        if 0 < session.uses {
            let seconds = one.time.since(session.last).as_secs_f64();
            session.pace.0 += seconds.max(0.001).ln();
            session.pace.1 += 1;
        }
        session.last = session.last.max(one.time);
        session.uses += 1;
        if let Some((_, uses)) = session.places.iter_mut().find(|(known, _)| *known == place) {
            *uses += 1;
        } else if session.places.len() < PLACES_MAX {
            session.places.push((place, 1));
        }
        if !session.actions.contains(&action) && session.actions.len() < ACTIONS_MAX {
            session.actions.push(action);
        }
        self.of_uses.push(at);
        true
    }

    fn place(&mut self, one: &Use<'_>) -> u32 {
        let (address, network) = match one.address {
            Some(address) => (address.to_string(), network_of(address)),
            None => ("unknown".to_owned(), "unknown".to_owned()),
        };
        let place = Place {
            address: self.addresses.number(&address),
            network: self.networks.number(&network),
            user_agent: self.user_agents.number(one.user_agent.unwrap_or("unknown")),
        };
        let next = u32::try_from(self.place_list.len()).expect("as many as uses at most");
        let number = *self.places.entry(place).or_insert(next);
        if number == next {
            self.place_list.push(place);
        }
        number
    }

    fn session(&mut self, one: &Use<'_>, place: u32) -> u32 {
        let next = u32::try_from(self.sessions.len()).expect("as many as uses at most");
        let number = if let Some(id) = one.session {
            if let Some(number) = self.by_id.get(id) {
                *number
            } else {
                self.by_id.insert(id.to_owned(), next);
                next
            }
        } else {
            let open = self.open.get(&place).copied();
            let is_open =
                |number: &u32| one.time.since(self.sessions[*number as usize].last) <= SILENCE;
            open.filter(is_open).unwrap_or(next)
        };
        if one.session.is_none() {
            self.open.insert(place, number);
        }
        if number == next {
            self.sessions.push(Session {
                began: one.time,
                last: one.time,
                uses: 0,
                places: Vec::new(),
                actions: Vec::new(),
                pace: (0.0, 0),
            });
        }
        number
    }

    /// Splits what was gathered.
    pub fn finish(mut self) -> Split {
        for session in &mut self.sessions {
            session.places.sort_by_key(|(place, uses)| (std::cmp::Reverse(*uses), *place));
        }
        let sightings: Vec<Sighting> = self.sessions.iter().map(|one| self.sighting(one)).collect();
        let scale = Scale::of(
            &sightings,
            [self.networks.names.len(), self.user_agents.names.len(), self.actions.names.len()],
            self.place_list.len(),
        );
        let atoms = self.atoms();
        let profiles = self.merged(&atoms, &sightings, &scale);
        let mut order: Vec<usize> = (0..profiles.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(profiles[*at].1.sessions()));
        let mut user_of_atom = HashMap::new();
        for (user, at) in order.iter().enumerate() {
            for atom in &profiles[*at].0 {
                user_of_atom.insert(*atom, user);
            }
        }
        let users: Vec<&Profile> = order.iter().map(|at| &profiles[*at].1).collect();
        let sessions: Vec<Vec<Likely>> = self
            .sessions
            .iter()
            .zip(&sightings)
            .map(|(session, sighting)| {
                let own = user_of_atom.get(&atoms[session.places[0].0 as usize]).copied();
                likely(&users, sighting, own, &scale)
            })
            .collect();
        let users = self.signatures(users.len(), &sessions);
        Split { users, sessions, of_uses: self.of_uses }
    }

    fn sighting(&self, session: &Session) -> Sighting {
        let place = self.place_list[session.places[0].0 as usize];
        let hour = session.began.hour_of_week() % 24;
        Sighting {
            place: session.places[0].0,
            network: place.network,
            user_agent: place.user_agent,
            actions: session.actions.clone(),
            hour: u32::try_from(hour).expect("24 hours"),
            pace: (0 < session.pace.1).then(|| session.pace.0 / f64::from(session.pace.1)),
        }
    }

    /// Of each place, the place that stands for it: itself, or the first of those that sessions span.
    fn atoms(&self) -> Vec<u32> {
        let mut of_place = vec![0_usize; self.place_list.len()];
        let mut spanning: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for session in &self.sessions {
            of_place[session.places[0].0 as usize] += 1;
            let (first, others) = session.places.split_first().expect("a session has a place");
            for other in others {
                let pair = (first.0.min(other.0), first.0.max(other.0));
                *spanning.entry(pair).or_default() += 1;
            }
        }
        let mut atoms: Vec<u32> =
            (0..of_place.len()).map(|at| u32::try_from(at).expect("as above")).collect();
        for ((one, other), sessions) in spanning {
            let fewer = of_place[one as usize].min(of_place[other as usize]).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a share of sessions")]
            let share = sessions as f64 / fewer as f64;
            if SPANNING_MIN <= sessions && SPANNING_SHARE <= share {
                let (from, to) = (atoms[other as usize], atoms[one as usize]);
                let (from, to) = (from.max(to), from.min(to));
                for atom in &mut atoms {
                    if *atom == from {
                        *atom = to;
                    }
                }
            }
        }
        atoms
    }

    /// Merges atoms until each is better explained by a user of its own. Gives each user's atoms.
    fn merged(
        &self,
        atoms: &[u32],
        sightings: &[Sighting],
        scale: &Scale,
    ) -> Vec<(Vec<u32>, Profile)> {
        let mut gathered: BTreeMap<u32, Profile> = BTreeMap::new();
        for (session, sighting) in self.sessions.iter().zip(sightings) {
            let atom = atoms[session.places[0].0 as usize];
            gathered.entry(atom).or_default().add(sighting);
        }
        let mut all: Vec<(Vec<u32>, Profile)> =
            gathered.into_iter().map(|(atom, profile)| (vec![atom], profile)).collect();
        all.sort_by_key(|(atoms, profile)| (std::cmp::Reverse(profile.sessions()), atoms[0]));
        all.truncate(ATOMS_MAX);
        likeness::merge(all, scale)
    }

    /// What is told of each user, by the sessions that are likeliest of that user.
    fn signatures(&self, users: usize, sessions: &[Vec<Likely>]) -> Vec<Signature> {
        let mut tallies: Vec<Tally> = std::iter::repeat_with(Tally::default).take(users).collect();
        for (session, likely) in self.sessions.iter().zip(sessions) {
            tallies[likely[0].user].add(session);
        }
        tallies.into_iter().map(|tally| tally.told(self)).collect()
    }
}

/// The network of an address: as wide as a site usually is.
fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// The users that a session may be of, by what is known of them without it.
fn likely(
    users: &[&Profile],
    sighting: &Sighting,
    own: Option<usize>,
    scale: &Scale,
) -> Vec<Likely> {
    let weights: Vec<f64> = users
        .iter()
        .enumerate()
        .map(|(user, profile)| profile.log_weight(sighting, own == Some(user), scale))
        .collect();
    let best = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = weights.iter().map(|weight| (weight - best).exp()).sum();
    let mut likely: Vec<Likely> = weights
        .iter()
        .enumerate()
        .map(|(user, weight)| Likely { user, probability: (weight - best).exp() / sum })
        .collect();
    likely.sort_by(|one, other| other.probability.total_cmp(&one.probability));
    likely.truncate(LIKELY_MAX);
    likely
}

#[derive(Debug, Default)]
struct Tally {
    signature: Signature,
    places: BTreeMap<u32, u64>,
    actions: BTreeMap<u32, u64>,
    pace: (f64, u32),
}

/// Names told of each kind.
const TOLD_MAX: usize = 12;

impl Tally {
    fn add(&mut self, session: &Session) {
        let told = &mut self.signature;
        told.sessions += 1;
        told.uses += u64::from(session.uses);
        told.first_time = Some(told.first_time.map_or(session.began, |at| at.min(session.began)));
        told.last_time = told.last_time.max(Some(session.last));
        for (place, uses) in &session.places {
            *self.places.entry(*place).or_default() += u64::from(*uses);
        }
        for action in &session.actions {
            *self.actions.entry(*action).or_default() += 1;
        }
        self.pace.0 += session.pace.0;
        self.pace.1 += session.pace.1;
    }

    fn told(self, unmixer: &Unmixer) -> Signature {
        let Self { mut signature, places, actions, pace } = self;
        let of = |number: fn(&Place) -> u32, names: &Names| {
            let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
            for (place, uses) in &places {
                *counts.entry(number(&unmixer.place_list[*place as usize])).or_default() += uses;
            }
            most_used(&counts, names)
        };
        signature.networks = of(|place| place.network, &unmixer.networks);
        signature.addresses = of(|place| place.address, &unmixer.addresses);
        signature.user_agents = of(|place| place.user_agent, &unmixer.user_agents);
        signature.actions = most_used(&actions, &unmixer.actions);
        signature.seconds_between_uses = (0 < pace.1).then(|| (pace.0 / f64::from(pace.1)).exp());
        signature
    }
}

fn most_used(counts: &BTreeMap<u32, u64>, names: &Names) -> Vec<String> {
    let mut numbers: Vec<(&u32, &u64)> = counts.iter().collect();
    numbers.sort_by_key(|(number, uses)| (std::cmp::Reverse(**uses), **number));
    numbers.iter().take(TOLD_MAX).map(|(at, _)| names.names[**at as usize].clone()).collect()
}

#[cfg(test)]
mod tests;
