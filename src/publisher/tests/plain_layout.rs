//! The plain layout: what `live/` holds, and how it comes there from any other state.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::publisher::plain::{MARK, TMP};

/// What lies in a directory, by path: a file's content and inode, or nothing of a directory. Nothing else
/// may be there.
fn found(root: &Path) -> BTreeMap<String, Option<(String, u64)>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        for entry in fs::read_dir(root.join(&below)).unwrap().flatten() {
            let (path, kind) = (below.join(entry.file_name()), entry.file_type().unwrap());
            assert!(kind.is_file() || kind.is_dir(), "{path:?} is a {kind:?}");
            let file = kind.is_file().then(|| {
                (fs::read_to_string(entry.path()).unwrap(), entry.metadata().unwrap().ino())
            });
            found.insert(path.to_str().unwrap().to_owned(), file);
            if kind.is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

impl Rig {
    fn plain() -> Self {
        Self::of(Layout::Plain)
    }

    /// `live/` holds these files and the directories that they are in; nothing is left aside.
    #[track_caller]
    fn holds(&self, files: &[(&str, &str)]) {
        assert_eq!(self.board.read(|s| s.volume_error.as_ref().map(|e| e.text.clone())), None);
        let there = found(&self.live());
        let contents = there.iter().filter_map(|(path, file)| Some((&**path, &*file.as_ref()?.0)));
        assert_eq!(contents.collect::<Vec<_>>(), files);
        for (directory, _) in there.iter().filter(|(_, file)| file.is_none()) {
            let is_needed =
                files.iter().any(|(path, _)| path.starts_with(&format!("{directory}/")));
            assert!(is_needed, "{directory} is empty");
            assert_eq!(mode(&self.live().join(directory)), 0o755);
        }
        assert!(!self.own().join(TMP).exists());
        assert_eq!(self.board.read(|s| s.volume_error.as_ref().map(|e| e.text.clone())), None);
    }

    fn own(&self) -> PathBuf {
        self.dir.path().join(".seedcar")
    }

    fn inode(&self, path: &str) -> u64 {
        fs::symlink_metadata(self.live().join(path)).unwrap().ino()
    }

    fn in_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }
}

#[test]
fn it_holds_directories_and_files_and_nothing_else() {
    let rig = Rig::plain();
    rig.publish(5, &[("a", "1"), ("db/host", "h"), ("db/tls/key", "k")]);
    rig.holds(&[("a", "1"), ("db/host", "h"), ("db/tls/key", "k")]);
    let generation = rig.own().join("..data");
    for path in ["a", "db/host", "db/tls/key"] {
        let there = fs::metadata(generation.join(path)).unwrap();
        assert_eq!((there.ino(), mode(&rig.live().join(path))), (rig.inode(path), 0o444));
    }
    assert!(generation.join("..manifest.json").is_file());
}

#[test]
fn what_did_not_change_stays_and_what_is_gone_goes() {
    let rig = Rig::plain();
    let (mut publisher, inbox) = (rig.open(), Inbox::new(1));
    let mut publish = |index, entries: &[(&str, &str)]| {
        publisher.take(vec![(0, Offer::accept(content(index, entries)))]);
        publisher.publish(&inbox, sys::now());
    };
    publish(5, &[("a", "1"), ("d/b", "2"), ("d/c", "3"), ("e/f/g", "4")]);
    let (a, b, directory) = (rig.inode("a"), rig.inode("d/b"), rig.inode("d"));
    publish(6, &[("a", "1"), ("d/b", "new"), ("d/n", "5")]);
    rig.holds(&[("a", "1"), ("d/b", "new"), ("d/n", "5")]);
    assert_eq!((rig.inode("a"), rig.inode("d")), (a, directory));
    assert_ne!(rig.inode("d/b"), b);
}

#[test]
fn a_file_becomes_a_directory_and_a_directory_a_file() {
    let rig = Rig::plain();
    rig.publish(5, &[("a", "1"), ("b/c/d", "2"), ("b/e", "3")]);
    rig.publish(6, &[("a/x/y", "1"), ("b", "2")]);
    rig.holds(&[("a/x/y", "1"), ("b", "2")]);
    rig.publish(7, &[("a", "1"), ("b/c/d", "2"), ("b/e", "3")]);
    rig.holds(&[("a", "1"), ("b/c/d", "2"), ("b/e", "3")]);
}

