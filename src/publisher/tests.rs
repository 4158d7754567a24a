//! The publisher on a scratch directory: what it makes, what it sweeps, what it puts back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::guard::{Baseline, Hold, Reason};
use crate::model::key::PrefixRules;
use crate::model::output::{Form, Format, MODE, Shape, Single, Types};
use crate::model::reading::Marks;
use crate::model::snapshot::Entry;

mod plain_layout;
mod spares;

/// A volume with a publisher of one source under `p/`.
struct Rig {
    dir: TempDir,
    board: Arc<Board>,
    layout: Layout,
}

impl Rig {
    fn new() -> Self {
        Self::of(Layout::Links)
    }

    fn of(layout: Layout) -> Self {
        Self { dir: TempDir::new().unwrap(), board: Arc::new(Board::new(1)), layout }
    }

    fn setup(&self) -> Setup {
        let prefix = Prefix::parse("p", PrefixRules::default()).unwrap();
        let sources = vec![("default".to_owned(), prefix)];
        let outputs = vec![Output::tree(vec![0])];
        let (path, pokes) = (self.dir.path().to_owned(), Vec::new());
        let (atomic, validate) = (Vec::new(), None);
        Setup {
            path,
            layout: self.layout,
            sources,
            atomic,
            outputs,
            control: false,
            tells: false,
            validate,
            pokes,
        }
    }

    fn open(&self) -> Publisher {
        Publisher::open(self.setup(), self.board.clone(), Arc::default()).unwrap()
    }

    /// One process: it opens the volume, publishes these entries, and ends.
    fn publish(&self, index: u64, entries: &[(&str, &str)]) {
        let publisher = self.open();
        let inbox = Inbox::new(1);
        inbox.put(0, Offer::accept(content(index, entries)));
        inbox.slots.close();
        publisher.run(&inbox, &Pulse::default());
    }

    fn live(&self) -> std::path::PathBuf {
        self.dir.path().join("live")
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.live().join(path)).ok()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.live()).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn content(index: u64, entries: &[(&str, &str)]) -> Content {
    let entry = |(k, v): &(&str, &str)| {
        Arc::new(Entry::new(&format!("p/{k}"), v.as_bytes(), 0, index, index))
    };
    let snapshot = Snapshot::new(index, entries.iter().map(entry).collect()).unwrap();
    let now = sys::now();
    Content {
        snapshot: Arc::new(snapshot),
        origin: Origin::Consul,
        stale: false,
        marks: Marks { sent: now, answered: now, index },
        date: 1_700_000_000,
        how: Mechanism::Watch,
        judged: Some(Baseline {
            digest: Digest::from_bytes([0; 32]),
            keys: usize::MAX,
            index: u64::MAX,
        }),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_makes_the_layout_of_a_configmap_volume() {
    let rig = Rig::new();
    rig.publish(5, &[("db/host", "h"), ("a", "1")]);
    assert_eq!((rig.read("db/host").unwrap(), rig.read("a").unwrap()), ("h".into(), "1".into()));
    let generation = fs::read_link(rig.live().join("..data")).unwrap();
    assert!(generation.to_str().unwrap().starts_with("..2"));
    assert_eq!(fs::read_link(rig.live().join("db")).unwrap(), Path::new("..data/db"));
    let generation = rig.live().join(generation);
    let modes = [
        (rig.live(), 0o755),
        (generation.clone(), 0o755),
        (generation.join("db"), 0o755),
        (generation.join("db/host"), 0o444),
        (generation.join("..manifest.json"), 0o444),
    ];
    modes.iter().for_each(|(path, expected)| assert_eq!(mode(path), *expected, "{path:?}"));
}

#[test]
fn what_a_killed_process_left_is_swept_and_wedges_nothing() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    let half = rig.live().join("..2026_01_01_00_00_00.dead");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("x"), "x").unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o700)).unwrap();
    symlink("..2026_01_01_00_00_00.dead", rig.live().join("..data_tmp")).unwrap();
    symlink("..data/a", rig.live().join("..link_tmp")).unwrap();
    rig.publish(6, &[("b", "2")]);
    assert_eq!(rig.read("b").unwrap(), "2");
    assert_eq!(rig.names().iter().filter(|n| n.starts_with("..")).count(), 3, "{:?}", rig.names());
    assert!(!rig.names().contains(&"a".to_owned()) && !half.exists());
}

