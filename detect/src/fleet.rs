//! [`Shift`]: the same change over many agents of one model in one hour: a bad release, a model that
//! was tampered with.
//!
//! Invariant: agents are counted once an hour, whatever they do; a shift is said of three agents at
//! least, and by how many of the model's agents change in other hours.

use crate::class::{Additive, HALF_LIFE_DAYS};
use crate::hash::KeyMap;
use crate::pack::{Pack, Unpacker, pack_struct};
use crate::sums::additive;
use crate::tails::{binomial_upper, surprise};

/// What can change over a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An action that the agent hardly ever did.
    Action,
    /// A counterparty that is new to it and for which nobody vouches.
    Counterparty,
    /// An error or a refusal.
    Failure,
}

impl Change {
    pub(crate) const ALL: [Self; 3] = [Self::Action, Self::Counterparty, Self::Failure];
}

/// Agents that change the same way before it is a shift.
const AGENTS_MIN: f64 = 3.0;
/// What is assumed of a model without a history: one agent-hour in 20 changes, worth 20 agent-hours.
const RATE_OF_NOTHING: f64 = 0.05;
const WORTH_OF_NOTHING: f64 = 20.0;
/// Hours for which a shift is told after it was sealed.
const TOLD_HOURS: u32 = 3;
/// Models remembered.
const MODELS_MAX: usize = 1_024;

additive! {
    /// What agents of one model did.
    FleetSums {
        /// Agent-hours with events.
        hours: f64,
        /// Those with each [`Change`].
        changed: [f64; 3],
    }
}

/// One change of one model, in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Shift {
    pub surprise: f64,
    /// Agents of the model that were active, those that changed, and how many of them usually do.
    pub active: f64,
    pub changed: f64,
    pub expected: f64,
    /// The hour (since 1970) it happened in.
    pub hour: u32,
}

pack_struct!(Shift { surprise, active, changed, expected, hour });

/// All models as of a sealed hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fleets {
    history: KeyMap<FleetSums>,
    /// By model and [`Change`].
    shifts: KeyMap<[Shift; 3]>,
}

impl Pack for Fleets {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { history, shifts } = self;
        history.pack(out);
        shifts.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        Some(Self { history: Pack::unpack(input)?, shifts: Pack::unpack(input)? })
    }
}

impl Fleets {
    pub(crate) fn shift(&self, model: u32, change: Change) -> Shift {
        let of_model = self.shifts.get(&u64::from(model));
        of_model.map_or_else(Shift::default, |shifts| shifts[change as usize])
    }

    pub(crate) fn age_by_a_day(&mut self) {
        self.history.scale((-1.0 / HALF_LIFE_DAYS).exp2());
    }

    /// Judges a sealed hour by the hours before, and adds it to them.
    pub(crate) fn seal(&mut self, hour: u32, delta: &KeyMap<FleetSums>) {
        self.shifts.retain(|_, shifts| {
            shifts.iter().any(|shift| hour < shift.hour.saturating_add(TOLD_HOURS))
        });
        // In the order of keys, since only the first have room.
        let mut models: Vec<(&u64, &FleetSums)> = delta.iter().collect();
        models.sort_unstable_by_key(|(model, _)| **model);
        for (model, now) in models {
            if MODELS_MAX <= self.history.len() && !self.history.contains_key(model) {
                continue;
            }
            let before = self.history.entry(*model).or_default();
            for change in Change::ALL {
                let at = change as usize;
                let rate = (before.changed[at] + RATE_OF_NOTHING * WORTH_OF_NOTHING)
                    / (before.hours + WORTH_OF_NOTHING);
                if now.changed[at] < AGENTS_MIN || now.changed[at] <= 2.0 * rate * now.hours {
                    continue;
                }
                let surprise = surprise(binomial_upper(now.changed[at], now.hours, rate));
                let shift = Shift {
                    surprise,
                    active: now.hours,
                    changed: now.changed[at],
                    expected: rate * now.hours,
                    hour,
                };
                self.shifts.entry(*model).or_default()[at] = shift;
            }
            before.add(now);
        }
    }

    /// Goes back to `hour`: the time after it was a wrong clock's.
    pub(crate) fn rewind(&mut self, hour: u32) {
        self.shifts.retain(|_, shifts| shifts.iter().all(|shift| shift.hour <= hour));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hours: f64, changed: f64) -> KeyMap<FleetSums> {
        let sums = FleetSums { hours, changed: [changed, 0.0, 0.0] };
        std::iter::once((7, sums)).collect()
    }

    #[test]
    fn a_dozen_of_forty_agents_that_change_in_an_hour_are_a_shift_and_it_is_told_for_three_hours() {
        let mut fleets = Fleets::default();
        for at in 0..100 {
            fleets.seal(at, &hour(40.0, f64::from(u8::from(at % 2 == 0))));
        }
        let usual = fleets.shift(7, Change::Action);
        fleets.seal(100, &hour(40.0, 12.0));
        let shift = fleets.shift(7, Change::Action);
        for at in 101..104 {
            fleets.seal(at, &hour(40.0, 0.0));
        }

        assert!(usual.surprise <= 0.0, "{usual:?}");
        assert!(6.0 < shift.surprise && shift.expected < 1.0, "{shift:?}");
        assert_eq!(fleets.shift(7, Change::Failure), Shift::default());
        assert_eq!(fleets.shift(8, Change::Action), Shift::default());
        assert_eq!(fleets.shift(7, Change::Action), Shift::default(), "it is over");
    }

    #[test]
    fn two_agents_and_a_model_that_changes_all_the_time_are_no_shift() {
        let (mut two, mut restless) = (Fleets::default(), Fleets::default());
        for at in 0..100 {
            two.seal(at, &hour(40.0, 0.0));
            restless.seal(at, &hour(40.0, 12.0));
        }
        two.seal(100, &hour(40.0, 2.0));
        restless.seal(100, &hour(40.0, 13.0));

        assert!(two.shift(7, Change::Action).surprise <= 0.0);
        assert!(restless.shift(7, Change::Action).surprise <= 0.0);
    }
}
