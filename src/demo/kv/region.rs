//! Which changes wake a blocked query.
//!
//! Consul keeps its keys in a radix tree and a query sleeps on one node of it. For something that
//! exists this is the obvious node. For something *missing* it is the nearest node on the way there,
//! so strangers in the neighbourhood wake the query as well, and who counts as a neighbour depends
//! on the other keys. This file finds that node in a sorted map, where the tree is only implied: a
//! node is the root, a key, or a place where two keys part.

use std::ops::Bound::{Excluded, Unbounded};

use super::{Change, Kv, under};

/// The place in the tree that one blocked query sleeps on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    /// One existing key: only its own changes count.
    Leaf(Vec<u8>),
    Node {
        label: Vec<u8>,
        /// How much of the label is the parent node's.
        parent: usize,
    },
}

/// In the tree every key ends with a NUL, which is why no key is another's inner node.
const END: u8 = 0;

// === impl Region ===

impl Region {
    /// Where a query for one key sleeps.
    pub fn of_key(kv: &Kv, key: &[u8]) -> Self {
        if kv.entries.contains_key(key) {
            return Self(Inner::Leaf(key.to_vec()));
        }
        Self(nearest_node(kv, &tree_key(key)))
    }

    /// Where a query for all keys under a prefix sleeps.
    pub fn of_prefix(kv: &Kv, prefix: &[u8]) -> Self {
        Self(nearest_node(kv, prefix))
    }

    /// Whether these changes wake the query; `kv` is the table after them.
    pub fn disturbed(&self, changes: &[Change], kv: &Kv) -> bool {
        changes.iter().any(|change| match &self.0 {
            Inner::Leaf(key) => change.key == *key,
            Inner::Node { label, parent } => node_disturbed(label, *parent, change, kv),
        })
    }
}

fn node_disturbed(label: &[u8], parent: usize, change: &Change, kv: &Kv) -> bool {
    let shared = common(label, &tree_key(&change.key));
    if shared == label.len() {
        true
    } else if change.gone {
        // The parent may be left with this node as its only child; then the two are merged.
        shared == parent && parent > 0 && is_only_child(kv, label, parent)
    } else {
        // The edge between parent and node is split to make room for the new key.
        shared > parent
    }
}

fn is_only_child(kv: &Kv, label: &[u8], parent: usize) -> bool {
    let mut siblings = under(&kv.entries, &label[..parent]);
    let ends = [siblings.next(), siblings.next_back()];
    ends.into_iter().flatten().all(|(key, _)| tree_key(key).starts_with(label))
}

fn nearest_node(kv: &Kv, search: &[u8]) -> Inner {
    let before = kv.entries.range::<[u8], _>((Unbounded, Excluded(search))).next_back();
    let after = kv.entries.range::<[u8], _>((Excluded(search), Unbounded)).next();
    let same = kv.entries.get_key_value(search);
    let shared = [before, same, after]
        .into_iter()
        .flatten()
        .map(|(key, _)| common(search, &tree_key(key)))
        .max()
        .unwrap_or(0);

    let mut group = under(&kv.entries, &search[..shared]);
    let (Some((first, _)), true) = (group.next(), shared > 0) else {
        return Inner::Node { label: Vec::new(), parent: 0 };
    };
    let last = group.next_back().map_or(first, |(key, _)| key);
    let mut label = tree_key(first);
    label.truncate(common(&label, &tree_key(last)));

    let before = kv.entries.range::<[u8], _>((Unbounded, Excluded(first.as_slice()))).next_back();
    let after = kv.entries.range::<[u8], _>((Excluded(last.as_slice()), Unbounded)).next();
    let parent = [before, after]
        .into_iter()
        .flatten()
        .map(|(key, _)| common(&label, &tree_key(key)))
        .max()
        .unwrap_or(0);
    Inner::Node { label, parent }
}

fn tree_key(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 1);
    bytes.extend_from_slice(key);
    bytes.push(END);
    bytes
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
