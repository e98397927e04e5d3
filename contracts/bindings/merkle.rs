//! pure: Merkle trees in OpenZeppelin's layout: double-hashed leaves, sorted pairs, order kept.

use alloy::primitives::{B256, keccak256};

/// A leaf of the tree: the inner hash, hashed once more, so that no node passes for a leaf.
pub fn leaf(inner: B256) -> B256 {
    keccak256(inner)
}

fn pair(a: B256, b: B256) -> B256 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    keccak256([low, high].concat())
}

/// The array of StandardMerkleTree: root first, children of i at 2i + 1 and 2i + 2, leaves last
/// and in reverse. Leaves are not sorted, so that a leaf's place is its number.
fn layout(leaves: &[B256]) -> Vec<B256> {
    let mut nodes = vec![B256::ZERO; (2 * leaves.len()).saturating_sub(1)];
    let last = nodes.len();
    for (i, leaf) in leaves.iter().enumerate() {
        nodes[last - 1 - i] = *leaf;
    }
    for i in (0..last - leaves.len()).rev() {
        nodes[i] = pair(nodes[2 * i + 1], nodes[2 * i + 2]);
    }
    nodes
}

/// The root over leaves; zero for none, which no leaf or pair hashes to.
pub fn root(leaves: &[B256]) -> B256 {
    if leaves.is_empty() { B256::ZERO } else { layout(leaves)[0] }
}

/// The hashes beside the way from leaf `i` up to the root; None when there is no such leaf.
pub fn path(leaves: &[B256], i: usize) -> Option<Vec<B256>> {
    if i >= leaves.len() {
        return None;
    }
    let nodes = layout(leaves);
    let mut at = nodes.len() - 1 - i;
    let mut path = Vec::new();
    while at > 0 {
        // Odd places are left children, so their sibling is to the right.
        path.push(nodes[if at % 2 == 1 { at + 1 } else { at - 1 }]);
        at = (at - 1) / 2;
    }
    Some(path)
}

/// Does `path` lead from `leaf` to `root`? The same answer as OpenZeppelin's MerkleProof.
pub fn verify(root: B256, leaf: B256, path: &[B256]) -> bool {
    path.iter().fold(leaf, |hash, sibling| pair(hash, *sibling)) == root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<B256> {
        (0..count).map(|i| leaf(B256::from([u8::try_from(i).unwrap(); 32]))).collect()
    }

    proptest! {
        #[test]
        fn every_leaf_has_a_path_and_no_other_leaf_shares_it(count in 1usize..70, pick: usize) {
            let all = leaves(count);
            let i = pick % count;
            let way = path(&all, i).unwrap();
            let top = root(&all);
            prop_assert!(verify(top, all[i], &way));
            prop_assert!(!verify(top, leaf(B256::repeat_byte(0xfe)), &way));
            for (j, other) in all.iter().enumerate() {
                prop_assert_eq!(verify(top, *other, &way), i == j);
            }
        }

        #[test]
        fn order_of_leaves_changes_the_root(count in 3usize..40, a: usize, b: usize) {
            let mut all = leaves(count);
            let before = root(&all);
            let (a, b) = (a % count, b % count);
            all.swap(a, b);
            // Pairs are sorted, so two siblings may trade places unseen: that is the layout's
            // known limit, and why leaves of ours hold their number.
            let siblings = path(&all, a).unwrap()[0] == all[b];
            prop_assert_eq!(root(&all) == before, a == b || siblings);
        }
    }

    #[test]
    fn empty_one_and_two_leaves() {
        assert_eq!(root(&[]), B256::ZERO);
        assert_eq!(path(&[], 0), None);
        let two = leaves(2);
        assert_eq!(root(&two[..1]), two[0]);
        assert_eq!(path(&two[..1], 0), Some(vec![]));
        let joined = keccak256([two[0].min(two[1]), two[0].max(two[1])].concat());
        assert_eq!(root(&two), joined);
        assert_eq!(path(&two, 2), None);
    }

    #[test]
    fn three_leaves_pair_as_openzeppelin_pairs_them() {
        let l = leaves(3);
        // Array: [root, pair(l1, l0), l2, l1, l0]
        assert_eq!(root(&l), pair(pair(l[1], l[0]), l[2]));
        assert_eq!(path(&l, 2), Some(vec![pair(l[0], l[1])]));
    }
}