#[test]
fn names_that_a_killed_process_did_not_make_are_made_by_the_next() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1"), ("b", "2")]);
    fs::remove_file(rig.live().join("b")).unwrap();
    symlink("..data/old", rig.live().join("old")).unwrap();
    symlink("..data/b", rig.live().join("..link_tmp")).unwrap();
    drop(rig.open());
    assert_eq!(rig.read("b").unwrap(), "2");
    let names = rig.names();
    assert!(!names.contains(&"old".to_owned()) && !names.contains(&"..link_tmp".to_owned()));
}

#[test]
fn a_generation_that_is_not_adopted_goes_once_it_is_replaced() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    let old = rig.live().join(fs::read_link(rig.live().join("..data")).unwrap());
    fs::set_permissions(old.join("a"), fs::Permissions::from_mode(0o666)).unwrap();
    let mut publisher = rig.open();
    assert!(publisher.current.is_none() && old.exists(), "readers may be in it");
    publisher.take(vec![(0, Offer::accept(content(6, &[("a", "2")])))]);
    publisher.publish(&Inbox::new(1), sys::now());
    publisher.collect(sys::now() + KEEP);
    assert!(!old.exists());
    assert_eq!(rig.read("a").unwrap(), "2");
}

#[test]
fn what_a_failed_publish_left_is_removed() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    let mut publisher = rig.open();
    let left = rig.live().join("..2026_01_01_00_00_00.left");
    fs::create_dir_all(left.join("db")).unwrap();
    publisher.littered = true;
    publisher.collect(sys::now());
    assert!(!left.exists() && !publisher.littered);
    assert_eq!(rig.read("a").unwrap(), "1");
}

#[test]
fn a_directory_where_the_temporary_link_goes_is_put_away() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    let mut publisher = rig.open();
    publisher.take(vec![(0, Offer::accept(content(6, &[("a", "2")])))]);
    fs::create_dir_all(rig.live().join("..data_tmp/full")).unwrap();
    publisher.publish(&Inbox::new(1), sys::now());
    assert_eq!(rig.read("a").unwrap(), "2");
    assert!(!rig.names().contains(&"..data_tmp".to_owned()));
}

#[test]
fn what_an_earlier_process_published_goes_no_sooner_than_what_we_did() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    let old = rig.live().join(fs::read_link(rig.live().join("..data")).unwrap());
    rig.publish(6, &[("a", "2")]);
    let mut publisher = rig.open();
    publisher.collect(sys::now());
    assert!(old.exists(), "somebody may be reading there");
    publisher.collect(sys::now() + KEEP);
    assert!(!old.exists());
}

#[test]
fn files_of_others_survive() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1"), ("gone", "1")]);
    fs::write(rig.live().join("theirs"), "x").unwrap();
    symlink("elsewhere", rig.live().join("their-link")).unwrap();
    rig.publish(6, &[("a", "2")]);
    assert!(rig.names().contains(&"theirs".to_owned()));
    assert!(rig.names().contains(&"their-link".to_owned()));
    assert!(!rig.names().contains(&"gone".to_owned()));
}

#[test]
fn a_name_that_is_blocked_does_not_stop_the_others() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    fs::create_dir(rig.live().join("b")).unwrap();
    rig.publish(6, &[("a", "2"), ("b", "2"), ("c", "2")]);
    assert_eq!(rig.read("c").unwrap(), "2");
    assert_eq!(rig.read("..data/b").unwrap(), "2", "reachable through the generation");
    let error = rig.board.read(|s| s.volume_error.clone()).unwrap();
    assert_eq!(error.kind, "blocked");
}

