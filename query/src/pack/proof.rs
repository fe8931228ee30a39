//! [`SealProof`]: what leads from the rows of a pack to the root of their seal.
//!
//! Invariant: a row is proven by its own leaf, its place in the tree, and hashes of subtrees in which
//! no row of the pack stands. Those hashes say nothing of the records below them.
//!
//! The rows of one seal share their hashes: with a million rows, each with a path of its own to the
//! root, the same hashes would be in the pack a million times. The order of the hashes is that of a
//! walk through the tree of RFC 6962, section 2.1, left before right: at a subtree without a row of the
//! pack its hash is taken from the list, at a leaf the row's own.

use lake::seal::{Hash, node, root_of};
use serde::{Deserialize, Serialize};

/// What proves the rows of a pack that are in one seal; a line of `proofs.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealProof {
    /// Number of the seal.
    pub(crate) seal: i64,
    /// Records of the seal: the size of its tree.
    pub(crate) records: u64,
    /// Each row's place in the tree, from 0, growing, and its leaf in hexadecimal digits.
    pub(crate) rows: Vec<(u64, String)>,
    /// Hashes of subtrees, in the order of the walk.
    pub(crate) nodes: Vec<String>,
}

impl SealProof {
    /// Proves the leaves at `wanted`, which grows.
    pub(crate) fn of(seal: i64, leaves: &[Hash], wanted: &[usize]) -> Self {
        let mut nodes = Vec::new();
        cover(leaves, wanted, 0, &mut nodes);
        let row = |at: &usize| (*at as u64, hex(&leaves[*at]));
        Self {
            seal,
            records: leaves.len() as u64,
            rows: wanted.iter().map(row).collect(),
            nodes: nodes.iter().map(hex).collect(),
        }
    }

    /// The root to which the leaves lead.
    ///
    /// # Errors
    ///
    /// Why they lead to none.
    pub(crate) fn root(&self) -> Result<Hash, &'static str> {
        let broken = "wanted hashes of 64 hexadecimal digits, found another text";
        let leaf = |(at, text): &(u64, String)| Some((*at, of_hex(text)?));
        let rows: Option<Vec<(u64, Hash)>> = self.rows.iter().map(leaf).collect();
        let rows = rows.ok_or(broken)?;
        let is_growing = rows.is_sorted_by(|one, next| one.0 < next.0);
        if rows.is_empty() || !is_growing || rows.iter().any(|(at, _)| self.records <= *at) {
            return Err("wanted rows at growing places of the tree, found others");
        }
        let nodes: Option<Vec<Hash>> = self.nodes.iter().map(|text| of_hex(text)).collect();
        let mut nodes = nodes.ok_or(broken)?.into_iter();
        let root = lead(&rows, 0, self.records, &mut nodes);
        match (root, nodes.next()) {
            (Some(root), None) => Ok(root),
            (None, _) => Err("hashes are missing from its proof"),
            (Some(_), Some(_)) => Err("its proof has hashes that lead nowhere"),
        }
    }
}

/// Adds the roots of the largest subtrees of `leaves` that hold none of `wanted`; the leaves begin at
/// the place `base`.
fn cover(leaves: &[Hash], wanted: &[usize], base: usize, nodes: &mut Vec<Hash>) {
    if wanted.is_empty() {
        nodes.push(root_of(leaves));
    } else if 1 < leaves.len() {
        let at = split(leaves.len() as u64);
        let at = usize::try_from(at).expect("at most the number of leaves");
        let (left, right) = leaves.split_at(at);
        let border = wanted.partition_point(|place| *place < base + at);
        cover(left, &wanted[..border], base, nodes);
        cover(right, &wanted[border..], base + at, nodes);
    }
}

/// The root of a tree of `size` leaves that begins at the place `base`; `None` if a hash is missing.
fn lead(
    rows: &[(u64, Hash)],
    base: u64,
    size: u64,
    nodes: &mut impl Iterator<Item = Hash>,
) -> Option<Hash> {
    if rows.is_empty() {
        return nodes.next();
    }
    if size == 1 {
        return Some(rows[0].1);
    }
    let at = split(size);
    let border = rows.partition_point(|(place, _)| *place < base + at);
    let left = lead(&rows[..border], base, at, nodes)?;
    let right = lead(&rows[border..], base + at, size - at, nodes)?;
    Some(node(&left, &right))
}

/// The largest power of two below `size`, which is more than 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &Hash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |at: u8| char::from(DIGITS[usize::from(at)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads what [`hex`] writes, and no other spelling.
pub(crate) fn of_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|number| [number; 32]).collect()
    }

    #[test]
    fn any_choice_of_rows_leads_to_the_root() {
        for count in 1..9_u8 {
            let leaves = leaves(count);
            for choice in 1..1_u32 << count {
                let wanted: Vec<usize> =
                    (0..usize::from(count)).filter(|at| choice >> at & 1 == 1).collect();

                let proof = SealProof::of(3, &leaves, &wanted);

                assert_eq!(proof.root(), Ok(root_of(&leaves)), "{choice:b} of {count}");
            }
        }
    }

    #[test]
    fn with_all_rows_nothing_else_is_in_the_proof() {
        let proof = SealProof::of(0, &leaves(100), &(0..100).collect::<Vec<_>>());

        assert!(proof.nodes.is_empty());
    }

    #[test]
    fn any_change_of_a_proof_leads_elsewhere() {
        let leaves = leaves(21);
        let proof = SealProof::of(0, &leaves, &[3, 4, 20]);
        let root = Ok(root_of(&leaves));
        let mut changes = Vec::new();
        for at in 0..proof.nodes.len() {
            let mut one = proof.clone();
            one.nodes.remove(at);
            changes.push(one);
            let mut one = proof.clone();
            one.nodes[at] = hex(&[99; 32]);
            changes.push(one);
            let mut one = proof.clone();
            one.nodes.insert(at, hex(&[99; 32]));
            changes.push(one);
        }
        for at in 0..proof.rows.len() {
            let mut one = proof.clone();
            one.rows.remove(at);
            changes.push(one);
            let mut one = proof.clone();
            one.rows[at].1 = hex(&[99; 32]);
            changes.push(one);
            let mut one = proof.clone();
            one.rows[at].0 += 1;
            changes.push(one);
        }
        for records in [0, 1, 4, 20, 22, 1 << 40] {
            changes.push(SealProof { records, ..proof.clone() });
        }
        let mut swapped = proof.clone();
        swapped.rows.swap(0, 1);
        changes.push(swapped);
        changes.push(SealProof { rows: Vec::new(), ..proof.clone() });

        assert_eq!(proof.root(), root);
        for change in changes {
            assert_ne!(change.root(), root, "{change:?}");
        }
    }

    #[test]
    fn digits_have_one_spelling() {
        let hash: Hash = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());

        assert_eq!(of_hex(&hex(&hash)), Some(hash));
        for wrong in ["", "0", &hex(&hash).to_uppercase(), &hex(&hash)[1..], &"g".repeat(64)] {
            assert_eq!(of_hex(wrong), None);
        }
    }
}
