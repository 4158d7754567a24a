//! The same manners on Secrets.

mod memory;

use super::*;
use memory::{Asked, Memory};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Bytes that do not pack.
fn noise(seed: u64, length: usize) -> Snapshot {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
    Snapshot::new(1, vec![Arc::new(Entry::new("a/k", &bytes, 0, 1, 1))]).unwrap()
}

fn newest(store: &Store) -> Option<Snapshot> {
    newest_of(store, &id())
}

fn newest_of(store: &Store, identity: &Identity) -> Option<Snapshot> {
    store.newest(identity).unwrap().best.map(|best| best.snapshot)
}

#[test]
fn a_backup_is_written_and_found_and_packed() {
    let memory = Memory::new(2);
    let store = memory.open();
    let long = content(&"the same again and again, ".repeat(10_000));
    let written = store.write(&id(), &long, at(5), "test").unwrap();
    assert!(written.new && written.newest && written.untidy.is_none());
    let keys = memory.keys();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].1, written.sound.name, "under its own name, in one Secret");
    let packed = memory.value(&keys[0].1).unwrap().len();
    assert!(packed < 5_000, "{packed}");
    let found = memory.open().newest(&id()).unwrap().best.unwrap();
    assert_eq!((found.snapshot, found.name), (long, written.sound.name));
    assert_eq!(found.header.confirmed, at(5));
}

#[test]
fn unchanged_content_costs_one_reading_and_no_writing() {
    let memory = Memory::new(3);
    memory.open().write(&id(), &content("v"), at(0), "").unwrap();
    memory.asked();
    let again = memory.open().write(&id(), &content("v"), at(900), "").unwrap();
    assert!(!again.new);
    // Each Secret once; after that only its version is asked for: the second look of the search, and
    // the one of the tidying.
    assert_eq!(memory.asked(), Asked { secrets: 3, versions: 6, changes: 0 });
    assert!(memory.open().write(&id(), &content("v"), at(3600), "").unwrap().new);
}

#[test]
fn replicas_that_write_the_same_leave_one_file() {
    let memory = Memory::new(2);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let memory = &memory;
            scope.spawn(move || memory.open().write(&id(), &content("v"), at(n), "").unwrap());
        }
    });
    assert_eq!(memory.keys().len(), 1, "{:?}", memory.keys());
}

#[test]
fn writers_that_die_anywhere_never_lose_the_newest_good_one() {
    let memory = Memory::new(2);
    let clusters = race::run(|| memory.open());
    clusters.iter().for_each(|cluster| cluster.end(&memory.open(), 7200));
    let keys = memory.keys();
    assert!(keys.len() <= 2 * 8, "{keys:#?}");
    assert!(keys.iter().all(|(_, k)| name::class(k) == Some(Class::Backup)), "{keys:#?}");
}

