//! [`Shard`]: which part of the detector's state an agent belongs to.
//!
//! Invariant: the shard of an agent never changes, in no release and on no machine: checkpoints and
//! the keying of topics rest on it. So the hash is written here and nowhere else.

use crate::AgentId;

/// How many shards there are. Fixed: see the invariant.
pub const SHARDS: usize = 64;

/// One of the [`SHARDS`] parts of the detector's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// Source: FNV-1a, 64 bit, folded to its upper bits by a multiplication (Fibonacci hashing).
    pub fn of(agent: &AgentId) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in agent.as_str().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self((hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u8)
    }

    /// 0 to 63.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_an_agent_is_fixed_for_ever() {
        let shard = |name: &str| Shard::of(&AgentId::try_from(name).unwrap()).index();

        let shards = ["procurement-1", "ci-bot-7", "a", "b"].map(shard);

        assert_eq!(shards, [15, 18, 24, 50]);
    }

    #[test]
    fn agents_spread_evenly() {
        let mut agents = [0_u32; SHARDS];
        for n in 0..64_000 {
            agents[Shard::of(&AgentId::try_from(format!("agent-{n}")).unwrap()).index()] += 1;
        }
        assert!(agents.iter().all(|count| (850..1_150).contains(count)), "{agents:?}");
    }
}
