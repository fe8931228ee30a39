//! [`Patience`]: when to try again what the lake refused, and when to give up.
//!
//! Invariant: no clock here; the pauses are a function of the tries alone.

use std::time::Duration;

/// How often and how long a pipeline tries to reach the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// Tries in a row before it gives up; `None` for never.
    tries_max: Option<u32>,
    pause_first: Duration,
    pause_max: Duration,
}

impl Patience {
    /// A service: a full disk or a store that is down ends some time, and Kafka keeps the records.
    pub(super) const OF_A_SERVICE: Self = Self {
        tries_max: None,
        pause_first: Duration::from_secs(1),
        pause_max: Duration::from_secs(30),
    };

    /// A command, or the end of a service: somebody waits for the exit. About six seconds, with those
    /// that the lake itself tries.
    pub(super) const OF_A_COMMAND: Self = Self { tries_max: Some(3), ..Self::OF_A_SERVICE };

    /// The pause after `tries` (at least one) in vain, twice as long each time; `None` to give up.
    pub(super) fn pause_after(&self, tries: u32) -> Option<Duration> {
        if self.tries_max.is_some_and(|max| max <= tries) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        Some(self.pause_first.saturating_mul(doubled).min(self.pause_max))
    }

    /// The end of a service is waited for like a command.
    pub(super) fn of_an_end(self) -> Self {
        Self { tries_max: Self::OF_A_COMMAND.tries_max, ..self }
    }

    #[cfg(test)]
    pub(super) fn without_pauses(self) -> Self {
        Self { pause_first: Duration::ZERO, pause_max: Duration::ZERO, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_a_command_gives_up() {
        let pauses =
            |patience: Patience| (1..8).map_while(move |tries| patience.pause_after(tries));
        let seconds =
            |pauses: Vec<Duration>| -> Vec<u64> { pauses.iter().map(Duration::as_secs).collect() };

        let service = seconds(pauses(Patience::OF_A_SERVICE).collect());
        let command = seconds(pauses(Patience::OF_A_COMMAND).collect());

        assert_eq!(service, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(command, [1, 2]);
        assert_eq!(Patience::OF_A_SERVICE.pause_after(u32::MAX), Some(Duration::from_secs(30)));
    }
}
