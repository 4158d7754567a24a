//! What a superseded generation leaves to the next one: it is right, and nobody sees a change in it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::*;

type Keys = BTreeMap<String, String>;

/// A publisher that goes on, with what it has published.
struct Going {
    rig: Rig,
    publisher: Publisher,
    inbox: Inbox,
    now: Moment,
    keys: Keys,
}

/// Forty directories with ten keys each, some of them one level deeper, and two keys beside them.
fn many() -> Keys {
    let path = |n: usize| match n % 40 {
        at @ 0..10 => format!("deep/{}/d{at}/k{n}", at % 3),
        at => format!("d{at}/k{n}"),
    };
    let mut keys: Keys = (0..400).map(|n| (path(n), "first".to_owned())).collect();
    keys.extend([("top".to_owned(), "1".to_owned()), ("d-".to_owned(), "2".to_owned())]);
    keys
}

impl Going {
    fn new(layout: Layout) -> Self {
        let rig = Rig::of(layout);
        let publisher = rig.open();
        let mut going =
            Self { rig, publisher, inbox: Inbox::new(1), now: sys::now(), keys: Keys::new() };
        going.publish(many());
        going
    }

    /// Publishes these keys, ten seconds after the last time: whatever was superseded then is over.
    fn publish(&mut self, keys: Keys) {
        self.now = self.now + Duration::from_secs(10);
        let entries: Vec<_> = keys.iter().map(|(key, value)| (&**key, &**value)).collect();
        let content = content(1, &entries);
        self.publisher.take(vec![(0, Offer::accept(content))]);
        self.publisher.publish(&self.inbox, self.now);
        self.publisher.collect(self.now);
        self.keys = keys;
        self.is_right();
    }

    /// The time of what was superseded is over.
    fn wait(&mut self) {
        self.publisher.collect(self.now + Duration::from_secs(6));
        self.is_right();
    }

    fn change(&mut self, key: &str, value: &str) {
        let mut keys = self.keys.clone();
        keys.insert(key.to_owned(), value.to_owned());
        self.publish(keys);
    }

    fn generation(&self) -> std::path::PathBuf {
        let home = match self.rig.layout {
            Layout::Links => self.rig.live(),
            Layout::Plain => self.rig.dir.path().join(".seedcar"),
        };
        home.join("..data")
    }

    /// The generation holds the keys and nothing else, and so does `live/`.
    #[track_caller]
    fn is_right(&self) {
        assert_eq!(self.rig.board.read(|s| s.volume_error.as_ref().map(|e| e.text.clone())), None);
        let generation = &self.publisher.current.as_ref().unwrap().generation;
        let found = audit::contents(generation.fd.as_fd()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), self.keys.keys().collect::<Vec<_>>());
        let tree = &self.publisher.current.as_ref().unwrap().tree;
        assert_eq!(audit::audit(generation.fd.as_fd(), tree), Ok(()));
        for (key, value) in &self.keys {
            assert_eq!(self.rig.read(key).as_ref(), Some(value), "{key}");
        }
    }

    fn inode(&self, path: &str) -> u64 {
        fs::metadata(self.generation().join(path)).unwrap().ino()
    }

    /// How many directories look like generations or what is left of them.
    fn left(&self) -> Vec<String> {
        let home = self.generation().parent().unwrap().to_owned();
        let entries = fs::read_dir(home).unwrap().flatten();
        let names = entries.map(|e| e.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("..2")).collect()
    }
}

#[test]
fn a_directory_without_a_change_is_moved_and_not_made_again() {
    for layout in [Layout::Links, Layout::Plain] {
        let mut going = Going::new(layout);
        let first = going.inode("d20");
        going.change("d30/k30", "second");
        assert_ne!(going.inode("d20"), first, "there is nothing yet to take over");
        going.wait();
        going.change("d31/k31", "third");
        assert_eq!(going.inode("d20"), first);
        let deep = going.inode("deep/1");
        going.wait();
        going.change("deep/0/d0/k0", "fourth");
        going.wait();
        going.change("top", "fifth");
        assert_eq!(going.inode("deep/1"), deep, "beside what has changed, below");
    }
}