#[test]
fn what_one_secret_does_not_take_lies_in_parts() {
    let memory = Memory::new(3);
    let store = memory.open();
    let large = noise(1, 1_400_000);
    let name = store.write(&id(), &large, at(0), "").unwrap().sound.name;
    let keys = memory.keys();
    assert_eq!(
        keys.iter().map(|(_, k)| k.as_str()).collect::<Vec<_>>(),
        [format!("{name}.1of2"), format!("{name}.2of2")]
    );
    assert_ne!(keys[0].0, keys[1].0);
    assert_eq!(newest(&memory.open()), Some(large));
    // Without one of its parts it is no file.
    memory.change(keys[1].0, |data| data.clear());
    let found = memory.open().newest(&id()).unwrap();
    assert!(found.best.is_none() && found.refused.is_empty());
    let listed = memory.open().list(None).unwrap();
    assert_eq!(listed.iter().map(|l| l.state.clone()).collect::<Vec<_>>(), [State::Temporary]);
    // What is left of it goes once it has been at rest, by Consul's clock.
    store.write(&id(), &content("small"), at(3599), "").unwrap();
    assert_eq!(memory.keys().len(), 2);
    store.write(&id(), &content("small"), at(3599 + 3600), "").unwrap();
    assert!(memory.keys().iter().all(|(_, key)| !key.contains("1of2")));
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_state_and_the_next_run_works() {
    let (old, new, next) = (noise(1, 600_000), noise(2, 1_100_000), noise(3, 1_100_000));
    for kill in 0.. {
        let memory = Memory::new(4);
        memory.open().write(&id(), &old, at(0), "").unwrap();
        let store = memory.open_while(kill, |_| resume_unwind(Box::new("killed")));
        let write = || store.write(&id(), &new, at(1), "");
        let died = catch_unwind(AssertUnwindSafe(write)).is_err();
        let found = newest(&memory.open()).unwrap();
        assert!(found == old || found == new, "kill {kill}");
        memory.open().write(&id(), &next, at(7300), "").unwrap();
        assert_eq!(newest(&memory.open()), Some(next.clone()), "kill {kill}");
        memory.open().write(&id(), &content("end"), at(14_600), "").unwrap();
        let names = memory.open().list(None).unwrap();
        assert!(names.iter().all(|l| matches!(l.state, State::Valid(_))), "kill {kill}: {names:?}");
        if !died {
            assert!(kill > 8, "{kill}");
            break;
        }
    }
}

#[test]
fn where_room_is_short_the_oldest_goes_and_the_newest_never() {
    let memory = Memory::new(2);
    let store = memory.open();
    let size = 550_000;
    for n in 1..10 {
        store.write(&id(), &noise(n, size), at(n as i64), "").unwrap();
        assert_eq!(newest(&memory.open()), Some(noise(n, size)));
    }
    let listed = memory.open().list(None).unwrap();
    assert_eq!(listed.len(), 3, "as many as have room: {listed:?}");
    // More than there is room for beside the newest: said, and the newest is still there.
    let error = store.write(&id(), &noise(99, 1_500_000), at(99), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Full);
    assert!(error.to_string().contains("backup.secrets"), "{error}");
    assert_eq!(newest(&memory.open()), Some(noise(9, size)));
    // Nothing goes where that would not make room enough.
    let theirs = memory.keys().len();
    let error = store.write(&foreign(), &noise(98, 1_500_000), at(99), "").unwrap_err();
    assert_eq!((error.kind(), memory.keys().len()), (Kind::Full, theirs));
}

#[test]
fn what_a_crashing_writer_leaves_never_blocks_the_next_for_good() {
    let memory = Memory::new(2);
    memory.open().write(&id(), &noise(1, 300_000), at(0), "").unwrap();
    let left = name::backup(&header(&id(), "left", 1));
    memory.change(0, |data| drop(data.insert(format!("{left}.1of2"), vec![0; 650_000])));
    memory.change(1, |data| drop(data.insert(format!("{left}.1of3"), vec![0; 650_000])));
    let store = memory.open();
    let error = store.write(&id(), &noise(2, 900_000), at(60), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Full, "it may still be being written");
    store.write(&id(), &noise(2, 900_000), at(3601), "").unwrap();
    assert_eq!(newest(&store), Some(noise(2, 900_000)));
}

#[test]
fn an_api_server_that_says_no_is_a_failing_store() {
    let cases = [
        (403, Kind::Denied, "Role"),
        (404, Kind::Missing, "make the Secret"),
        (401, Kind::Denied, "make the pod anew"),
        (422, Kind::Denied, "immutable"),
        (413, Kind::Denied, "nothing else in it"),
        (500, Kind::Io, "API server"),
    ];
    for (status, kind, advice) in cases {
        // At the first reading, at the second one's version, and at the change.
        for before in 0..3 {
            let memory = Memory::new(1);
            memory.open().write(&id(), &content("old"), at(0), "").unwrap();
            let mut answers = vec![0; before];
            // A Secret that was not to be had for its version is asked for itself.
            answers.extend([status; 2]);
            memory.refuse(&answers);
            let error = memory.open().write(&id(), &content("new"), at(1), "").unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(advice), "{error}");
            memory.refuse(&[]);
            assert_eq!(newest(&memory.open()), Some(content("old")));
        }
    }
}

