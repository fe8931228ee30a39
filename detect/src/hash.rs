//! [`key_of`]: texts to 64-bit keys. Names are kept in findings and in the lake; state holds keys.
//!
//! Invariant: the key of a text never changes, in no release and on no machine: checkpoints hold
//! keys. So the hash is written here and nowhere else.
//!
//! Two texts share a key with probability 2^-64, and then share a baseline: with a million agents
//! that happens once in 37 million deployments. Memories inside an agent keep 32 bits of a key: one
//! of 64 remembered counterparties hides a new one with probability 2^-26.

/// Odd constants with balanced bits, from the fractions of square roots (as in SHA-512's table).
const MIX: [u64; 3] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b];

/// Multiplies to 128 bits and folds the halves together.
///
/// Source: Wang Yi, *wyhash*; the step of `foldhash` and `wyhash`, whose outputs are not fixed.
#[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
const fn fold(a: u64, b: u64) -> u64 {
    let wide = (a as u128) * (b as u128);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// The key of `text`.
pub(crate) fn key_of(text: &str) -> u64 {
    key_of_bytes(text.as_bytes())
}

/// The key of the text with these bytes.
pub(crate) fn key_of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = MIX[2] ^ (bytes.len() as u64).wrapping_mul(MIX[1]);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        hash = fold(hash ^ word, MIX[0]).wrapping_add(word);
    }
    let mut last = [0_u8; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(hash ^ u64::from_le_bytes(last), MIX[1]) ^ hash.rotate_left(29)
}

/// The key of `key` within `realm`: keys of different realms stay apart, keys of one realm too.
pub(crate) const fn join(realm: u64, key: u64) -> u64 {
    fold(key ^ MIX[1], realm.wrapping_mul(MIX[0]) ^ MIX[2]) ^ key.rotate_left(17)
}

/// 32 bits of a key; never 0, which stands for an empty place.
pub(crate) const fn fingerprint(key: u64) -> u32 {
    let short = (key >> 32) as u32;
    if short == 0 { 1 } else { short }
}

/// A map by key. Its order never reaches an output: see `pack.rs`.
pub(crate) type KeyMap<V> = hashbrown::HashMap<u64, V, foldhash::fast::FixedState>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fixed_for_ever() {
        let keys = ["", "a", "vendor:atlas", "spiffe://corp/agent/mail-7"].map(key_of);

        assert_eq!(
            keys,
            [
                0x0b2d_e3c2_5e1a_0f0b,
                0x28a0_f7aa_2771_71c9,
                0x11f3_9b7e_6c92_2da7,
                0x91e4_f0a8_0ae7_6da8
            ]
        );
    }

    #[test]
    fn a_million_names_have_a_million_keys_and_use_all_bits() {
        let mut keys: Vec<u64> = (0..1_000_000).map(|n| key_of(&format!("agent-{n}"))).collect();
        let ones: u32 = keys.iter().take(1_000).map(|key| key.count_ones()).sum();
        keys.sort_unstable();
        keys.dedup();

        assert_eq!(keys.len(), 1_000_000);
        assert!((31_000..33_000).contains(&ones), "{ones}");
    }
}
