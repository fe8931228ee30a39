//! [`Standing`] and [`Voter`]: whose word counts where peers vouch for a thing.
//!
//! Agents are cheap: whoever may enrol one may enrol twelve and let them deal with his shell company. So
//! an agent has a vote of its own only once it is established in its class: as one of its founders, who
//! came before the class had regulars, or after [`Standing::TENURE_DAYS`] days of activity. Until then all newcomers that one sponsor answers
//! for have one vote together, and so have all for whom nobody does.
//!
//! Invariant: a function of the agent's history, its class and its sponsor as stamped on the event. A
//! founder of one class is none of another, but for one class in 64.

use crate::pack::{Pack, Unpacker};

/// What an agent is among its class, in one byte: bit 0, it was established once, then forgotten, and
/// is back; bit 1, it is a founder; the rest tells of which class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing(u8);

impl Standing {
    /// Days of activity after which a newcomer has a vote of its own: twice what a class needs to settle
    /// (`class.rs`), and more than four times what trust takes.
    pub(crate) const TENURE_DAYS: u16 = 14;

    const IS_BACK: u8 = 1;
    const IS_FOUNDER: u8 = 2;

    pub(crate) fn of_returned() -> Self {
        Self(Self::IS_BACK)
    }

    /// It appeared before its class had regulars.
    pub(crate) fn found(&mut self, class: u64) {
        self.0 = (self.0 & Self::IS_BACK) | Self::IS_FOUNDER | tag(class);
    }

    pub(crate) fn is_back(self) -> bool {
        self.0 & Self::IS_BACK != 0
    }

    pub(crate) fn is_founder(self, class: u64) -> bool {
        self.0 & Self::IS_FOUNDER != 0 && self.0 & TAG == tag(class)
    }
}

const TAG: u8 = 0b1111_1100;

fn tag(class: u64) -> u8 {
    class.to_be_bytes()[0] & TAG
}

impl Pack for Standing {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        u8::unpack(input).map(Self)
    }
}

/// An agent that votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Voter {
    /// Of the agent.
    pub agent: u64,
    /// Of all newcomers of its sponsor.
    pub pool: u64,
    pub is_established: bool,
    /// It became established by its tenure: its votes of before were its pool's.
    pub is_promoted: bool,
    /// See [`crate::class::Class::counts_days`]: its agents live too briefly for anything else.
    pub counts_days: bool,
}

impl Voter {
    /// Whose bit a vote for having dealt with a thing is; a newcomer has none.
    pub(crate) fn of_dealing(self) -> Option<u64> {
        (self.is_established || self.counts_days).then_some(self.agent)
    }

    /// Whose bit a vote of trust is.
    pub(crate) fn of_trust(self) -> u64 {
        if self.is_established { self.agent } else { self.pool }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::detector::Detector;
    use crate::sample::{DAY, START, company, event, numbered, paying, with};

    /// The score of a payment by an established agent to a vendor that newcomers of the class dealt with
    /// for eight days, each answered for by its own sponsor if `are_apart`.
    fn score_after(newcomers: usize, are_apart: bool) -> f64 {
        let paid = |agent: &str, second: i64| {
            let made = event(agent, "procurement", second, "procurement.approve");
            with(paying(made, 900.0), "vendor:shell")
        };
        let mut events = company(5, 24, 0..14);
        for day in 5..13 {
            for n in 0..newcomers {
                let second = START + day * DAY + 9 * 3_600 + 60 * i64::try_from(n).unwrap();
                let mut made = paid(&format!("fake-{n}"), second);
                let sponsor = format!("sponsor-{n}").try_into().unwrap();
                made.sponsor_id = are_apart.then_some(sponsor);
                events.push(made);
            }
        }
        events.sort_by_key(|stamped| stamped.event.time);
        let mut detector = Detector::new(Config::default());
        detector.fold(&numbered(events));
        detector.score(&paid("procurement-agent-6", START + 14 * DAY)).score.score
    }

    #[test]
    fn a_flood_of_newcomers_of_one_sponsor_vouches_for_nothing_and_those_of_several_do() {
        let [alone, flooded, apart] =
            [(0, false), (12, false), (12, true)].map(|(n, are_apart)| score_after(n, are_apart));

        assert!(0.9 * alone < flooded, "{alone} {flooded}");
        assert!(apart < 0.8 * alone, "{alone} {apart}");
    }

    #[test]
    fn a_founder_of_one_class_is_none_of_another() {
        let mut standing = Standing::of_returned();
        standing.found(0xabcd_0000_0000_0000);

        assert!(standing.is_founder(0xabcd_0000_0000_0000) && standing.is_back());
        assert!(!standing.is_founder(0x1bcd_0000_0000_0000));
        assert!(!Standing::default().is_founder(0));
    }
}
