//! [`Clock`]: which hour of event time (epoch) the detector is in, told by the records alone.
//!
//! An event of epoch `e` is judged by what all agents did up to epoch `e - 2`. The epoch between is
//! the grace: partitions may be up to an hour of event time apart and every event still finds the
//! same snapshot, whatever the interleaving. Two epochs are open for learning, the current and the
//! previous one; a later event (see [`Placed::is_late`]) is judged by the older of the two snapshots
//! and learned in the older of the two epochs: what its class learns of it, and when, then depends on
//! the interleaving (not on batches: a replay of the same order is still the same).
//!
//! Invariant: placing is a function of the sequence of (epoch, agent) alone. One agent whose clock is
//! wrong cannot move the epochs by more than [`STRIDE_HOURS`] beyond what another agent supports, nor
//! back, until two agents (or many events of one, with nobody to object) agree that it is later or
//! another day. Who is more than a day off changes nothing of how the others are placed.

use crate::pack::pack_struct;

/// How far a single agent moves the clock on its own.
const STRIDE_HOURS: u32 = 2;
/// Hours that an event may lie before or after the current epoch and its time be believed.
const STRAY_HOURS: u32 = 24;
/// Strays in a row, of two agents at least, that move the clock by more than a day.
const STRAYS_MAX: u32 = 16;
/// Strays in a row of a single agent that move the clock by less than a day.
const STRAYS_OF_ONE_DAY_MAX: u32 = 16;
/// And by more: then nobody else is there to object.
const STRAYS_OF_ONE_MAX: u32 = 256;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clock {
    /// The current epoch; `None` before the first event.
    epoch: Option<u32>,
    /// The agent that moved the clock last, and the epoch that somebody else supports.
    leader: u64,
    supported: u32,
    /// Up to a day off, and by more. The one kind is counted as if there were none of the other: who is
    /// years ahead does not keep the clock from following those who are hours ahead.
    near: Strays,
    far: Strays,
}

pack_struct!(Clock { epoch, leader, supported, near, far });

/// Events in a row, none of which the clock follows, that lie within a day of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Strays {
    events: u32,
    /// Of the first one, or of the last while only one agent strays.
    epoch: u32,
    agent: u64,
    /// Another agent than `agent` strays as well: 0 or 1.
    is_agreed: u8,
}

pack_struct!(Strays { events, epoch, agent, is_agreed });

/// Which of the two open epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Previous,
    Current,
}

/// Where an event falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// What must happen to the epochs before the event is folded.
    pub turn: Turn,
    pub slot: Slot,
    /// More than an hour behind.
    pub is_late: bool,
    /// More than a day ahead: its time is not believed.
    pub is_ahead: bool,
}

/// What happens to the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Stay,
    /// Seal epoch by epoch up to this one.
    Advance {
        from: u32,
        to: u32,
    },
    /// Seal both open epochs and go on from this earlier one.
    Reset {
        to: u32,
    },
}

impl Clock {
    pub(crate) fn epoch(&self) -> Option<u32> {
        self.epoch
    }

    /// Places an event of `epoch` and moves the clock.
    ///
    /// | the event lies                               | the clock                                   |
    /// |----------------------------------------------|---------------------------------------------|
    /// | up to a day behind                           | stays                                       |
    /// | ahead, within the stride of what is supported | follows                                     |
    /// | up to a day ahead otherwise                  | stays until a second agent or 16 events agree |
    /// | more than a day off                          | stays until 16 of two agents or 256 agree    |
    pub(crate) fn place(&mut self, epoch: u32, agent: u64) -> Placed {
        let Some(current) = self.epoch else {
            self.move_to(epoch, epoch, agent);
            return Placed::on_time(Turn::Stay);
        };
        let is_believed = epoch.abs_diff(current) <= STRAY_HOURS;
        if agent != self.leader && is_believed {
            self.supported = self.supported.max(epoch.min(current));
        }
        if is_believed && epoch <= current {
            self.forget_strays();
            let slot = if epoch == current { Slot::Current } else { Slot::Previous };
            let is_late = epoch + 1 < current;
            return Placed { turn: Turn::Stay, slot, is_late, is_ahead: false };
        }
        if current < epoch && epoch <= self.supported.saturating_add(STRIDE_HOURS) {
            self.forget_strays();
            let supported = if agent == self.leader { self.supported } else { current };
            self.move_to(epoch, supported, agent);
            return Placed::on_time(Turn::Advance { from: current, to: epoch });
        }
        let (strays, of_one, of_several) = if is_believed {
            (&mut self.near, STRAYS_OF_ONE_DAY_MAX, 2)
        } else {
            (&mut self.far, STRAYS_OF_ONE_MAX, STRAYS_MAX)
        };
        strays.count(epoch, agent);
        let wanted = if strays.is_agreed == 1 { of_several } else { of_one };
        if wanted <= strays.events {
            // The lesser of the two that agree: the other may be wrong still.
            let to = if is_believed { epoch.min(strays.epoch) } else { epoch };
            self.forget_strays();
            self.move_to(to, to, agent);
            return Placed::on_time(if current < to {
                Turn::Advance { from: current, to }
            } else {
                Turn::Reset { to }
            });
        }
        let is_ahead = current < epoch && !is_believed;
        let slot = if current < epoch { Slot::Current } else { Slot::Previous };
        Placed { turn: Turn::Stay, slot, is_late: epoch < current, is_ahead }
    }

