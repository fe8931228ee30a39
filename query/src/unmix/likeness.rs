//! [`Profile`]: what sessions of one user have in common, and how much better one user explains two
//! of them than two users do.
//!
//! Invariant: everything is a sum over sessions, so the order in which they are added does not show.
//!
//! A user draws each session's network, user agent, actions and hour from categories of its own with a
//! Dirichlet prior, and the logarithm of its pace from a normal distribution of its own with a
//! normal-gamma prior. All of these integrate in closed form. Every partition into users is as likely
//! beforehand: with the prior of a Chinese restaurant process two systems that do the same from two
//! networks are one user with two networks (measured: precision 0.60 instead of 0.99), and an
//! account's systems often do the same. A session's actions weigh as one draw together, however many
//! they are: they come in the order of a task, not independently.
//!
//! Source: Heller and Ghahramani (2005); for the marginal likelihoods Murphy, *Machine Learning: A
//! Probabilistic Perspective* (2012), equations 3.24 and 4.260.

use std::f64::consts::TAU;

/// Weight of the prior of each category, in sessions, over all its values: Perks' prior. One session
/// is the least that can tell, and networks of a user are few.
const PRIOR_SESSIONS: f64 = 1.0;
/// The same for hours: three sessions, as neighbouring hours are like each other.
const PRIOR_HOURS: f64 = 3.0;
const HOURS: f64 = 24.0;
/// Weight of the prior of the mean pace, in sessions, and of its spread, in half sessions.
const PACE_MEAN_SESSIONS: f64 = 0.1;
const PACE_SHAPE: f64 = 2.0;
/// The spread of one user's paces, as a share of that of all: their square roots are 1 to 2.
const PACE_SPREAD: f64 = 0.25;
/// How many sessions a user of none is taken to have, when a session is weighed.
const NEW_SESSIONS: f64 = 1.0;

/// A session, as far as it tells of its user.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) place: u32,
    pub(super) network: u32,
    pub(super) user_agent: u32,
    pub(super) actions: Vec<u32>,
    pub(super) hour: u32,
    /// Mean logarithm of the seconds between uses.
    pub(super) pace: Option<f64>,
}

/// What all sessions together tell, for the priors.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    networks: f64,
    user_agents: f64,
    actions: f64,
    places: f64,
    pace_mean: f64,
    pace_variance: f64,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "a few million at most")]
    pub(super) fn of(
        sightings: &[Sighting],
        [networks, user_agents, actions]: [usize; 3],
        places: usize,
    ) -> Self {
        let paces: Vec<f64> = sightings.iter().filter_map(|one| one.pace).collect();
        let count = (paces.len() as f64).max(1.0);
        let mean = paces.iter().sum::<f64>() / count;
        let variance = paces.iter().map(|pace| (pace - mean).powi(2)).sum::<f64>() / count;
        Self {
            networks: networks.max(1) as f64,
            user_agents: user_agents.max(1) as f64,
            actions: actions.max(1) as f64,
            places: places.max(1) as f64,
            pace_mean: mean,
            pace_variance: variance.max(0.01),
        }
    }
}

/// Counts by value, sorted.
#[derive(Clone, Debug, Default)]
struct Counts(Vec<(u32, f64)>);

impl Counts {
    fn add(&mut self, value: u32, weight: f64) {
        match self.0.binary_search_by_key(&value, |(known, _)| *known) {
            Ok(at) => self.0[at].1 += weight,
            Err(at) => self.0.insert(at, (value, weight)),
        }
    }

    fn of(&self, value: u32) -> f64 {
        let found = self.0.binary_search_by_key(&value, |(known, _)| *known);
        found.map_or(0.0, |at| self.0[at].1)
    }

    /// Of both together.
    fn with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = f64> + 'a {
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        std::iter::from_fn(move || match (ours.peek(), theirs.peek()) {
            (Some(one), Some(two)) if one.0 == two.0 => {
                Some(ours.next().map_or(0.0, |one| one.1) + theirs.next().map_or(0.0, |one| one.1))
            }
            (Some(one), Some(two)) if two.0 < one.0 => theirs.next().map(|one| one.1),
            (Some(_), _) => ours.next().map(|one| one.1),
            (None, _) => theirs.next().map(|one| one.1),
        })
    }

    /// Logarithm of the marginal likelihood of the counts, `values` possible ones.
    fn log_marginal(counts: impl Iterator<Item = f64>, values: f64, prior: f64) -> f64 {
        let each = prior / values;
        let (mut sum, mut total) = (0.0, 0.0);
        let of_none = ln_gamma(each);
        for count in counts {
            sum += ln_gamma(each + count) - of_none;
            total += count;
        }
        sum + ln_gamma(prior) - ln_gamma(prior + total)
    }
}