#[test]
fn a_file_whose_second_part_is_refused_leaves_nothing() {
    let memory = Memory::new(3);
    // A reading of each, the second look, the first part; then the second part.
    let mut answers = vec![0; 3 + 3 + 1];
    answers.push(500);
    memory.refuse(&answers);
    let error = memory.open().write(&id(), &noise(1, 1_400_000), at(1), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(memory.keys().is_empty(), "{:?}", memory.keys());
}

#[test]
fn damage_is_refused_and_the_older_one_used() {
    let memory = Memory::new(1);
    let store = memory.open();
    store.write(&id(), &content("good"), at(0), "").unwrap();
    let name = store.write(&id(), &content("bad"), at(1), "").unwrap().sound.name;
    for (at, change) in [
        (0, (|bytes: &mut Vec<u8>| bytes.truncate(20)) as fn(&mut Vec<u8>)),
        (1, |bytes| bytes.clear()),
        (2, |bytes| bytes[30] ^= 0x40),
        (3, |bytes| bytes.fill(0)),
        // It says that it is longer than it is, and shorter.
        (4, |bytes| *bytes.last_mut().unwrap() = 1),
        (5, |bytes| {
            let n = bytes.len();
            bytes[n - 4..].fill(0)
        }),
    ] {
        let mut kept = Vec::new();
        memory.change(0, |data| {
            kept = data[&name].clone();
            change(data.get_mut(&name).unwrap());
        });
        let found = memory.open().newest(&id()).unwrap();
        assert_eq!(found.best.map(|b| b.snapshot), Some(content("good")), "damage {at}");
        assert_eq!(found.refused.len(), 1, "damage {at}");
        assert!(found.refused[0].why.is_certain(), "damage {at}: {:?}", found.refused);
        memory.change(0, |data| drop(data.insert(name.clone(), kept)));
    }
    assert_eq!(newest(&memory.open()), Some(content("bad")));
}

#[test]
fn keys_of_others_are_left_alone() {
    let memory = Memory::new(1);
    memory.change(0, |data| {
        data.insert("password".into(), b"theirs".to_vec());
        data.insert("x.1of9".into(), b"theirs".to_vec());
    });
    let store = memory.open();
    for n in 0..12 {
        store.write(&id(), &content(&n.to_string()), at(n), "").unwrap();
    }
    let keys = memory.keys();
    assert!(keys.iter().any(|(_, k)| k == "password") && keys.iter().any(|(_, k)| k == "x.1of9"));
    assert_eq!(memory.open().list(None).unwrap().len(), keys.len() - 2);
}

#[test]
fn whatever_is_in_the_secrets_nothing_panics_and_the_next_write_works() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let memory = Memory::new(2);
        let name = memory.open().write(&id(), &content("v"), at(0), "").unwrap().sound.name;
        let packed = memory.value(&name).unwrap();
        for _ in 0..random.usize(1..6) {
            let mut bytes = packed.clone();
            for _ in 0..random.usize(0..20) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            let end =
                ["", ".1of1", ".1of2", ".2of2", ".0of0", ".damaged", ".18446744073709551615of2"];
            let key = format!("{name}{}", end[random.usize(..end.len())]);
            memory.change(random.usize(..2), |data| drop(data.insert(key, bytes)));
        }
        let store = memory.open();
        store.newest(&id()).unwrap();
        store.list(None).unwrap();
        store.write(&id(), &content("next"), at(1), "").unwrap();
        assert_eq!(newest(&memory.open()), Some(content("next")));
    }
}

#[test]
fn what_a_first_writer_left_makes_way_where_there_is_no_backup_yet() {
    let memory = Memory::new(2);
    let left = name::backup(&header(&id(), "left", 1));
    memory.change(0, |data| drop(data.insert(format!("{left}.1of2"), vec![0; 900_000])));
    let store = memory.open();
    assert!(store.write(&id(), &noise(2, 1_300_000), at(60), "").is_err());
    store.write(&id(), &noise(2, 1_300_000), at(3601), "").unwrap();
    assert_eq!(newest(&store), Some(noise(2, 1_300_000)));
}

#[test]
fn a_replica_that_lags_behind_removes_no_newer_backup_to_make_room() {
    let memory = Memory::new(2);
    let store = memory.open();
    for n in 1..4 {
        store.write(&id(), &noise(n, 600_000), at(100 + n as i64), "").unwrap();
    }
    let before = memory.keys();
    assert!(store.write(&id(), &noise(9, 600_000), at(1), "").is_err());
    assert_eq!(memory.keys(), before);
}

#[test]
fn several_sources_never_starve_each_other() {
    let memory = Memory::new(2);
    let store = memory.open();
    let write = |identity: &Identity, n: u64, length| {
        store.write(identity, &noise(n, length), at(n as i64), "").unwrap();
    };
    for n in 1..7 {
        write(&id(), n, 300_000);
    }
    // The first of them has all the room, and the second one comes, and grows.
    for n in 7..12 {
        write(&foreign(), n, 600_000);
        assert_eq!(newest_of(&store, &foreign()), Some(noise(n, 600_000)));
        assert_eq!(newest(&store), Some(noise(6, 300_000)), "never the newest of another");
    }
    write(&id(), 12, 300_000);
    assert_eq!(newest(&store), Some(noise(12, 300_000)));
    assert_eq!(newest_of(&store, &foreign()), Some(noise(11, 600_000)));
}

