//! [`root_of`]: the Merkle tree over the records of a commit.
//!
//! Invariant: a leaf and a node never have the same preimage, so no record can stand for a subtree.
//!
//! Source: RFC 6962 (Certificate Transparency), section 2.1; the same in RFC 9162, section 2.1.

use ring::digest::{Context, SHA256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// The hash of these bytes, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("it has 32 bytes")
}

/// The hash of a leaf with this content.
pub(crate) fn leaf(content: &[u8]) -> Hash {
    sha256(&[&LEAF, content])
}

/// The hash of a node over two subtrees.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&NODE, left, right])
}

/// The root over leaves in this order; of none, the hash of nothing.
pub fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(&root_of(left), &root_of(right))
        }
    }
}

/// The hashes that lead from the leaf at `index` to the root, from the bottom up.
///
/// Source: RFC 6962, section 2.1.1.
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Vec<Hash> {
    assert!(index < leaves.len(), "a leaf of the tree");
    if leaves.len() == 1 {
        return Vec::new();
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, sibling) = if index < at {
        (inclusion_proof(left, index), root_of(right))
    } else {
        (inclusion_proof(right, index - at), root_of(left))
    };
    proof.push(sibling);
    proof
}

/// Whether `proof` leads from `leaf` at `index` to `root` in a tree of `leaves` leaves.
///
/// Source: RFC 9162, section 2.1.3.2.
pub fn is_included(leaf: Hash, index: usize, leaves: usize, proof: &[Hash], root: &Hash) -> bool {
    if leaves <= index {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, leaves - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node(sibling, &hash);
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == *root
}

/// A tree with all its nodes: a proof costs the tree's height and not the whole tree again.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    /// From the leaves up to the root; a node without a sibling stands for itself one level up.
    levels: Vec<Vec<Hash>>,
}

impl Nodes {
    pub(crate) fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last()
            && 1 < below.len()
        {
            let up = |pair: &[Hash]| match pair {
                [left, right] => node(left, right),
                _ => pair[0],
            };
            let level = below.chunks(2).map(up).collect();
            levels.push(level);
        }
        Self { levels }
    }

    pub(crate) fn root(&self) -> Hash {
        root_of(self.levels.last().map_or(&[], Vec::as_slice))
    }

    pub(crate) fn leaf(&self, index: usize) -> Hash {
        self.levels[0][index]
    }

    /// As [`inclusion_proof`].
    pub(crate) fn proof(&self, index: usize) -> Vec<Hash> {
        assert!(index < self.levels[0].len(), "a leaf of the tree");
        let siblings = self.levels.iter().enumerate();
        siblings.filter_map(|(up, level)| level.get((index >> up) ^ 1).copied()).collect()
    }
}

/// The largest power of two below `leaves`.
fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: &[u8]) -> String {
        hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The leaves of the reference implementation's test vectors.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];

    #[test]
    fn roots_are_those_of_the_reference_implementation() {
        // Source: certificate-transparency-go, merkle/testonly: roots of the first n leaves.
        let wanted = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves = LEAVES.map(leaf);

        for (count, root) in wanted.iter().enumerate() {
            assert_eq!(hex(&root_of(&leaves[..count])), *root, "{count} leaves");
        }
    }

    #[test]
    fn a_tree_with_its_nodes_has_the_same_root_and_proofs() {
        for count in 0..70_usize {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf(&n.to_le_bytes())).collect();
            let nodes = Nodes::over(leaves.clone());
            assert_eq!(nodes.root(), root_of(&leaves), "{count} leaves");
            for at in 0..count {
                assert_eq!(nodes.proof(at), inclusion_proof(&leaves, at), "{at} of {count}");
                assert_eq!(nodes.leaf(at), leaves[at]);
            }
        }
    }

    #[test]
    fn each_leaf_is_proven_at_its_place_and_nowhere_else() {
        for count in 1..40_usize {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf(&n.to_le_bytes())).collect();
            let root = root_of(&leaves);
            for (at, hash) in leaves.iter().enumerate() {
                let proof = inclusion_proof(&leaves, at);
                assert!(is_included(*hash, at, count, &proof, &root), "{at} of {count}");
                assert!(!is_included(leaf(b"other"), at, count, &proof, &root));
                assert!(!is_included(*hash, at + 1, count, &proof, &root), "{at} of {count}");
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!is_included(*hash, at, count, shorter, &root));
                }
            }
        }
    }
}