#[test]
fn names_that_were_right_are_made_anew_once_somebody_changed_them() {
    // Elsewhere they are read each time.
    let rig = Rig { dir: TempDir::new_in("/dev/shm").unwrap(), ..Rig::new() };
    let mut publisher = rig.open();
    let mut now = sys::now();
    let mut publish = |publisher: &mut Publisher, value: &str| {
        now = now + Duration::from_secs(10);
        let content = content(1, &[("a", value), ("b", "x"), ("d/c", "y")]);
        publisher.take(vec![(0, Offer::accept(content))]);
        publisher.publish(&Inbox::new(1), now);
    };
    let retarget = |name: &str, to: &str| {
        std::os::unix::fs::symlink(to, rig.live().join("other")).unwrap();
        fs::rename(rig.live().join("other"), rig.live().join(name)).unwrap();
    };
    let damages: [&dyn Fn(); 4] = [
        &|| fs::remove_file(rig.live().join("b")).unwrap(),
        &|| retarget("b", "..data/a"),
        &|| retarget("d", "elsewhere"),
        &|| retarget("stale", "..data/stale"),
    ];
    for (n, damage) in damages.iter().enumerate() {
        publish(&mut publisher, &format!("{n}, made"));
        publish(&mut publisher, &format!("{n}, looked at"));
        assert!(publisher.seen.is_some(), "nobody has to read them again");
        damage();
        publish(&mut publisher, &format!("{n}, once more"));
        let mut names = rig.names();
        names.retain(|name| !name.starts_with("..") && name != "other");
        assert_eq!(names, ["a", "b", "d"], "{n}");
        assert_eq!(rig.read("b").as_deref(), Some("x"), "{n}");
        assert_eq!(rig.read("d/c").as_deref(), Some("y"), "{n}");
    }
    // Also what was made a moment ago and is away again, so that all is as it was found before.
    for _ in 0..2 {
        fs::remove_file(rig.live().join("b")).unwrap();
        publish(&mut publisher, "away");
        assert_eq!(rig.read("b").as_deref(), Some("x"));
    }
}

#[test]
fn a_directory_in_place_of_the_data_link_is_replaced() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    fs::remove_file(rig.live().join("..data")).unwrap();
    fs::create_dir_all(rig.live().join("..data/sub")).unwrap();
    rig.publish(6, &[("a", "2")]);
    assert_eq!(rig.read("a").unwrap(), "2");
}

#[test]
fn a_whole_generation_is_adopted_and_a_damaged_one_is_not() {
    let rig = Rig::new();
    rig.publish(5, &[("a", "1")]);
    rig.board.update(|s| *s = Default::default());
    rig.board.update(|s| s.sources = vec![Default::default()]);
    drop(rig.open());
    assert!(rig.board.read(|s| s.seeded && s.sources[0].published.as_ref().unwrap().index == 5));
    let file = rig.live().join("..data/a");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "tampered").unwrap();
    rig.board.update(|s| (s.seeded, s.sources[0].published) = (false, None));
    drop(rig.open());
    assert!(rig.board.read(|s| !s.seeded && s.sources[0].published.is_none()));
    assert_eq!(rig.read("a").unwrap(), "tampered", "nothing is removed before there is better");
}

#[test]
fn an_audit_puts_back_what_somebody_changed() {
    let rig = Rig::new();
    let mut publisher = rig.open();
    publisher.take(vec![(0, Offer::accept(content(5, &[("a", "1"), ("d/b", "2")])))]);
    publisher.publish(&Inbox::new(1), sys::now());
    let tampers: [&dyn Fn(); 5] = [
        &|| fs::remove_file(rig.live().join("..data/a")).unwrap(),
        &|| fs::write(rig.live().join("..data/new"), "x").unwrap(),
        &|| {
            let file = rig.live().join("..data/a");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(file, "tampered").unwrap();
        },
        &|| fs::remove_dir_all(rig.live().join("..data/d")).unwrap(),
        &|| fs::remove_file(rig.live().join("..data")).unwrap(),
    ];
    for (at, tamper) in tampers.iter().enumerate() {
        tamper();
        publisher.audit();
        assert_eq!(rig.read("a").as_deref(), Some("1"), "tamper {at}");
        assert_eq!(rig.read("d/b").as_deref(), Some("2"), "tamper {at}");
        assert_eq!(rig.read("..data/new"), None, "tamper {at}");
    }
    fs::remove_file(rig.live().join("a")).unwrap();
    publisher.audit();
    assert_eq!(rig.read("a").as_deref(), Some("1"), "a link that was removed");
}

#[test]
fn unchanged_files_keep_their_inode_and_changed_ones_do_not() {
    let rig = Rig::new();
    let mut publisher = rig.open();
    publisher.take(vec![(0, Offer::accept(content(5, &[("a", "1"), ("b", "1")])))]);
    publisher.publish(&Inbox::new(1), sys::now());
    let inode = |name| fs::metadata(rig.live().join(name)).unwrap().ino();
    let (a, b) = (inode("a"), inode("b"));
    publisher.take(vec![(0, Offer::accept(content(6, &[("a", "1"), ("b", "2")])))]);
    publisher.publish(&Inbox::new(1), sys::now());
    assert_eq!(inode("a"), a);
    assert_ne!(inode("b"), b);
}