#[test]
fn nothing_makes_way_for_what_has_no_room_all_the_same() {
    let memory = Memory::new(2);
    let store = memory.open();
    for n in 1..4 {
        store.write(&id(), &noise(n, 500_000), at(n as i64), "").unwrap();
    }
    let before = memory.keys();
    let error = store.write(&id(), &noise(9, 1_600_000), at(9), "").unwrap_err();
    assert_eq!((error.kind(), memory.keys()), (Kind::Full, before));
    assert!(error.to_string().contains("room for 1499"), "what can be made free counts: {error}");
}

/// Two full Secrets, into which a backup is written while something happens at each of the first
/// questions in turn. `check` has what is there in the end.
fn write_while<F>(happens: F, check: impl Fn(usize, &[String]))
where
    F: Fn(&Memory) + Send + Clone + 'static,
{
    for at_question in 0..14 {
        let memory = Memory::new(2);
        for n in 1..5 {
            memory.open().write(&id(), &noise(n, 480_000), at(n as i64), "").unwrap();
        }
        let store = memory.open_while(at_question, happens.clone());
        store.write(&id(), &noise(9, 480_000), at(10), "").unwrap();
        assert_eq!(newest(&memory.open()), Some(noise(9, 480_000)));
        let names: Vec<_> = memory.keys().into_iter().map(|(_, name)| name).collect();
        check(at_question, &names);
    }
}

#[test]
fn replicas_that_make_room_at_once_remove_what_one_would() {
    let written = |memory: &Memory| {
        memory.open().write(&id(), &noise(9, 480_000), at(9), "").unwrap();
    };
    write_while(written, |at, names| assert_eq!(names.len(), 4, "question {at}: {names:?}"));
}

#[test]
fn room_that_somebody_has_made_meanwhile_is_not_made_again() {
    fn beginning(n: i64) -> String {
        name::backup(&header(&id(), "", n)).rsplit_once('-').unwrap().0.to_owned()
    }
    let freed = |memory: &Memory| {
        let second = beginning(2);
        for at in 0..2 {
            memory.change(at, |data| data.retain(|name, _| !name.starts_with(&second)));
        }
    };
    write_while(freed, |at, names| {
        // Once it is gone in order to be replaced, it is.
        let kept = names.iter().any(|name| name.starts_with(&beginning(1)));
        assert!(kept || at > 6, "question {at}: {names:?}");
    });
}

#[test]
fn a_secret_that_is_not_there_or_not_for_us_is_done_without() {
    for status in [403, 404] {
        let memory = Memory::new(3);
        let (parts, small) = (noise(1, 2_400_000), content("small"));
        memory.open().write(&id(), &small, at(0), "").unwrap();
        memory.open().write(&id(), &parts, at(1), "").unwrap();
        let before = memory.keys();
        let lost = (0..3).find(|shut| {
            memory.shut(Some((*shut, status)));
            newest(&memory.open()) == Some(small.clone())
        });
        assert!(lost.is_some(), "what is in the others is found: {before:?}");
        let store = memory.open();
        newest(&store);
        let unread = store.unread().unwrap().to_string();
        assert!(unread.contains(&status.to_string()), "{unread}");
        // Written to the others, and said; nothing goes whose other parts may be in that one.
        let late = at(4 * 3600);
        let written = store.write(&id(), &content("next"), late, "").unwrap();
        assert!(written.new);
        assert_eq!(written.untidy.unwrap().to_string(), unread);
        let now = memory.keys();
        assert!(before.iter().all(|key| now.contains(key)), "{before:?} {now:?}");
        // There is no room in it.
        let error = store.write(&id(), &noise(5, 900_000), late, "").unwrap_err();
        assert_eq!(error.to_string(), unread);
        assert_eq!(memory.keys(), now);
        memory.shut(None);
        assert!(newest(&store) == Some(content("next")) && store.unread().is_none());
        assert!(store.list(None).unwrap().iter().all(|l| matches!(l.state, State::Valid(_))));
    }
}

#[test]
fn a_secret_that_goes_while_it_is_used_is_done_without() {
    let memory = Memory::new(2);
    let store = memory.open();
    store.write(&id(), &content("old"), at(0), "").unwrap();
    let holds = memory.keys()[0].0;
    memory.shut(Some((holds, 404)));
    store.write(&id(), &content("new"), at(1), "").unwrap();
    assert_eq!(newest(&store), Some(content("new")));
    assert_ne!(memory.keys().iter().filter(|(at, _)| *at != holds).count(), 0);
}

