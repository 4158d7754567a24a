use proptest::prelude::*;

use super::*;

fn kv(keys: &[&str]) -> Kv {
    let mut kv = Kv::new();
    for key in keys {
        kv.put(key, Put::value("1"));
    }
    kv.take_changes();
    kv
}

#[test]
fn an_index_is_never_below_one() {
    let mut kv = Kv::new();
    assert_eq!((kv.get("a").0, kv.prefix_index("a"), kv.prefix_index("")), (1, 1, 1));
    kv.put("a", Put::value("1"));
    assert!(kv.get("a").0 > 1, "a query blocked at 1 sees the first write");
}

#[test]
fn writing_the_same_again_touches_nothing() {
    let mut kv = kv(&["a"]);
    let before = kv.clone();
    kv.put("a", Put::value("1"));
    assert_eq!(kv.get("a"), before.get("a"));
    assert_eq!(kv.table_index(), before.table_index());
    assert_eq!(kv.take_changes(), []);
}

#[test]
fn a_prefix_keeps_its_index_through_a_tombstone_until_that_is_reaped() {
    let mut kv = kv(&["p/a", "p/b", "other"]);
    kv.delete("p/b");
    let deleted = kv.prefix_index("p/");
    assert!(deleted > kv.get("p/a").0);
    kv.put("other", Put::value("2"));
    assert_eq!(kv.prefix_index("p/"), deleted);
    kv.reap_tombstones();
    assert_eq!(kv.prefix_index("p/"), kv.get("p/a").0, "the index has gone back");
}

#[test]
fn an_emptied_prefix_jumps_to_the_tables_index_when_its_tombstone_is_reaped() {
    let mut kv = kv(&["p/a", "other"]);
    kv.delete_recurse("p/");
    let deleted = kv.prefix_index("p/");
    kv.put("other", Put::value("2"));
    assert_eq!(kv.prefix_index("p/"), deleted);
    kv.reap_tombstones();
    assert_eq!(kv.prefix_index("p/"), kv.table_index());
    assert!(kv.table_index() > deleted);
}

#[test]
fn reaping_nothing_moves_nothing() {
    let mut kv = kv(&["a"]);
    let before = kv.table_index();
    kv.reap_tombstones();
    assert_eq!(kv.table_index(), before);
}

#[test]
fn a_restored_table_has_the_old_indexes_and_goes_on_above_the_newest() {
    let mut kv = kv(&["a"]);
    let snapshot = kv.clone();
    kv.put("a", Put::value("2"));
    kv.put("a", Put::value("3"));
    let newest = kv.commit();
    kv.restore(&snapshot);
    assert_eq!(kv.get("a"), snapshot.get("a"));
    kv.put("a", Put::value("4"));
    assert!(kv.get("a").0 > newest);
}

#[test]
fn a_failed_transaction_leaves_the_table_as_it_was() {
    let mut kv = kv(&["a"]);
    let op = |verb: &str, key: &str| txn::Op {
        verb: verb.to_owned(),
        key: key.into(),
        value: b"2".to_vec(),
        ..txn::Op::default()
    };
    let failures = kv.transact(&[op("set", "a"), op("get", "none")]).unwrap_err();
    assert_eq!(failures.iter().map(|failure| failure.op).collect::<Vec<_>>(), [1]);
    assert_eq!(&*kv.get("a").1.unwrap().value, b"1");
    assert_eq!(kv.take_changes(), []);
}

#[test]
fn keys_that_are_no_text_are_kept() {
    let mut kv = Kv::new();
    kv.put(b"a\xff", Put::value("1"));
    kv.put(b"a\xff\xff/b", Put::value("1"));
    assert_eq!(kv.list(b"a\xff").count(), 2);
    assert_eq!(kv.keys(b"a\xff\xff", b"/"), [b"a\xff\xff/".to_vec()]);
}

#[test]
fn a_query_for_something_missing_sleeps_on_the_nearest_node() {
    let missing = |keys: &[&str]| Region::of_prefix(&kv(keys), b"abc/3/");
    // The other key goes through the same inner node, `abc/`.
    let region = missing(&["abc/1", "abc/2", "abd"]);
    let mut after = kv(&["abc/1", "abc/2", "abd"]);
    after.put("abd", Put::value("2"));
    assert!(!region.disturbed(&after.take_changes(), &after));
    after.put("abc/1", Put::value("2"));
    assert!(region.disturbed(&after.take_changes(), &after));
    // There is no inner node on the way, so everything wakes it.
    let region = missing(&["x", "y"]);
    let mut after = kv(&["x", "y"]);
    after.put("y", Put::value("2"));
    assert!(region.disturbed(&after.take_changes(), &after));
}

/// What a query sees: two of these differ if it must be told.
fn seen(kv: &Kv, prefix: &[u8]) -> (u64, Vec<(Vec<u8>, Entry)>) {
    let list = kv.list(prefix).map(|(key, entry)| (key.to_vec(), entry.clone())).collect();
    (kv.prefix_index(prefix), list)
}

fn name() -> impl Strategy<Value = String> {
    "[ab/]{1,4}"
}

proptest! {
    #[test]
    fn a_query_whose_keys_changed_is_always_woken(
        before in prop::collection::vec(name(), 0..8),
        prefix in name(),
        writes in prop::collection::vec((name(), 0..4u8), 1..4),
    ) {
        let mut kv = kv(&before.iter().map(String::as_str).collect::<Vec<_>>());
        let (prefix, key) = (prefix.as_bytes(), prefix.as_bytes());
        let (old_list, old_key) = (seen(&kv, prefix), kv.get(key).1.cloned());
        let (list, single) = (Region::of_prefix(&kv, prefix), Region::of_key(&kv, key));
        // Each commit is looked at on its own, as the server does.
        let (mut list_woken, mut single_woken) = (false, false);
        for (name, kind) in &writes {
            match kind {
                0 => kv.delete(name),
                1 => kv.delete_recurse(name),
                value => kv.put(name, Put::value([*value])),
            }
            let changes = kv.take_changes();
            list_woken |= list.disturbed(&changes, &kv);
            single_woken |= single.disturbed(&changes, &kv);
        }
        prop_assert!(list_woken || seen(&kv, prefix).1 == old_list.1);
        prop_assert!(single_woken || kv.get(key).1 == old_key.as_ref());
    }

    #[test]
    fn a_prefix_index_never_goes_back_while_nothing_is_reaped_or_restored(
        prefix in name(),
        writes in prop::collection::vec((name(), 0..4u8), 1..20),
    ) {
        let mut kv = Kv::new();
        let mut last = 0;
        for (name, kind) in &writes {
            match kind {
                0 => kv.delete(name),
                value => kv.put(name, Put::value([*value])),
            }
            // While there has never been anything under it, its index is the table's.
            let known = kv.list(&prefix).next().is_some()
                || kv.parts().1.keys().any(|key| key.starts_with(prefix.as_bytes()));
            let index = kv.prefix_index(&prefix);
            prop_assert!(!known || index >= last);
            last = if known { index } else { 0 };
        }
    }
}
