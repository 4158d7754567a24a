//! What is new in a plan, beside the one before it.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use super::{File, Plan, add_with_parents};

/// Directories by their paths.
pub type Directories = BTreeSet<Box<str>>;

/// What a plan has in common with the one before it, and what not. Both are walked once, side by side:
/// a search for each file would cost more than all that is done about a change.
#[derive(Debug, Default)]
pub struct Difference {
    /// Of each file of the new plan, in its order: whether it was there, with this content and mode.
    pub same: Vec<bool>,
    /// The files that are not.
    pub changes: Changes,
    /// The directories that came, went, or have such a file somewhere below them. All others are as
    /// they were. None where it is not known what was there.
    pub touched: Option<Directories>,
    /// Files and directories that both have.
    pub common: u64,
}

/// How many files a plan adds, changes and removes, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New files.
    pub added: u64,
    /// Files with other content, or another mode.
    pub updated: u64,
    /// Files gone.
    pub removed: u64,
    /// The paths of all of them, where it is known what was there before.
    pub paths: Option<Vec<Box<str>>>,
}

// === impl Difference ===

impl Difference {
    /// Compares. Without the previous plan everything is new.
    pub fn between(old: Option<&Plan>, new: &Plan) -> Self {
        let Some(old) = old else {
            let changes = Changes { added: new.files.len() as u64, ..Changes::default() };
            return Self { same: vec![false; new.files.len()], changes, ..Self::default() };
        };
        let mut difference = Self::default();
        let (mut paths, mut gone, mut touched) = (Vec::new(), Vec::new(), HashSet::new());
        side_by_side(&old.files, &new.files, File::path, |old, new| {
            let same = matches!((old, new), (Some(old), Some(new)) if old.is_as(new));
            difference.same.extend(new.map(|_| same));
            difference.common += u64::from(old.is_some() && new.is_some());
            let changes = &mut difference.changes;
            let (count, into) = match (old, new) {
                (Some(_), None) => (&mut changes.removed, &mut gone),
                (None, _) => (&mut changes.added, &mut paths),
                _ if !same => (&mut changes.updated, &mut paths),
                _ => return,
            };
            *count += 1;
            if let Some(file) = new.or(old) {
                into.push(file.path().into());
                if let Some((parent, _)) = file.path().rsplit_once('/') {
                    add_with_parents(&mut touched, parent);
                }
            }
        });
        side_by_side(
            &old.directories,
            &new.directories,
            |path| path,
            |old, new| match (old, new) {
                (Some(path), None) | (None, Some(path)) => add_with_parents(&mut touched, path),
                _ => difference.common += 1,
            },
        );
        paths.append(&mut gone);
        difference.changes.paths = Some(paths);
        difference.touched = Some(touched.into_iter().map(Box::from).collect());
        difference
    }
}

/// Walks two lists in the order of their paths, and shows each path once: with what either has of it.
fn side_by_side<'l, T>(
    old: &'l [T],
    new: &'l [T],
    path: impl Fn(&T) -> &str,
    mut each: impl FnMut(Option<&'l T>, Option<&'l T>),
) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => path(old).cmp(path(new)),
        };
        let before = if order.is_le() { old.next() } else { None };
        each(before, if order.is_ge() { new.next() } else { None });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::key::{Prefix, PrefixRules};
    use crate::model::snapshot::{Entry, Snapshot};

    fn plan<K: AsRef<str>>(keys: impl IntoIterator<Item = (K, u8)>) -> Plan {
        let keys = keys.into_iter().map(|(key, value)| (format!("p/{}", key.as_ref()), value));
        let entries = keys.map(|(key, value)| Arc::new(Entry::new(&key, &[value], 0, 1, 1)));
        let snapshot = Snapshot::new(1, entries.collect()).unwrap();
        Plan::tree(&[(&Prefix::parse("p", PrefixRules::default()).unwrap(), &snapshot)])
    }

    #[test]
    fn only_what_lies_above_a_change_is_touched() {
        let (same, gone) = ([("a/c/k", 1), ("d/k", 1), ("e/k", 1), ("k", 1)], ("d/gone", 1));
        let old = plan([("a/b/k", 1), gone].into_iter().chain(same));
        let new = plan([("a/b/k", 2), ("f/g/new", 1)].into_iter().chain(same));
        let difference = Difference::between(Some(&old), &new);
        let paths = Some(vec!["a/b/k".into(), "f/g/new".into(), "d/gone".into()]);
        assert_eq!(difference.changes, Changes { added: 1, updated: 1, removed: 1, paths });
        let touched = difference.touched.unwrap();
        let touched: Vec<&str> = touched.iter().map(|path| &**path).collect();
        assert_eq!(touched, ["a", "a/b", "d", "f", "f/g"]);
        assert_eq!(difference.same, [false, true, true, true, false, true]);
    }

    /// All files with their contents, and directories, below a directory.
    fn below(plan: &Plan, at: &str) -> Vec<(String, Option<[u8; 32]>)> {
        let at = format!("{at}/");
        let files = plan.files.iter().map(|f| (f.path(), Some(*f.value_hash())));
        let all = files.chain(plan.directories.iter().map(|path| (&**path, None)));
        let below = all.filter(|(path, _)| path.starts_with(&at));
        below.map(|(path, hash)| (path.to_owned(), hash)).collect()
    }

    proptest! {
        /// The names are of a letter and of a byte that comes before the slash.
        #[test]
        fn what_is_not_touched_is_the_same_in_both(
            old in proptest::collection::btree_map("[a-]{1,2}(/[a-]{1,2}){0,2}", 0u8..3, 0..20),
            new in proptest::collection::btree_map("[a-]{1,2}(/[a-]{1,2}){0,2}", 0u8..3, 0..20),
        ) {
            let (old, new) = (plan(old), plan(new));
            let difference = Difference::between(Some(&old), &new);
            for (file, same) in new.files.iter().zip(&difference.same) {
                let before = old.get(file.path());
                prop_assert_eq!(*same, before.is_some_and(|old| old.is_as(file)));
            }
            let touched = difference.touched.unwrap();
            for path in old.directories.iter().chain(&new.directories) {
                let in_both = old.directories.contains(path) && new.directories.contains(path);
                let same = in_both && below(&old, path) == below(&new, path);
                prop_assert_eq!(same, !touched.contains(path), "{}", path);
            }
        }
    }
}
