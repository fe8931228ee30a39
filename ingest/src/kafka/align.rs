//! Which partition is to be read next, so that all are read in step by their records' times.
//!
//! Invariant: while several partitions have records, the time of a record that is taken is at most
//! `skew_max` after the first record not yet taken of any other partition. A partition that has
//! nothing at the moment holds the others back until it is known to be at its end or silent.
//!
//! The detector seals a class's hour when the hour has passed; this makes a replay seal it with the
//! same events as the first reading did.

use std::time::Duration;

use schemas::Timestamp;

/// What is known of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The time of the first record not yet taken.
    Ready(Timestamp),
    /// More is to come, no earlier than about the time of the last record taken, if there was one.
    Waiting(Option<Timestamp>),
    /// At its end, or silent: it holds nobody back.
    Idle,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Take records of this lane up to and including this time.
    Take { lane: usize, until: Timestamp },
    /// Nothing can be taken: all lanes are idle, or one that waits holds the others back.
    Wait,
}

/// Decides: the lane with the earliest record, up to `skew_max` after the earliest of the others.
///
/// A run of records costs one decision, so a record costs nothing.
pub(super) fn next(lanes: &[Lane], skew_max: Duration) -> Next {
    let mut earliest: Option<(Timestamp, usize)> = None;
    for (at, lane) in lanes.iter().enumerate() {
        if let Lane::Ready(time) = lane
            && earliest.is_none_or(|(found, _)| *time < found)
        {
            earliest = Some((*time, at));
        }
    }
    let Some((time, lane)) = earliest else { return Next::Wait };
    let mut until = Timestamp::MAX;
    for (at, other) in lanes.iter().enumerate() {
        match other {
            Lane::Ready(first) if at != lane => until = until.min(first.plus(skew_max)),
            Lane::Waiting(Some(last)) => until = until.min(last.plus(skew_max)),
            Lane::Waiting(None) => return Next::Wait,
            Lane::Ready(_) | Lane::Idle => {}
        }
    }
    if until < time { Next::Wait } else { Next::Take { lane, until } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u64) -> Timestamp {
        Timestamp::EPOCH.plus(HOUR * u32::try_from(hours).unwrap())
    }

    #[test]
    fn the_earliest_lane_is_read_up_to_the_others() {
        let lanes = [Lane::Ready(at(9)), Lane::Ready(at(2)), Lane::Idle, Lane::Ready(at(5))];

        assert_eq!(next(&lanes, HOUR), Next::Take { lane: 1, until: at(6) });
        assert_eq!(next(&lanes[2..], HOUR), Next::Take { lane: 1, until: Timestamp::MAX });
    }

    #[test]
    fn a_lane_that_waits_holds_the_others_back() {
        assert_eq!(next(&[Lane::Ready(at(9)), Lane::Waiting(Some(at(2)))], HOUR), Next::Wait);
        assert_eq!(next(&[Lane::Ready(at(9)), Lane::Waiting(None)], HOUR), Next::Wait);
        let near = [Lane::Ready(at(9)), Lane::Waiting(Some(at(8)))];
        assert_eq!(next(&near, HOUR), Next::Take { lane: 0, until: at(9) });
    }

    #[test]
    fn nothing_to_read_is_waited_for() {
        assert_eq!(next(&[], HOUR), Next::Wait);
        assert_eq!(next(&[Lane::Idle, Lane::Waiting(Some(at(1)))], HOUR), Next::Wait);
    }

    proptest! {
        /// Reads random lanes to their ends in chunks, as they would arrive.
        #[test]
        fn every_record_is_taken_within_the_skew_of_all_that_are_left(
            gaps in prop::collection::vec(prop::collection::vec(0_u64..500, 0..60), 1..5),
            chunk in 1_usize..9,
        ) {
            let skew_max = Duration::from_mins(5);
            let mut lanes: Vec<Vec<Timestamp>> = gaps.iter().map(|gaps| {
                let mut seconds = 0;
                gaps.iter().map(|gap| { seconds += gap; Timestamp::EPOCH.plus(Duration::from_secs(seconds)) }).collect()
            }).collect();
            let total: usize = lanes.iter().map(Vec::len).sum();
            let mut arrived = vec![0_usize; lanes.len()];
            let mut taken = vec![0_usize; lanes.len()];
            let mut steps = 0;
            while taken.iter().sum::<usize>() < total {
                steps += 1;
                prop_assert!(steps < 10_000, "stuck");
                let known: Vec<Lane> = (0..lanes.len()).map(|at| match lanes[at].get(taken[at]) {
                    None => Lane::Idle,
                    Some(time) if taken[at] < arrived[at] => Lane::Ready(*time),
                    Some(_) => Lane::Waiting(taken[at].checked_sub(1).map(|last| lanes[at][last])),
                }).collect();
                match next(&known, skew_max) {
                    Next::Take { lane, until } => {
                        prop_assert!(lanes[lane][taken[lane]] <= until);
                        while taken[lane] < arrived[lane] && lanes[lane][taken[lane]] <= until {
                            let time = lanes[lane][taken[lane]];
                            taken[lane] += 1;
                            for (at, other) in lanes.iter().enumerate() {
                                if let Some(left) = other.get(taken[at]) {
                                    prop_assert!(time <= left.plus(skew_max));
                                }
                            }
                        }
                    }
                    Next::Wait => {
                        for (at, lane) in lanes.iter_mut().enumerate() {
                            arrived[at] = lane.len().min(arrived[at] + chunk);
                        }
                    }
                }
            }
        }
    }
}