#[test]
fn what_is_left_holds_nothing_that_is_not_published() {
    let mut going = Going::new(Layout::Links);
    let file = going.rig.live().join("d20/k20");
    let mut keys = going.keys.clone();
    let old = fs::File::open(going.rig.live().join("d30/k30")).unwrap();
    let gone = fs::File::open(going.rig.live().join("d31/k31")).unwrap();
    keys.insert("d30/k30".to_owned(), "second".to_owned());
    keys.remove("d31/k31");
    going.publish(keys);
    going.wait();
    let left = going.left();
    assert_eq!(left.len(), 2, "{left:?}");
    let spare = left.iter().find(|name| name.starts_with("..2spare.")).unwrap();
    let spare = going.rig.live().join(spare);
    assert_eq!(
        fs::metadata(spare.join("d20/k20")).unwrap().ino(),
        fs::metadata(file).unwrap().ino()
    );
    for path in ["d30", "d31", "top", "..manifest.json"] {
        assert!(!spare.join(path).exists(), "{path}");
    }
    // No value that was replaced or deleted takes memory any more.
    assert_eq!([old.metadata().unwrap().nlink(), gone.metadata().unwrap().nlink()], [0, 0]);
}

#[test]
fn a_slow_reader_of_a_superseded_generation_finds_what_it_held_or_nothing() {
    let mut going = Going::new(Layout::Links);
    let mut random = fastrand::Rng::with_seed(3);
    let mut readers: Vec<(OwnedFd, Keys)> = Vec::new();
    for step in 0..60 {
        let mut keys = going.keys.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..keys.len());
            let key = keys.keys().nth(at).unwrap().clone();
            match random.u8(..4) {
                0 => drop(keys.remove(&key)),
                1 => drop(keys.insert(format!("{key}{step}"), step.to_string())),
                _ => drop(keys.insert(key, step.to_string())),
            }
        }
        let root = fs::File::open(going.generation()).unwrap();
        readers.push((root.into(), going.keys.clone()));
        going.publish(keys);
        if random.bool() {
            going.wait();
        }
        for (root, held) in &readers {
            for (path, (hash, _)) in audit::contents(root.as_fd()).unwrap() {
                let value = held.get(&path).unwrap_or_else(|| panic!("{path} is new"));
                let entry = Entry::new("", value.as_bytes(), 0, 0, 0);
                assert_eq!(hash, entry.value_hash, "{path} has changed");
            }
        }
    }
}

#[test]
fn a_repair_takes_nothing_over() {
    let mut going = Going::new(Layout::Links);
    going.change("top", "2");
    going.wait();
    assert!(going.publisher.spare.is_some());
    let file = going.rig.live().join("d20/k20");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "spoiled").unwrap();
    going.publisher.audit();
    going.publisher.collect(going.now);
    going.is_right();
    assert!(going.left().iter().all(|name| !name.starts_with("..2spare.")));
}

/// Somebody removes a file by hand; the next generation has it again, and the one after that, too.
#[test]
fn a_generation_that_lacks_something_leaves_nothing() {
    let mut going = Going::new(Layout::Links);
    fs::remove_file(going.generation().join("d20/k20")).unwrap();
    going.change("top", "2");
    going.wait();
    assert!(going.publisher.spare.is_none());
    going.change("top", "3");
    going.wait();
    assert!(going.publisher.spare.is_some());
}

#[test]
fn a_spare_that_a_killed_process_left_is_swept() {
    let mut going = Going::new(Layout::Links);
    going.change("top", "2");
    going.wait();
    assert_eq!(going.left().len(), 2);
    let Going { rig, publisher, keys, .. } = going;
    drop(publisher);
    let publisher = rig.open();
    assert!(publisher.retired.is_empty());
    let going = Going { publisher, inbox: Inbox::new(1), now: sys::now(), keys, rig };
    assert_eq!(going.left().len(), 1);
    going.is_right();
}

#[test]
fn a_small_generation_leaves_nothing() {
    let rig = Rig::new();
    let mut publisher = rig.open();
    for value in ["1", "2"] {
        publisher.take(vec![(0, Offer::accept(content(1, &[("a/b", value), ("c/d", "1")])))]);
        publisher.publish(&Inbox::new(1), sys::now());
    }
    publisher.collect(sys::now() + Duration::from_secs(6));
    assert!(publisher.spare.is_none() && publisher.retired.is_empty());
    assert_eq!(rig.names().iter().filter(|name| name.starts_with("..2")).count(), 1);
}
