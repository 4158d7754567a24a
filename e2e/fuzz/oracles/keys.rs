//! Keys and the files they become. The input is keys below the prefix, apart by the separator; those
//! after an empty one belong to a second layer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seedcar::model::key::{Prefix, PrefixRules};
use seedcar::model::plan::Plan;
use seedcar::model::snapshot::{Entry, Snapshot};

use super::texts;

/// No path leads out, no two keys are one file, the files could all be made, nothing is lost without
/// being named, and the same keys always make the same.
pub fn check(data: &[u8]) {
    let parts = texts(data);
    let mut layers = parts.split(String::is_empty);
    let (base, over) = (layers.next().unwrap_or_default(), layers.next().unwrap_or_default());
    let base = layer("base/app", base);
    let over = layer("over", over);
    alone(&base);
    alone(&over);
    let plan = Plan::tree(&[(&base.0, &base.1), (&over.0, &over.1)]);
    safe(&plan);
    winners(&plan, &base, &over);
    // What arrives in another order makes the same.
    let again = Plan::tree(&[(&base.0, &reversed(&base.1)), (&over.0, &reversed(&over.1))]);
    assert_eq!(plan.tree_digest(), again.tree_digest());
}

type Layer = (Prefix, Snapshot);

fn layer(prefix: &str, parts: &[String]) -> Layer {
    let prefix = Prefix::parse(prefix, PrefixRules::default()).expect("a prefix");
    let keys: BTreeSet<String> = parts.iter().map(|part| format!("{prefix}{part}")).collect();
    // A marker has no value, everything else one of its own.
    let entry = |key: &String| {
        let value = if key.ends_with('/') { "" } else { key };
        Arc::new(Entry::new(key, value.as_bytes(), 0, 1, 1))
    };
    let entries = keys.iter().map(entry).collect();
    (prefix, Snapshot::new(1, entries).expect("no key twice"))
}

fn reversed(snapshot: &Snapshot) -> Snapshot {
    Snapshot::new(1, snapshot.entries().iter().rev().cloned().collect()).expect("as before")
}

/// The keys of one layer: each is a file of its own, a directory, or named as skipped.
fn alone((prefix, snapshot): &Layer) {
    let plan = Plan::tree(&[(prefix, snapshot)]);
    safe(&plan);
    let mut left: BTreeSet<&str> = snapshot.entries().iter().map(|e| &*e.key).collect();
    for file in &plan.files {
        let key = format!("{prefix}{}", file.path());
        assert_eq!(file.value(), key.as_bytes(), "the content of another key");
        assert!(left.remove(key.as_str()), "{key:?} is no key");
    }
    for skipped in &plan.skipped {
        assert!(left.remove(&*skipped.entry.key), "{:?} skipped twice", skipped.entry.key);
        let path = &skipped.entry.key[prefix.as_str().len()..];
        let shadowed = plan.directories.iter().any(|d| **d == *path);
        let name = path.strip_suffix('/').unwrap_or(path);
        assert!(shadowed || !harmless(name), "{path:?} is as good as any");
    }
    for key in left {
        let path = &key[prefix.as_str().len()..];
        let marker =
            path.strip_suffix('/').is_some_and(|d| plan.directories.iter().any(|x| **x == *d));
        assert!(marker || path.is_empty(), "{key:?} was lost");
    }
}

/// The later layer's value wins wherever both have the file.
fn winners(plan: &Plan, base: &Layer, over: &Layer) {
    let mut expected: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for (prefix, snapshot) in [base, over] {
        for entry in snapshot.entries() {
            expected.insert(&entry.key[prefix.as_str().len()..], &entry.value);
        }
    }
    for file in &plan.files {
        assert_eq!(Some(&file.value()), expected.get(file.path()), "{:?}", file.path());
        assert_eq!(plan.get(file.path()).map(|f| f.source), Some(file.source));
    }
}

/// What the publisher may do with a plan blindly.
fn safe(plan: &Plan) {
    let directories: BTreeSet<&str> = plan.directories.iter().map(|d| &**d).collect();
    let files: BTreeSet<&str> = plan.files.iter().map(|f| f.path()).collect();
    assert_eq!(files.len(), plan.files.len(), "two keys, one file");
    assert_eq!(directories.len(), plan.directories.len());
    assert!(files.is_disjoint(&directories), "a file where a directory is");
    for path in files.iter().chain(&directories) {
        assert!(harmless(path), "{path:?}");
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        assert!(parent.is_none_or(|p| directories.contains(p)), "{path:?} has no directory");
    }
    for name in plan.top_names() {
        assert!(harmless(name) && !name.contains('/'), "{name:?}");
    }
}

/// Written once more, so that a mistake in the one is found by the other.
fn harmless(path: &str) -> bool {
    let odd = |c: char| c.is_control() || c == '\\' || c == '\u{FFFD}';
    let good = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    let parts: Vec<&str> = path.split('/').collect();
    let reserved = parts[0].starts_with("..");
    path.len() <= 3840
        && parts.len() <= 64
        && !path.contains(odd)
        && !reserved
        && parts.into_iter().all(good)
}
