//! What follows from an attempt, and when.
//!
//! Invariant: no clock, no randomness; the same message and try always get the same delay.
//!
//! Source: Standard Webhooks 1.0.0, "Retry schedule": ten tries over 75 h 35 min 5 s.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Failure, Outcome};

/// Seconds to wait before each try, the first included.
const DELAYS_S: [u32; 10] =
    [0, 5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 14 * 3_600, 20 * 3_600, 24 * 3_600];

/// Tries at one message; then it is dead.
const TRIES_MAX: u8 = 10;

/// A receiver may ask for patience, but not that we forget: the longest delay of our own.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// How a receiver answered one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status { code: u16, retry_after: Option<Duration> },
    None(Failure),
}

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Delivered,
    /// The next try starts that long after this one ended.
    RetryIn(Duration),
    Dead,
    /// The message is dead, and the endpoint gets nothing more.
    EndpointDisabled,
}

impl Next {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Delivered => Outcome::Delivered,
            Self::RetryIn(_) => Outcome::Failed,
            Self::Dead => Outcome::Dead,
            Self::EndpointDisabled => Outcome::Disabled,
        }
    }
}

/// The wait before try `number` (1 is the first), within 10 % of the table.
///
/// The jitter comes from the id, so that messages which failed together come back apart.
pub(super) fn delay_before(webhook_id: &str, number: u8) -> Duration {
    let index = usize::from(number).checked_sub(1).expect("tries are counted from 1");
    let hash = Sha256::new().chain_update(webhook_id).chain_update([number]).finalize();
    let random = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let jitter = 0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX);
    Duration::from_secs_f64(f64::from(DELAYS_S[index]) * jitter)
}

/// What follows when try `number` of a message was answered with `answer`.
///
/// | answer                          | before the last try                   | at the last try    |
/// |---------------------------------|---------------------------------------|--------------------|
/// | 2xx                             | `Delivered`                           | `Delivered`        |
/// | 410                             | `EndpointDisabled`                    | `EndpointDisabled` |
/// | 429 or 503 with `Retry-After`   | `RetryIn` the longer of it and ours   | `Dead`             |
/// | any other status, 3xx included  | `RetryIn` our delay                   | `Dead`             |
/// | none                            | `RetryIn` our delay                   | `Dead`             |
pub(super) fn after_attempt(webhook_id: &str, number: u8, answer: Answer) -> Next {
    let asked = match answer {
        Answer::Status { code: 200..=299, .. } => return Next::Delivered,
        Answer::Status { code: 410, .. } => return Next::EndpointDisabled,
        Answer::Status { code: 429 | 503, retry_after } => retry_after.unwrap_or_default(),
        Answer::Status { .. } | Answer::None(_) => Duration::ZERO,
    };
    if TRIES_MAX <= number {
        return Next::Dead;
    }
    let ours = delay_before(webhook_id, number + 1);
    Next::RetryIn(ours.max(asked.min(RETRY_AFTER_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    #[test]
    fn every_delay_lies_within_a_tenth_of_the_table_and_ids_spread_over_it() {
        for (number, seconds) in (1..).zip(DELAYS_S) {
            let exact = f64::from(seconds);
            let delays: Vec<f64> =
                (0..200).map(|n| delay_before(&format!("f-{n}"), number).as_secs_f64()).collect();

            assert!(delays.iter().all(|delay| (exact * 0.899..=exact * 1.101).contains(delay)));
            if number != 1 {
                assert!(delays.iter().any(|delay| *delay < exact * 0.93), "try {number}");
                assert!(delays.iter().any(|delay| exact * 1.07 < *delay), "try {number}");
            }
        }
    }

    #[test]
    fn a_delay_is_the_same_each_time_it_is_asked_for() {
        let delay = delay_before("f-1", 4);

        assert_eq!(delay_before("f-1", 4), delay);
        assert_ne!(delay_before("f-2", 4), delay);
    }

    #[test]
    fn only_2xx_delivers() {
        let after = |code| after_attempt("f-1", 1, status(code));

        for code in [200, 201, 202, 204, 299] {
            assert_eq!(after(code), Next::Delivered, "{code}");
        }
        for code in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 502, 503, 599] {
            assert!(matches!(after(code), Next::RetryIn(_)), "{code}");
        }
        assert_eq!(after(410), Next::EndpointDisabled);
    }

    #[test]
    fn the_tenth_failure_is_the_last() {
        let failures = [status(500), status(302), status(429), Answer::None(Failure::Timeout)];
        for answer in failures {
            let after = |number| after_attempt("f-1", number, answer);
            assert!(matches!(after(9), Next::RetryIn(_)), "{answer:?}");
            assert_eq!(after(10), Next::Dead, "{answer:?}");
        }
        assert_eq!(after_attempt("f-1", 10, status(204)), Next::Delivered);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_a_day_when_it_is_longer_than_ours() {
        let after = |code, seconds| {
            let answer = Answer::Status { code, retry_after: Some(Duration::from_secs(seconds)) };
            after_attempt("f-1", 1, answer)
        };
        let ours = Next::RetryIn(delay_before("f-1", 2));

        assert_eq!(after(429, 120), Next::RetryIn(Duration::from_mins(2)));
        assert_eq!(after(503, 120), Next::RetryIn(Duration::from_mins(2)));
        assert_eq!(after(503, u64::MAX), Next::RetryIn(Duration::from_hours(24)));
        assert_eq!(after(429, 1), ours);
        assert_eq!(after(500, 120), ours);
    }
}