#[test]
fn the_layout_changes_at_a_start_with_or_without_an_answer() {
    let files = [("a", "1"), ("d/b", "2")];
    for answers in [false, true] {
        let mut rig = Rig::new();
        rig.publish(5, &files);
        for layout in [Layout::Plain, Layout::Links, Layout::Plain] {
            rig = rig.in_layout(layout);
            let inode = fs::metadata(rig.live().join("d/b")).unwrap().ino();
            if answers {
                rig.publish(6, &files);
            } else {
                drop(rig.open());
            }
            assert_eq!(fs::metadata(rig.live().join("d/b")).unwrap().ino(), inode);
            match layout {
                Layout::Plain => rig.holds(&files),
                Layout::Links => {
                    assert_eq!(fs::read_link(rig.live().join("d")).unwrap(), Path::new("..data/d"));
                    assert_eq!(rig.names().len(), 4, "{:?}", rig.names());
                    assert!(fs::read_dir(rig.own()).unwrap().flatten().all(|e| {
                        !e.file_name().to_string_lossy().starts_with("..") && e.file_name() != *MARK
                    }));
                }
            }
        }
    }
}

#[test]
fn of_other_sources_the_files_stay_until_there_are_new_ones() {
    for (before, after) in [(Layout::Links, Layout::Plain), (Layout::Plain, Layout::Links)] {
        let rig = Rig::of(before);
        rig.publish(5, &[("a", "1"), ("d/b", "2")]);
        let rig = rig.in_layout(after);
        let other = |rig: &Rig| Setup {
            sources: vec![(
                "other".to_owned(),
                Prefix::parse("o", PrefixRules::default()).unwrap(),
            )],
            ..rig.setup()
        };
        let publisher = Publisher::open(other(&rig), rig.board.clone(), Arc::default()).unwrap();
        assert_eq!(rig.read("d/b").unwrap(), "2");
        let inbox = Inbox::new(1);
        let entry = Arc::new(Entry::new("o/d", b"3", 0, 1, 1));
        let snapshot = Arc::new(Snapshot::new(1, vec![entry]).unwrap());
        inbox.put(0, Offer::accept(Content { snapshot, ..content(1, &[]) }));
        inbox.slots.close();
        publisher.run(&inbox, &Pulse::default());
        assert_eq!((rig.read("d").unwrap(), rig.read("a")), ("3".to_owned(), None));
        assert!(!rig.names().contains(&"a".to_owned()));
    }
}

#[test]
fn what_a_killed_process_left_is_set_right() {
    let rig = Rig::plain();
    rig.publish(5, &[("a", "1"), ("d/b", "2")]);
    let current = fs::read_link(rig.own().join("..data")).unwrap();
    // Half of a newer generation is in its place.
    let newer = rig.own().join("..2030_01_01_00_00_00.x");
    fs::create_dir_all(newer.join("d")).unwrap();
    fs::write(newer.join("d/b"), "newer").unwrap();
    fs::write(newer.join("n"), "newer").unwrap();
    fs::remove_file(rig.live().join("d/b")).unwrap();
    fs::hard_link(newer.join("d/b"), rig.live().join("d/b")).unwrap();
    fs::hard_link(newer.join("n"), rig.live().join("n")).unwrap();
    fs::create_dir_all(rig.own().join(TMP).join("x")).unwrap();
    drop(rig.open());
    rig.holds(&[("a", "1"), ("d/b", "2")]);
    assert_eq!(fs::read_link(rig.own().join("..data")).unwrap(), current);
}

#[test]
fn an_audit_puts_back_what_somebody_changed() {
    type Change = fn(&Path);
    let changes: [Change; 6] = [
        |live| fs::remove_file(live.join("a")).unwrap(),
        |live| fs::remove_dir_all(live.join("d")).unwrap(),
        |live| fs::write(live.join("d/foreign"), "x").unwrap(),
        |live| fs::create_dir_all(live.join("foreign/x")).unwrap(),
        |live| {
            fs::remove_file(live.join("a")).unwrap();
            symlink("d/b", live.join("a")).unwrap();
        },
        |live| fs::set_permissions(live.join("d"), fs::Permissions::from_mode(0o777)).unwrap(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let rig = Rig::plain();
        rig.publish(5, &[("a", "1"), ("d/b", "2")]);
        let mut publisher = rig.open();
        change(&rig.live());
        publisher.audit();
        rig.holds(&[("a", "1"), ("d/b", "2")]);
        let repairs = publisher.metrics.render();
        assert!(repairs.contains("seedcar_repairs_total 1"), "change {at}: {repairs}");
        publisher.audit();
        assert!(publisher.metrics.render().contains("seedcar_repairs_total 1"), "change {at}");
    }
}

#[test]
fn nobody_loses_files_to_a_word_in_a_configuration() {
    let rig = Rig::plain();
    fs::create_dir(rig.live()).unwrap();
    fs::write(rig.live().join("mine"), "precious").unwrap();
    let opened = Publisher::open(rig.setup(), rig.board.clone(), Arc::default());
    let error = opened.err().expect("refused");
    assert_eq!(error.kind(), "foreign");
    assert!(error.to_string().contains("1 files or directories"), "{error}");
    assert_eq!(rig.read("mine").unwrap(), "precious");
}
