//! Reading: the newest valid one, whatever else lies there.

use super::*;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

fn whys(found: &Newest) -> Vec<(&str, Damage)> {
    let refused = found.refused.iter();
    refused.map(|r| (r.name.as_str(), r.why)).collect()
}

/// Runs `what` elsewhere, so that a call that hangs is a failed test.
fn at_once<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(what()));
    let limit = Duration::from_secs(10);
    result.recv_timeout(limit).expect("must not hang")
}

#[test]
fn nothing_is_found_in_an_empty_directory() {
    let b = bench();
    let found = b.store.newest(&id()).unwrap();
    assert!(found.best.is_none() && found.refused.is_empty() && found.foreign == 0);
    let digest = content("x").digest();
    assert!(!b.store.confirm(&id(), &digest).unwrap());
}

#[test]
fn the_newest_is_found_by_time_then_index() {
    let b = bench();
    b.put("old", 1);
    b.put("new", 3);
    b.put("older", 2);
    assert_eq!(b.newest(), "new");
    let mut later = header(&id(), "index", 3);
    later.index = 2;
    let file = File::create(b.path(&name::backup(&later))).unwrap();
    frame::encode(&later, &content("index"), file).unwrap();
    assert_eq!(b.newest(), "index");
    let digest = content("index").digest();
    assert!(b.store.confirm(&id(), &digest).unwrap());
    assert!(!b.store.confirm(&id(), &content("new").digest()).unwrap());
    // A rebuilt cluster counts from the beginning.
    let mut rebuilt = header(&id(), "rebuilt", 4);
    rebuilt.index = 1;
    let file = File::create(b.path(&name::backup(&rebuilt))).unwrap();
    frame::encode(&rebuilt, &content("rebuilt"), file).unwrap();
    assert_eq!(b.newest(), "rebuilt");
}

#[test]
fn names_that_lie_change_nothing() {
    let b = bench();
    let (early, late) = (header(&id(), "", 1), header(&id(), "", 9));
    b.put_as(&name::backup(&late), &id(), "old", 2);
    b.put_as(&name::backup(&early), &id(), "new", 5);
    b.put("middle", 4);
    assert_eq!(b.newest(), "new");
    // Under a stranger's name, and under no proper name at all.
    b.put_as(&name::backup(&header(&foreign(), "", 1)), &id(), "newer", 6);
    assert_eq!(b.newest(), "newer");
    b.put_as("seedcar-restored.backup", &id(), "newest", 7);
    assert_eq!(b.newest(), "newest");
    // A stranger's content under our name.
    b.put_as(&name::backup(&late), &foreign(), "stranger", 20);
    let found = b.store.newest(&id()).unwrap();
    assert_eq!((b.newest().as_str(), found.foreign), ("newest", 1));
}

#[test]
fn a_damaged_newest_gives_the_older_one_and_the_reason() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, Damage); 7] = [
        (|b| b.truncate(b.len() - 1), Damage::Truncated),
        (|b| b.clear(), Damage::Truncated),
        (|b| b.push(0), Damage::Trailing(1)),
        (|b| b.fill(0), Damage::Magic),
        (|b| b[8] = 2, Damage::FutureVersion(2)),
        (|b| b[16] = b'x', Damage::Header("cannot be understood")),
        (|b| *b.last_mut().unwrap() ^= 1, Damage::Checksum),
    ];
    let b = bench();
    b.put("good", 1);
    for (change, why) in cases {
        let bad = b.put("bad", 2);
        b.change(&bad, change);
        let found = b.store.newest(&id()).unwrap();
        assert_eq!(value(found.best.as_ref().unwrap()), "good", "{why}");
        assert_eq!(whys(&found), [(bad.as_str(), why)]);
        std::fs::remove_file(b.path(&bad)).unwrap();
    }
}

#[test]
fn with_no_valid_one_every_reason_is_given() {
    let b = bench();
    let bad: Vec<_> = (0..3).map(|n| b.put_damaged(n)).collect();
    let found = b.store.newest(&id()).unwrap();
    assert!(found.best.is_none());
    let expected: Vec<_> = bad.iter().rev().map(|n| (n.as_str(), Damage::Checksum)).collect();
    assert_eq!(whys(&found), expected);
}

#[test]
fn older_ones_are_not_read() {
    let mut b = bench();
    b.put_damaged(1);
    b.put("good", 2);
    let opens = Arc::new(Mutex::new(0));
    let count = opens.clone();
    b.store.volume.hook = Some(Box::new(move |op, _| {
        *count.lock().unwrap() += usize::from(op == Op::Open);
        Ok(())
    }));
    let found = b.store.newest(&id()).unwrap();
    assert!(found.refused.is_empty());
    assert_eq!(*opens.lock().unwrap(), 3, "two headers, one content");
}

