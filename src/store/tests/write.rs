//! Writing: what a fault or a kill at each step leaves, and what is tidied up.

use super::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const HOUR: i64 = 3600;

/// Records every step, with `*` for the names of new files.
fn trace(store: &mut Store) -> Arc<Mutex<Vec<Op>>> {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let record = steps.clone();
    store.volume.hook = Some(Box::new(move |op, _| {
        record.lock().unwrap().push(op);
        Ok(())
    }));
    steps
}

/// Fails the first call of this kind, with this error.
fn fail_once(store: &mut Store, kind: Op, errno: rustix::io::Errno) {
    let done = AtomicUsize::new(0);
    store.volume.hook = Some(Box::new(move |op, _| {
        if op == kind && done.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(errno.into());
        }
        Ok(())
    }));
}

fn temporaries(b: &Bench) -> usize {
    let temporary = |n: &&String| n.starts_with(".seedcar-tmp-");
    b.names().iter().filter(temporary).count()
}

#[test]
fn a_backup_is_written_and_found() {
    let b = bench();
    let written = b.write("v", 5).unwrap();
    assert!(written.new && written.newest && written.untidy.is_none());
    let found = b.store.newest(&id()).unwrap().best.unwrap();
    assert_eq!(found.snapshot, content("v"));
    assert_eq!(found.header, header(&id(), "v", 5));
    assert_eq!(found.name, written.sound.name);
    assert_eq!(b.names(), [found.name.as_str()]);
    let start = format!("seedcar-{}-20260921T141325Z-1-", id().stem());
    assert!(found.name.starts_with(&start), "{}", found.name);
    let mode = b.path(&found.name).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn the_steps_come_in_the_one_safe_order() {
    let mut b = bench();
    for n in 0..3 {
        b.put("old", n);
    }
    let steps = trace(&mut b.store);
    b.write("new", 3).unwrap();
    let steps = steps.lock().unwrap();
    let from = steps.iter().position(|op| *op == Op::Create).unwrap();
    use Op::*;
    assert_eq!(
        steps[from..],
        [
            Create, Write, Sync, Rename, SyncDir, // the new file
            Open,    // read back
            List, Open, Open, Open, SyncDir, Remove // only then an older one may go
        ]
    );
}

#[test]
fn a_fault_at_any_step_leaves_the_old_backup_and_no_litter() {
    use rustix::io::Errno;
    let cases = [
        (Op::List, Errno::IO, Kind::Io),
        (Op::Create, Errno::ROFS, Kind::ReadOnly),
        (Op::Create, Errno::ACCESS, Kind::Denied),
        (Op::Write, Errno::NOSPC, Kind::Full),
        (Op::Sync, Errno::IO, Kind::Io),
        (Op::Sync, Errno::DQUOT, Kind::Full),
        (Op::Rename, Errno::STALE, Kind::Missing),
        (Op::SyncDir, Errno::IO, Kind::Io),
    ];
    for (op, errno, kind) in cases {
        let mut b = bench();
        let old = b.put_for(&foreign(), "old", 1);
        fail_once(&mut b.store, op, errno);
        let error = b.write("new", 2).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.to_string().contains("new"), "{error}");
        assert_eq!(b.names(), [old], "{error}");
        b.write("new", 2).unwrap();
        assert_eq!(b.newest(), "new");
    }
}

#[test]
fn a_file_whose_sync_failed_is_never_synced_again() {
    let mut b = bench();
    let synced = Arc::new(Mutex::new(Vec::new()));
    let record = synced.clone();
    b.store.volume.hook = Some(Box::new(move |op, name| {
        if op == Op::Sync {
            record.lock().unwrap().push(name.to_owned());
            return Err(rustix::io::Errno::IO.into());
        }
        Ok(())
    }));
    for _ in 0..3 {
        b.write("v", 1).unwrap_err();
    }
    let mut names = synced.lock().unwrap().clone();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), b.names().len()), (3, 0));
}