/// Sums over one user's sessions.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    sessions: f64,
    networks: Counts,
    user_agents: Counts,
    actions: Counts,
    hours: Counts,
    places: Counts,
    /// How many have a pace, their sum, and the sum of their squares.
    pace: [f64; 3],
}

impl Profile {
    pub(super) fn add(&mut self, one: &Sighting) {
        self.sessions += 1.0;
        self.networks.add(one.network, 1.0);
        self.user_agents.add(one.user_agent, 1.0);
        self.places.add(one.place, 1.0);
        self.hours.add(one.hour, 1.0);
        for action in &one.actions {
            self.actions.add(*action, share_of(one));
        }
        if let Some(pace) = one.pace {
            self.pace[0] += 1.0;
            self.pace[1] += pace;
            self.pace[2] += pace * pace;
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(super) fn sessions(&self) -> u64 {
        self.sessions as u64
    }

    fn take_in(&mut self, other: &Self) {
        self.sessions += other.sessions;
        for (ours, theirs) in [
            (&mut self.networks, &other.networks),
            (&mut self.user_agents, &other.user_agents),
            (&mut self.actions, &other.actions),
            (&mut self.hours, &other.hours),
            (&mut self.places, &other.places),
        ] {
            for (value, weight) in &theirs.0 {
                ours.add(*value, *weight);
            }
        }
        for (ours, theirs) in self.pace.iter_mut().zip(other.pace) {
            *ours += theirs;
        }
    }

    /// Logarithm of how likely the sessions of both together are, of one user.
    fn log_evidence(&self, other: &Self, scale: &Scale) -> f64 {
        let of = |ours: &Counts, theirs: &Counts, values, prior| {
            Counts::log_marginal(ours.with(theirs), values, prior)
        };
        let pace = [0, 1, 2].map(|at| self.pace[at] + other.pace[at]);
        of(&self.networks, &other.networks, scale.networks, PRIOR_SESSIONS)
            + of(&self.user_agents, &other.user_agents, scale.user_agents, PRIOR_SESSIONS)
            + of(&self.actions, &other.actions, scale.actions, PRIOR_SESSIONS)
            + of(&self.hours, &other.hours, HOURS, PRIOR_HOURS)
            + log_pace(pace, scale)
    }

    /// Logarithm of how likely a session is of this user, with how busy the user is; `is_own` if the
    /// session is one of those that the profile was made of.
    pub(super) fn log_weight(&self, one: &Sighting, is_own: bool, scale: &Scale) -> f64 {
        let own = f64::from(u8::from(is_own));
        let sessions = self.sessions - own;
        let share = |counts: &Counts, value: u32, values: f64, prior: f64| {
            ((counts.of(value) - own + prior / values) / (sessions + prior)).ln()
        };
        let mut log = sessions.max(NEW_SESSIONS).ln();
        log += share(&self.networks, one.network, scale.networks, PRIOR_SESSIONS);
        log += share(&self.user_agents, one.user_agent, scale.user_agents, PRIOR_SESSIONS);
        log += share(&self.places, one.place, scale.places, PRIOR_SESSIONS);
        log += share(&self.hours, one.hour, HOURS, PRIOR_HOURS);
        let (weight, each) = (share_of(one), PRIOR_SESSIONS / scale.actions);
        for action in &one.actions {
            let known = (self.actions.of(*action) - own * weight).max(0.0);
            log += weight * ((known + each) / (sessions + PRIOR_SESSIONS)).ln();
        }
        if let Some(pace) = one.pace {
            let without =
                [self.pace[0] - own, self.pace[1] - own * pace, self.pace[2] - own * pace * pace];
            let with = [without[0] + 1.0, without[1] + pace, without[2] + pace * pace];
            log += log_pace(with, scale) - log_pace(without, scale);
        }
        log
    }
}

/// The weight of each of a session's actions.
#[expect(clippy::cast_precision_loss, reason = "a few")]
fn share_of(one: &Sighting) -> f64 {
    1.0 / (one.actions.len() as f64).max(1.0)
}

/// Logarithm of the marginal likelihood of paces: their number, sum, and sum of squares.
fn log_pace([count, sum, squares]: [f64; 3], scale: &Scale) -> f64 {
    if count < 0.5 {
        return 0.0;
    }
    let (kappa0, shape0) = (PACE_MEAN_SESSIONS, PACE_SHAPE);
    let rate0 = shape0 * PACE_SPREAD * scale.pace_variance;
    let mean = sum / count;
    let (kappa, shape) = (kappa0 + count, shape0 + count / 2.0);
    let within = (squares - count * mean * mean).max(0.0);
    let between = kappa0 * count * (mean - scale.pace_mean).powi(2) / kappa;
    let rate = rate0 + f64::midpoint(within, between);
    ln_gamma(shape) - ln_gamma(shape0) + shape0 * rate0.ln() - shape * rate.ln()
        + (kappa0 / kappa).ln() / 2.0
        - count / 2.0 * TAU.ln()
}

/// Merges the pair that gains most by being one, until none does.
///
/// Of each entry the best partner after it is kept, so that a merge costs one pass over all pairs of
/// the two entries it changes.
pub(super) fn merge(mut all: Vec<(Vec<u32>, Profile)>, scale: &Scale) -> Vec<(Vec<u32>, Profile)> {
    let nobody = Profile::default();
    let mut alone: Vec<f64> = all.iter().map(|(_, one)| one.log_evidence(&nobody, scale)).collect();
    let mut gains: Vec<Vec<f64>> = Vec::with_capacity(all.len());
    for at in 0..all.len() {
        gains.push((0..at).map(|other| gain(&all, &alone, (at, other), scale)).collect());
    }
    loop {
        let pairs = gains.iter().enumerate().flat_map(|(at, row)| {
            row.iter().enumerate().map(move |(other, gain)| (*gain, at, other))
        });
        let best = pairs.max_by(|one, two| one.0.total_cmp(&two.0).then(two.1.cmp(&one.1)));
        let Some((_, from, to)) = best.filter(|(gain, ..)| 0.0 < *gain) else { return all };
        let (atoms, profile) = all.remove(from);
        all[to].0.extend(atoms);
        all[to].1.take_in(&profile);
        alone.remove(from);
        alone[to] = all[to].1.log_evidence(&nobody, scale);
        gains.remove(from);
        for row in gains.iter_mut().skip(from) {
            row.remove(from);
        }
        for other in 0..all.len() {
            let (at, before) = (other.max(to), other.min(to));
            if at != before {
                gains[at][before] = gain(&all, &alone, (at, before), scale);
            }
        }
    }
}

/// By how much one user explains both better than two users do, as a logarithm.
fn gain(
    all: &[(Vec<u32>, Profile)],
    alone: &[f64],
    (one, other): (usize, usize),
    scale: &Scale,
) -> f64 {
    all[one].1.log_evidence(&all[other].1, scale) - alone[one] - alone[other]
}

/// Logarithm of the gamma function of a positive number.
///
/// Source: Abramowitz and Stegun, *Handbook of Mathematical Functions* (1964), 6.1.41 after 6.1.15.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 1.0);
    while x < 8.0 {
        shift *= x;
        x += 1.0;
    }
    let square = x * x;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1_260.0 * square)) / square) / x;
    (x - 0.5) * x.ln() - x + TAU.ln() / 2.0 + series - f64::ln(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gamma_function_is_as_tabled() {
        for (x, wanted) in [
            (1.0, 0.0),
            (2.0, 0.0),
            (0.5, 0.572_364_942_924_700_1),
            (0.01, 4.599_479_878_042_022),
            (10.0, 12.801_827_480_081_469),
            (1e6, 12_815_504.569_147_611),
        ] {
            assert!((ln_gamma(x) - wanted).abs() < 1e-9 * wanted.max(1.0), "{x}: {}", ln_gamma(x));
        }
    }

    #[test]
    fn the_marginal_likelihood_is_the_product_of_the_predictions() {
        let scale = Scale::of(&[], [3, 2, 4], 5);
        let sighting = |network, actions: &[u32], hour| Sighting {
            place: network,
            network,
            user_agent: network % 2,
            actions: actions.to_vec(),
            hour,
            pace: Some(f64::from(hour)),
        };
        let all = [sighting(0, &[0], 3), sighting(1, &[2], 3), sighting(0, &[1], 7)];
        let (mut profile, mut product) = (Profile::default(), 0.0);
        for one in &all {
            let places = ((profile.places.of(one.place) + 0.2) / (profile.sessions + 1.0)).ln();
            // How busy the user is and the place are in the weight, and not in the evidence.
            let busy = profile.sessions.max(NEW_SESSIONS).ln();
            product += profile.log_weight(one, false, &scale) - places - busy;
            profile.add(one);
        }

        let evidence = profile.log_evidence(&Profile::default(), &scale);

        assert!((evidence - product).abs() < 1e-9, "{evidence} {product}");
    }
}