#[test]
fn the_backups_of_others_are_counted_and_left() {
    let b = bench();
    b.put_for(&foreign(), "theirs", 9);
    let theirs = b.put_for(&foreign(), "theirs", 8);
    b.change(&theirs, |bytes| bytes.fill(0));
    let found = b.store.newest(&id()).unwrap();
    assert!(found.best.is_none() && found.refused.is_empty());
    assert_eq!(found.foreign, 2);
    b.put("ours", 1);
    assert_eq!(b.newest(), "ours");
}

#[test]
fn nothing_but_a_regular_file_is_read() {
    let b = bench();
    let good = b.put("good", 1);
    let name = |second| name::backup(&header(&id(), "", second));
    let (fifo, link, dir) = (name(10), name(11), name(12));
    let (zero, device, socket) = (name(13), name(14), name(15));
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, b.path(&fifo), FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::symlink(&good, b.path(&link)).unwrap();
    std::fs::create_dir(b.path(&dir)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", b.path(&zero)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(b.path(&socket)).unwrap();
    let kind = FileType::CharacterDevice;
    // Only root may; the others must do where we are not.
    let _ = mknodat(CWD, b.path(&device), kind, mode, makedev(1, 5));
    let strangers = [
        (fifo, "FIFO"),
        (link, "link"),
        (dir, "directory"),
        (zero, "link"),
        (device, "device"),
        (socket, "socket or device"),
    ];
    let strangers = strangers.into_iter().filter(|(name, _)| b.has(name));
    let mut expected: Vec<_> = strangers.map(|(n, k)| (n, Damage::NotRegular(k))).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    at_once(move || {
        let found = b.store.newest(&id()).unwrap();
        assert_eq!(value(found.best.as_ref().unwrap()), "good");
        let mut refused: Vec<_> = found.refused.iter().map(|r| (r.name.clone(), r.why)).collect();
        refused.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(refused, expected);
        for (name, why) in &expected {
            assert_eq!(b.store.read(name).unwrap_err(), *why);
        }
        assert_eq!(b.store.list(None).unwrap().len(), expected.len() + 1);
        b.write("next", 20).unwrap();
        assert!(expected.iter().all(|(name, _)| b.has(name)), "none is moved");
    });
}

#[test]
fn a_file_larger_than_any_backup_is_not_read() {
    let b = bench();
    let name = b.put("big", 1);
    let file = File::options().write(true).open(b.path(&name)).unwrap();
    file.set_len(1 << 40).unwrap();
    let why = at_once(move || b.store.read(&name).unwrap_err());
    assert_eq!(why.word(), "oversize");
}

#[test]
fn what_replaced_a_file_that_is_gone_is_found() {
    let mut b = bench();
    let first = b.put("first", 1);
    let (path, dir) = (b.path(&first), b.dir.path().to_owned());
    // Another replica adds the next one and removes this one between our listing and our opening.
    b.store.volume.hook = Some(Box::new(move |op, name| {
        if op == Op::Open && name == first && path.exists() {
            let header = header(&id(), "second", 2);
            let file = File::create(dir.join(name::backup(&header))).unwrap();
            frame::encode(&header, &content("second"), file).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
        Ok(())
    }));
    assert_eq!(b.newest(), "second");
}

#[test]
fn what_was_added_while_we_looked_is_found() {
    let mut b = bench();
    b.put("first", 1);
    let listings = AtomicUsize::new(0);
    let dir = b.dir.path().to_owned();
    b.store.volume.hook = Some(Box::new(move |op, _| {
        if op == Op::List && listings.fetch_add(1, Ordering::Relaxed) == 1 {
            let header = header(&id(), "second", 2);
            let file = File::create(dir.join(name::backup(&header))).unwrap();
            frame::encode(&header, &content("second"), file).unwrap();
        }
        Ok(())
    }));
    assert_eq!(b.newest(), "second");
}

#[test]
fn what_was_read_whole_counts_although_it_is_gone_now() {
    let mut b = bench();
    b.put("older", 1);
    let newest = b.path(&b.put("newest", 2));
    let listings = AtomicUsize::new(0);
    b.store.volume.hook = Some(Box::new(move |op, _| {
        if op == Op::List && listings.fetch_add(1, Ordering::Relaxed) == 1 {
            std::fs::remove_file(&newest).unwrap();
        }
        Ok(())
    }));
    assert_eq!(b.newest(), "newest");
}

#[test]
fn a_directory_that_never_rests_ends_the_search() {
    let mut b = bench();
    b.put("newest", 9999);
    let (listings, dir) = (AtomicUsize::new(0), b.dir.path().to_owned());
    b.store.volume.hook = Some(Box::new(move |op, _| {
        if op == Op::List {
            let n = listings.fetch_add(1, Ordering::Relaxed) as i64;
            let header = header(&id(), "older", n);
            let file = File::create(dir.join(name::backup(&header))).unwrap();
            frame::encode(&header, &content("older"), file).unwrap();
        }
        Ok(())
    }));
    at_once(move || assert_eq!(b.newest(), "newest"));
}

#[test]
fn files_that_vanish_before_any_step_are_no_error() {
    use rustix::io::Errno;
    for (stale, from) in [(Errno::NOENT, 0), (Errno::STALE, 0), (Errno::STALE, 1)] {
        let mut b = bench();
        b.put("x", 1);
        let opens = AtomicUsize::new(0);
        b.store.volume.hook = Some(Box::new(move |op, _| match op {
            Op::Open if opens.fetch_add(1, Ordering::Relaxed) >= from => Err(stale.into()),
            _ => Ok(()),
        }));
        let found = b.store.newest(&id()).unwrap();
        assert!(found.best.is_none() && found.refused.is_empty());
    }
}

#[test]
fn a_file_that_may_not_be_read_is_refused_not_called_damaged() {
    let mut b = bench();
    b.put("good", 1);
    let locked = b.put("locked", 2);
    let name = locked.clone();
    b.store.volume.hook = Some(Box::new(move |op, file| match op {
        Op::Open if file == name => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(()),
    }));
    let found = b.store.newest(&id()).unwrap();
    assert_eq!(value(found.best.as_ref().unwrap()), "good");
    let why = Damage::Unreadable(io::ErrorKind::PermissionDenied);
    assert_eq!(whys(&found), [(locked.as_str(), why)]);
    assert!(!why.is_certain());
}

#[test]
fn readers_change_nothing() {
    let b = bench();
    b.put("good", 1);
    b.put_damaged(2);
    let temporary = name::temporary(&id().stem());
    std::fs::write(b.path(&temporary), "half").unwrap();
    b.rest(&temporary);
    let before = b.names();
    let reader = Store::open(b.dir.path(), Access::Read, LIMITS).unwrap();
    for store in [&reader, &b.store] {
        store.newest(&id()).unwrap();
        store.check(&id()).unwrap();
        store.list(Some(&id())).unwrap();
        assert_eq!(b.names(), before);
    }
    let error = reader.write(&id(), &content("x"), at(3), "").unwrap_err();
    assert_eq!((error.kind(), b.names()), (Kind::ReadOnly, before));
}

#[test]
fn a_name_cannot_lead_out_of_the_directory() {
    let b = bench();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let name = b.put("x", 1);
    let absolute = outside.path().to_str().unwrap().to_owned();
    for path in ["", ".", "..", "./x", &format!("../{name}"), &absolute, "a\0b"] {
        assert_eq!(b.store.read(path).unwrap_err(), Damage::Name, "{path:?}");
    }
    assert_eq!(b.store.read("missing").unwrap_err(), Damage::Gone);
    assert_eq!(value(&b.store.read(&name).unwrap()), "x");
}

#[test]
fn a_listing_names_everything_the_newest_first() {
    let b = bench();
    let older = b.put("older", 1);
    let newer = b.put("newer", 5);
    let theirs = b.put_for(&foreign(), "theirs", 3);
    let bad = b.put_damaged(9);
    let aside = name::damaged(&b.put("aside", 9));
    std::fs::rename(b.path(aside.strip_suffix(".damaged").unwrap()), b.path(&aside)).unwrap();
    let temporary = name::temporary(&id().stem());
    std::fs::write(b.path(&temporary), "half").unwrap();
    std::fs::write(b.path("lost+found"), "").unwrap();
    let listed = b.store.list(Some(&id())).unwrap();
    let states: Vec<_> = listed
        .iter()
        .map(|l| {
            assert_eq!(l.size, b.path(&l.name).metadata().unwrap().len());
            let word = match &l.state {
                State::Valid(_) => "valid",
                State::Foreign(_) => "foreign",
                State::Refused(why) => why.word(),
                State::SetAside => "aside",
                State::Temporary => "temporary",
            };
            (l.name.clone(), word)
        })
        .collect();
    assert_eq!(states[0], (newer, "valid"));
    assert_eq!(states[1], (theirs, "foreign"));
    assert_eq!(states[2], (older, "valid"));
    let mut rest = states[3..].to_vec();
    rest.sort();
    let mut expected = [(bad, "checksum"), (aside, "aside"), (temporary, "temporary")];
    expected.sort();
    assert_eq!(rest, expected);
    let all = b.store.list(None).unwrap();
    assert!(!all.iter().any(|l| matches!(l.state, State::Foreign(_))));
}

#[test]
fn a_directory_that_is_none_is_said() {
    let b = bench();
    let open = |path: PathBuf| Store::open(&path, Access::Read, LIMITS).map(|_| ()).unwrap_err();
    let missing = open(b.path("missing"));
    assert_eq!(missing.kind(), Kind::Missing);
    assert!(missing.to_string().contains("missing: No such file"), "{missing}");
    let file = b.put("x", 1);
    assert_eq!(open(b.path(&file)).kind(), Kind::Io);
}