    fn move_to(&mut self, epoch: u32, supported: u32, leader: u64) {
        self.epoch = Some(epoch);
        self.supported = supported;
        self.leader = leader;
    }

    fn forget_strays(&mut self) {
        (self.near, self.far) = (Strays::default(), Strays::default());
    }
}

impl Strays {
    fn count(&mut self, epoch: u32, agent: u64) {
        if self.events == 0 || STRAY_HOURS < epoch.abs_diff(self.epoch) {
            *self = Self { events: 0, epoch, agent, is_agreed: 0 };
        }
        self.events += 1;
        if agent != self.agent {
            self.is_agreed = 1;
        } else if self.is_agreed == 0 {
            // What it says now counts, not what it said first.
            self.epoch = epoch;
        }
    }
}

impl Placed {
    fn on_time(turn: Turn) -> Self {
        Self { turn, slot: Slot::Current, is_late: false, is_ahead: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_at(epoch: u32) -> Clock {
        let mut clock = Clock::default();
        clock.place(epoch, 1);
        clock
    }

    #[test]
    fn an_agent_ten_years_ahead_moves_nobody_as_long_as_others_are_on_time() {
        let mut clock = clock_at(1_000);
        for n in 0..10_000 {
            let wrong = clock.place(88_600 + n / 100, 7);
            assert!(wrong.is_ahead && wrong.turn == Turn::Stay);
            if n % 100 == 0 {
                clock.place(1_000, 1);
            }
        }

        assert_eq!(clock.epoch(), Some(1_000));
    }

    #[test]
    fn a_single_agent_moves_the_clock_two_hours_at_most_however_it_creeps() {
        let mut clock = clock_at(1_000);
        for n in 0..200 {
            clock.place(1_000 + n % 24, 7);
            clock.place(1_000, 1 + u64::from(n % 3));
        }

        assert!(clock.epoch() <= Some(1_002), "{:?}", clock.epoch());
    }

    #[test]
    fn after_a_night_two_agents_or_sixteen_events_of_one_move_the_clock() {
        let mut two = clock_at(1_000);
        let first = two.place(1_010, 1);
        let second = two.place(1_009, 2);
        let mut alone = clock_at(1_000);
        let turns: Vec<Turn> = (0..16).map(|_| alone.place(1_010, 1).turn).collect();

        assert_eq!((first.turn, first.is_ahead), (Turn::Stay, false));
        assert_eq!(second.turn, Turn::Advance { from: 1_000, to: 1_009 });
        assert_eq!(turns[..15], [Turn::Stay; 15]);
        assert_eq!(turns[15], Turn::Advance { from: 1_000, to: 1_010 });
    }

    #[test]
    fn after_a_silence_of_a_week_sixteen_events_of_two_agents_move_the_clock() {
        let mut clock = clock_at(1_000);
        let turns: Vec<Turn> = (0..17).map(|n| clock.place(1_168, n % 3).turn).collect();

        assert_eq!(turns[..15], [Turn::Stay; 15]);
        assert_eq!(turns[15..], [Turn::Advance { from: 1_000, to: 1_168 }, Turn::Stay]);
    }

    #[test]
    fn who_is_years_ahead_keeps_nobody_from_following_those_who_are_hours_ahead() {
        let [mut calm, mut disturbed] = [clock_at(1_000), clock_at(1_000)];
        for (epoch, agent) in [(1_010, 1), (1_010, 1), (1_009, 2), (1_012, 2), (1_011, 3)] {
            let ahead = disturbed.place(88_600, 7);
            assert!(ahead.is_ahead && ahead.turn == Turn::Stay);
            assert_eq!(disturbed.place(epoch, agent), calm.place(epoch, agent));
        }

        assert_eq!(calm.epoch(), Some(1_011));
    }

    #[test]
    fn a_clock_that_was_wrong_from_the_start_is_put_right() {
        let mut clock = clock_at(88_600);
        let mut last = Turn::Stay;
        for n in 0..16 {
            last = clock.place(1_000, n % 2).turn;
        }

        assert_eq!(last, Turn::Reset { to: 1_000 });
    }

    #[test]
    fn an_event_of_the_last_epoch_is_on_time_and_one_before_is_late() {
        let mut clock = clock_at(1_000);

        let placed = [1_000, 999, 998].map(|epoch| clock.place(epoch, 1));

        assert_eq!(placed.map(|one| one.slot), [Slot::Current, Slot::Previous, Slot::Previous]);
        assert_eq!(placed.map(|one| one.is_late), [false, false, true]);
    }
}