#[test]
fn a_file_that_comes_back_wrong_is_removed_and_nothing_is_pruned() {
    let mut b = bench();
    let old: Vec<_> = (0..9).map(|n| b.put("old", n)).collect();
    let dir = b.dir.path().to_owned();
    b.store.volume.hook = Some(Box::new(move |op, _| {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if op == Op::Rename && name::class(name) == Some(Class::Temporary) {
                let mut bytes = std::fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        Ok(())
    }));
    let error = b.write("new", 20).unwrap_err();
    assert!(matches!(error, Error::Verify { why: Damage::Checksum, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Damaged);
    let mut names = old.clone();
    names.sort();
    assert_eq!(b.names(), names);
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_state_and_the_next_run_works() {
    let prepared = || {
        let b = bench();
        for n in 0..6 {
            b.put(&format!("old{n}"), n);
        }
        b.put_damaged(6);
        b.put("old", 7);
        b
    };
    let mut b = prepared();
    let steps = trace(&mut b.store);
    b.write("new", 8).unwrap();
    let steps = steps.lock().unwrap().clone();
    // The sync of the directory that follows at once.
    let acknowledged = steps.iter().position(|op| *op == Op::Rename).unwrap() + 1;
    assert_eq!(steps[acknowledged], Op::SyncDir);
    assert!(steps.len() > 20 && steps.contains(&Op::Remove));
    for kill in 0..steps.len() {
        let mut b = prepared();
        let n = AtomicUsize::new(0);
        b.store.volume.hook = Some(Box::new(move |_, _| {
            if n.fetch_add(1, Ordering::Relaxed) == kill {
                resume_unwind(Box::new("killed"));
            }
            Ok(())
        }));
        catch_unwind(AssertUnwindSafe(|| b.write("new", 8))).unwrap_err();
        b.store = open(b.dir.path());
        let expected: &[&str] = if kill > acknowledged { &["new"] } else { &["old", "new"] };
        assert!(expected.contains(&b.newest().as_str()), "kill {kill} of {steps:?}");
        b.write("next", 9).unwrap();
        assert_eq!(b.newest(), "next");
        for name in b.names() {
            b.rest(&name);
        }
        assert!(b.write("last", 10).unwrap().untidy.is_none());
        assert_eq!(temporaries(&b), 0, "kill {kill}");
    }
}

#[test]
fn unchanged_content_is_read_back_and_made_durable_but_not_written() {
    let mut b = bench();
    let name = b.put("v", 0);
    let steps = trace(&mut b.store);
    let again = b.write("v", HOUR - 1).unwrap();
    assert!(!again.new && again.newest);
    assert_eq!((again.sound.name, b.names()), (name.clone(), vec![name.clone()]));
    // Whoever wrote it may have died between its rename and its sync of the directory.
    assert!(steps.lock().unwrap().contains(&Op::SyncDir));
    assert!(!steps.lock().unwrap().contains(&Op::Create));
    // A damaged one holds nothing.
    b.change(&name, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(b.write("v", HOUR - 1).unwrap().new);
}

#[test]
fn unchanged_content_is_written_again_after_an_hour() {
    let b = bench();
    b.put("v", 0);
    assert!(b.write("v", HOUR).unwrap().new);
    let best = b.store.newest(&id()).unwrap().best.unwrap();
    assert_eq!(best.header.confirmed, at(HOUR));
}

#[test]
fn content_that_came_back_is_written_again() {
    let b = bench();
    b.put("v", 0);
    b.put("w", 1);
    assert!(b.write("v", 2).unwrap().new);
    assert_eq!(b.newest(), "v");
}

#[test]
fn a_writer_behind_another_keeps_its_file_and_says_so() {
    let b = bench();
    for n in 10..14 {
        b.put(&format!("ahead{n}"), n);
    }
    let written = b.write("behind", 1).unwrap();
    assert!(written.new && !written.newest);
    assert!(b.has(&written.sound.name));
    assert_eq!(b.newest(), "ahead13");
}

#[test]
fn a_writer_whose_file_another_pruned_at_once_takes_the_newer_one() {
    let mut b = bench();
    let ahead = b.put("ahead", 9);
    let dir = b.dir.path().to_owned();
    let overtake = |there: String| -> volume::Hook {
        let dir = dir.clone();
        Box::new(move |op, name| {
            if op == Op::Open && name != there && dir.join(name).exists() {
                std::fs::remove_file(dir.join(name)).unwrap();
            }
            Ok(())
        })
    };
    b.store.volume.hook = Some(overtake(ahead.clone()));
    let written = b.write("behind", 1).unwrap();
    assert_eq!((written.sound.name, written.new), (ahead.clone(), false));
    assert_eq!(b.names(), [ahead]);
    // With nothing newer there it is an error: the content is nowhere.
    b.store.volume.hook = Some(overtake(String::new()));
    let error = b.write("new", 99).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn where_a_rename_cannot_refuse_to_replace_it_is_asked_first() {
    let b = bench();
    let (from, to) = (b.put("from", 1), b.put("to", 2));
    let error = b.store.volume.rename(&from, &to).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    let volume::Medium::Directory(volume) = &b.store.volume.medium else {
        unreachable!("the bench is a directory")
    };
    let error = volume.rename_asking(&from, &to).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(b.newest(), "to");
    volume.rename_asking(&from, "free").unwrap();
    assert_eq!(b.names().len(), 2);
}

#[test]
fn what_need_not_be_kept_goes_and_the_files_of_others_stay() {
    let b = bench();
    let old: Vec<_> = (0..6).map(|n| b.put(&n.to_string(), n)).collect();
    let theirs: Vec<_> = (0..6).map(|n| b.put_for(&foreign(), "theirs", n)).collect();
    let bad = b.put_for(&foreign(), "theirs", 7);
    b.change(&bad, |bytes| bytes.fill(0));
    let temporary = name::temporary(&foreign().stem());
    std::fs::write(b.path(&temporary), "half").unwrap();
    // A stranger's content under our name, and ours under a stranger's.
    b.put_as("seedcar-renamed.backup", &id(), "renamed", -9);
    let guest = name::backup(&header(&id(), "", 1));
    b.put_as(&guest, &foreign(), "theirs", 1);
    for name in b.names() {
        b.rest(&name);
    }
    let written = b.write("new", 6).unwrap();
    assert!(written.untidy.is_none() && written.refused.is_empty());
    let gone: Vec<_> = old.iter().map(|n| !b.has(n)).collect();
    assert_eq!(gone, [false, true, true, true, false, false], "the oldest is to grow an hour old");
    let mut all = theirs.iter().chain([&bad, &temporary, &guest]);
    assert!(all.all(|name| b.has(name)) && b.has("seedcar-renamed.backup"));
}

#[test]
fn a_damaged_file_never_takes_a_good_ones_place() {
    let b = bench();
    let good = b.put("good", 0);
    for n in 1..6 {
        b.put_damaged(n * HOUR * 30);
    }
    let written = b.write("new", 1).unwrap();
    assert!(b.has(&good) && written.newest && written.refused.len() == 5);
    assert_eq!(b.newest(), "new");
}

#[test]
fn damaged_files_at_rest_are_set_aside_and_three_of_them_kept() {
    let b = bench();
    let bad: Vec<_> = (0..5).map(|n| b.put_damaged(n)).collect();
    let busy = b.put_damaged(5);
    b.change(&busy, |_| {});
    b.write("new", 9).unwrap();
    let kept: Vec<_> = bad.iter().map(|n| b.has(&name::damaged(n))).collect();
    assert_eq!(kept, [false, false, true, true, true]);
    assert!(bad.iter().all(|n| !b.has(n)));
    assert!(b.has(&busy), "someone may be copying it in at this moment");
    assert_eq!(b.newest(), "new");
}

#[test]
fn what_may_be_good_for_others_is_never_set_aside() {
    let b = bench();
    let newer = b.put("x", 0);
    b.change(&newer, |bytes| bytes[8] = 2);
    let large = b.put("x", 1);
    b.change(&large, |bytes| bytes.resize(2_000_000, 0));
    let bad = b.put_damaged(3);
    b.rest(&newer);
    b.rest(&large);
    let refused = b.write("new", 4).unwrap().refused;
    assert_eq!(refused.len(), 3);
    assert!(b.has(&newer) && b.has(&large) && !b.has(&bad));
}

#[test]
fn left_over_temporaries_go_after_an_hour_by_the_volumes_clock() {
    let b = bench();
    let stem = id().stem();
    let make = |rested: bool| {
        let name = name::temporary(&stem);
        std::fs::write(b.path(&name), "half").unwrap();
        if rested {
            b.rest(&name);
        }
        name
    };
    let (old, young, ahead) = (make(true), make(false), make(false));
    let file = File::options().append(true).open(b.path(&ahead)).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(9999)).unwrap();
    b.write("v", 1).unwrap();
    assert!(!b.has(&old) && b.has(&young) && b.has(&ahead));
}

#[test]
fn a_failed_tidying_is_said_but_the_backup_counts() {
    let mut b = bench();
    for n in 0..6 {
        b.put(&n.to_string(), n);
    }
    b.store.volume.hook = Some(Box::new(|op, _| match op {
        Op::Remove => Err(rustix::io::Errno::IO.into()),
        _ => Ok(()),
    }));
    let written = b.write("new", 6).unwrap();
    assert_eq!(written.untidy.unwrap().kind(), Kind::Io);
    assert_eq!((b.newest().as_str(), b.names().len()), ("new", 7));
}

#[test]
fn a_snapshot_no_reader_would_take_is_not_written() {
    let b = bench();
    let limits = Limits { max_bytes: 3, max_keys: 1 };
    let store = Store::open(b.dir.path(), Access::Write, limits).unwrap();
    let write = |v: &str, prefix: String| {
        let identity = Identity { prefix, ..id() };
        store.write(&identity, &content(v), at(1), "").map_err(|e| e.kind())
    };
    assert_eq!(write("four", "a/".into()).unwrap_err(), Kind::TooLarge);
    assert_eq!(write("abc", "a".repeat(70_000)).unwrap_err(), Kind::TooLarge);
    assert!(b.names().is_empty());
    write("abc", "a/".into()).unwrap();
}

#[test]
fn no_file_is_ever_changed() {
    let b = bench();
    let first = b.write("v", 1).unwrap().sound.name;
    let inode = b.path(&first).metadata().unwrap().ino();
    b.write("v", 2 * HOUR).unwrap();
    assert_eq!(b.path(&first).metadata().unwrap().ino(), inode);
}