#[test]
fn a_second_writer_is_refused_and_a_stranger_directory_is_named() {
    let rig = Rig::new();
    let _first = rig.open();
    let second = Publisher::open(rig.setup(), rig.board.clone(), Arc::default());
    assert!(matches!(second.err(), Some(Error::Locked(_))));

    let missing = Setup { path: rig.dir.path().join("none"), ..rig.setup() };
    let missing = Publisher::open(missing, rig.board.clone(), Arc::default());
    assert!(matches!(missing.err(), Some(Error::Missing(..))));
}

#[test]
fn a_hold_survives_the_process() {
    let rig = Rig::new();
    let since = sys::now();
    let hold = Hold { reason: Reason::Empty, digest: None, keys: 0, baseline_keys: 9, since };
    let inbox = Inbox::new(1);
    inbox.put(0, Offer::hold(hold));
    inbox.slots.close();
    rig.open().run(&inbox, &Pulse::default());
    rig.board.update(|s| s.sources[0].hold = None);
    drop(rig.open());
    assert_eq!(rig.board.read(|s| s.sources[0].hold), Some(hold));
}

#[test]
fn an_overlapping_older_answer_does_not_replace_a_newer() {
    let rig = Rig::new();
    let mut publisher = rig.open();
    let new = content(6, &[("a", "new")]);
    let mut old = content(5, &[("a", "old")]);
    old.marks.sent = new.marks.sent - Duration::from_secs(1);
    publisher.take(vec![(0, Offer::accept(new))]);
    publisher.publish(&Inbox::new(1), sys::now());
    publisher.take(vec![(0, Offer::accept(old))]);
    assert!(!publisher.pending.is_complete(&publisher.board));
    assert_eq!(rig.read("a").as_deref(), Some("new"));
}

#[test]
fn what_was_judged_against_less_than_is_published_is_asked_for_again() {
    let rig = Rig::new();
    let poke = Arc::new(Notify::new());
    let setup = Setup { pokes: vec![poke.clone()], ..rig.setup() };
    let mut publisher = Publisher::open(setup, rig.board.clone(), Arc::default()).unwrap();
    let before = Baseline { digest: Digest::from_bytes([0; 32]), keys: 1, index: 4 };
    let mut less = content(6, &[("a", "2")]);
    less.judged = Some(before);
    publisher.take(vec![(0, Offer::accept(content(5, &[("a", "1"), ("b", "1")])))]);
    publisher.publish(&Inbox::new(1), sys::now());
    publisher.take(vec![(0, Offer::accept(less))]);
    assert!(!publisher.pending.is_complete(&publisher.board), "b's loss was never judged");
    assert!(tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        tokio::select! {
            biased;
            () = poke.notified() => true,
            () = std::future::ready(()) => false,
        }
    }));
}

#[test]
fn what_was_adopted_is_made_again_where_other_outputs_are_asked_for() {
    let rig = Rig::new();
    let entries: &[(&str, &str)] = &[("a", "1")];
    rig.publish(5, entries);
    let mut setup = rig.setup();
    let (shape, types) = (Shape::Nested, Types::Text);
    let (path, format) = ("app.json".to_owned(), Format::Json);
    let (mode, max_bytes) = (MODE, 1000);
    let file = Single { path, format, shape, types, mode, max_bytes };
    setup.outputs.push(Output::of(vec![0], Form::File(file)));
    let board = Arc::new(Board::new(1));
    let publisher = Publisher::open(setup, board.clone(), Arc::default()).unwrap();
    assert_eq!(rig.read("app.json"), None, "nothing is known of the values yet");
    assert!(board.read(|s| s.seeded), "and what is there is served");
    let inbox = Inbox::new(1);
    let again = content(5, entries);
    board.update(|state| {
        let published = state.sources[0].published.as_mut().expect("adopted");
        published.snapshot = Some(again.snapshot.clone());
    });
    inbox.slots.close();
    publisher.run(&inbox, &Pulse::default());
    assert_eq!(rig.read("app.json").as_deref(), Some("{\n  \"a\": \"1\"\n}\n"));
    assert_eq!(rig.read("a").as_deref(), Some("1"));
}