#[test]
fn a_backup_whose_answer_was_lost_stays() {
    let large = noise(1, 1_400_000);
    for lost in 0..2 {
        let memory = Memory::new(2);
        memory.lose(lost);
        let written = memory.open().write(&id(), &large, at(0), "").unwrap();
        assert!(written.new);
        assert_eq!(newest(&memory.open()), Some(large.clone()));
        assert_eq!((memory.keys().len(), memory.asked().changes), (2, 2), "it was written once");
    }
}

#[test]
fn a_backup_that_cannot_be_read_back_stays_for_the_next_try() {
    let memory = Memory::new(1);
    let store = memory.open();
    // Read, and looked at again; written; then nothing any more.
    memory.refuse(&[0, 0, 0, 500]);
    let error = store.write(&id(), &content("v"), at(0), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("the next try reads it again"), "{error}");
    let again = memory.open().write(&id(), &content("v"), at(1), "").unwrap();
    assert!(!again.new && memory.keys().len() == 1);
    // Neither does one whose answer was lost with all that came after it.
    let memory = Memory::new(1);
    memory.lose(0);
    memory.refuse(&[0, 0, 0, 500, 500, 500]);
    assert!(memory.open().write(&id(), &content("v"), at(0), "").is_err());
    assert_eq!(newest(&memory.open()), Some(content("v")));
}

#[test]
fn a_secret_that_takes_no_change_is_done_without() {
    for status in [403, 422] {
        let memory = Memory::new(2);
        let store = memory.open();
        store.write(&id(), &noise(1, 400_000), at(0), "").unwrap();
        let holds = memory.keys()[0].0;
        memory.fix(holds, status);
        // It would be the one that the next fills best.
        let written = store.write(&id(), &noise(2, 400_000), at(1), "").unwrap();
        assert!(written.new && written.untidy.unwrap().to_string().contains(&status.to_string()));
        assert_eq!(newest(&store), Some(noise(2, 400_000)));
        // Nothing of it makes way, and it is the reason that there is no room.
        let error = memory.open().write(&id(), &noise(3, 700_000), at(2), "").unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        assert_eq!(memory.keys().len(), 2);
    }
}

#[test]
fn where_there_is_no_room_the_reason_is_said() {
    let memory = Memory::new(2);
    let store = memory.open();
    store.write(&id(), &noise(1, 900_000), at(0), "").unwrap();
    let holds = memory.keys()[0].0;
    memory.shut(Some((1 - holds, 404)));
    let error = store.write(&id(), &noise(2, 900_000), at(1), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "one of two is missing: {error}");
    memory.shut(None);
    for n in 2..4 {
        store.write(&id(), &noise(n, 700_000), at(100 + n as i64), "").unwrap();
    }
    let error = store.write(&id(), &noise(9, 700_000), at(50), "").unwrap_err().to_string();
    assert!(error.contains("and 2 newer backups of this one"), "{error}");
}

#[test]
fn in_full_secrets_different_contents_outlive_copies_of_one() {
    let memory = Memory::new(2);
    let store = memory.open();
    let size = 480_000;
    for n in 1..4 {
        store.write(&id(), &noise(n, size), at(n as i64), "").unwrap();
    }
    // Hours pass, and nothing changes: the last one is written again and again.
    for hour in 1..6 {
        store.write(&id(), &noise(3, size), at(hour * 3600 + 10), "").unwrap();
    }
    let listed = store.list(Some(&id())).unwrap();
    let contents: std::collections::HashSet<_> =
        listed.iter().filter_map(|l| l.state.header()).map(|h| h.digest).collect();
    assert_eq!(contents.len(), 3, "{listed:#?}");
}

#[test]
fn what_has_begun_to_go_goes_whole() {
    for at_point in 0..20 {
        let memory = Memory::new(2);
        // The parts of the first are in both.
        memory.open().write(&id(), &noise(1, 1_200_000), at(0), "").unwrap();
        memory.open().write(&id(), &noise(2, 300_000), at(1), "").unwrap();
        let theirs = |memory: &Memory| {
            memory.change(1, |data| drop(data.insert("theirs".into(), vec![1])));
        };
        let store = memory.open_while(at_point, theirs);
        store.write(&id(), &noise(3, 700_000), at(2), "").unwrap();
        assert_eq!(newest(&memory.open()), Some(noise(3, 700_000)), "point {at_point}");
        let listed = memory.open().list(None).unwrap();
        let valid = listed.iter().filter(|l| matches!(l.state, State::Valid(_))).count();
        assert_eq!((valid, listed.len()), (2, 2), "point {at_point}: {listed:?}");
    }
}
