//! Links and directories where names of ours should be, before seedcar starts and while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::consul::{Consul, Kind};
use crate::ledger::Tally;
use crate::rig::Pod;

/// A place outside the volume that nothing may touch. It has names of the volume's in it.
pub struct Outside {
    dir: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Outside {
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        for folder in ["", "db", "..data", "live", ".seedcar", "deep/er"] {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).expect("a folder");
            for name in ["host", "a", "status.json", "state.json", "lock", "..manifest.json"] {
                fs::write(folder.join(name), "outside").expect("a file");
            }
        }
        let before = look(dir.path());
        Self { dir, before }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What is another than it was.
    pub fn changes(&self) -> Vec<String> {
        let now = look(self.dir.path());
        let all = self.before.keys().chain(now.keys());
        let differ = all.filter(|path| self.before.get(*path) != now.get(*path));
        differ.map(|p| format!("{}: {:?}", p.display(), now.get(p))).collect()
    }
}

/// Everything about each file that a write, a link, a chmod or a removal would change.
fn look(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let meta = path.symlink_metadata().expect("a file");
        let content = fs::read_to_string(&path).unwrap_or_default();
        let about = (meta.mode(), meta.uid(), meta.ino(), meta.nlink(), meta.mtime_nsec());
        found.insert(path.clone(), format!("{about:?} {content}"));
        if meta.is_dir() {
            found.extend(look(&path));
        }
    }
    found
}

/// Names in the volume, and whether seedcar can be expected to work with a link there.
const NAMES: &[(&str, bool)] = &[
    ("live", false),
    (".seedcar", false),
    (".seedcar/lock", true),
    (".seedcar/status.json", true),
    (".seedcar/.status.json.tmp", true),
    (".seedcar/state.json", true),
    (".seedcar/.state.json.tmp", true),
    ("live/..data", true),
    ("live/..data_tmp", true),
    ("live/..link_tmp", true),
    ("live/db", true),
    ("live/a", true),
    ("live/..2020_01_01_00_00_00.planted", true),
    ("live/..data/db", true),
    ("live/..data/a", true),
    ("live/..data/..manifest.json", true),
];

fn take_away(path: &Path) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).expect("removed"),
        Ok(_) => fs::remove_file(path).expect("removed"),
        Err(_) => {}
    }
}

#[test]
fn a_link_at_any_name_is_not_followed() {
    let mut tally = Tally::of("security::planted");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/db/host", "h");
    consul.put("app/a", "1");
    for (name, works) in NAMES {
        for target in ["", "a", "db", "nothing"] {
            let (outside, pod) = (Outside::new(), Pod::new(consul.addr(), "app"));
            pod.init();
            let place = pod.volume().join(name);
            take_away(&place);
            symlink(outside.path().join(target), &place).expect("a link");
            let ended = pod.seedcar(&["init"]);
            let case = format!("{name} -> {target}");
            let code = if *works { 0 } else { 73 };
            tally.check(ended.code() == code, || format!("{case}: {} {}", ended.code(), ended.err));
            tally
                .check(outside.changes().is_empty(), || format!("{case}: {:?}", outside.changes()));
            let whole = pod.read("..data/db/host").as_deref() == Some(b"h");
            tally.check(!works || whole, || format!("{case}: not put right"));
        }
    }
    tally.finish();
}

/// Temporary names, and those that are replaced: a directory there is in the way of a rename, and
/// of the removal of a file.
#[test]
fn a_directory_at_a_name_of_ours_is_put_away() {
    let mut tally = Tally::of("security::planted");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/db/host", "h");
    let ours = NAMES.iter().map(|(name, _)| *name).filter(|name| {
        name.contains("..") && !name.contains("..data/") || name.starts_with(".seedcar/")
    });
    for name in ours {
        let mut pod = Pod::new(consul.addr(), "app");
        pod.init();
        let place = pod.volume().join(name);
        take_away(&place);
        fs::create_dir_all(place.join("full/of")).expect("a directory");
        fs::write(place.join("full/of/things"), "x").expect("a file");
        // So many levels that a descriptor each would be too many, and a name that is not UTF-8.
        let odd = std::ffi::OsString::from_vec(vec![0xff, 0xfe]);
        fs::write(place.join(odd), "x").expect("a file");
        dig(&place, 400);
        consul.put("app/db/host", format!("h{name}"));
        pod.limit_descriptors(160);
        let ended = pod.seedcar(&["init"]);
        tally.check(ended.code() == 0, || format!("{name}: {}", ended.err));
        let value = pod.read("..data/db/host").unwrap_or_default();
        tally.check(value == format!("h{name}").as_bytes(), || format!("{name}: not published"));
        // A temporary file is put away when the next is written, and the state is written rarely.
        // What looks like an earlier generation stays for its readers for some seconds.
        let later = name.ends_with(".tmp") || name.ends_with("planted");
        let left = !later && place.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        tally.check(!left, || format!("{name}: still there"));
    }
    tally.finish();
}

/// Directories in each other, made from the innermost: no path is ever long.
fn dig(at: &Path, levels: usize) {
    let nest = |n: usize| at.join(format!("d{n}"));
    fs::create_dir(nest(0)).expect("a directory");
    for n in 1..levels {
        fs::create_dir(nest(n)).expect("a directory");
        fs::rename(nest(n - 1), nest(n).join("d")).expect("a rename");
    }
}

#[test]
fn accept_follows_no_link_either() {
    let mut tally = Tally::of("security::planted");
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/db/host", "h");
    for name in ["", "/accept-0123456789ab"] {
        let (outside, pod) = (Outside::new(), Pod::new(consul.addr(), "app"));
        pod.init();
        let place = pod.volume().join(format!(".seedcar{name}"));
        take_away(&place);
        let target = if name.is_empty() { outside.path() } else { outside.path().join("a") };
        symlink(target, &place).expect("a link");
        pod.seedcar(&["accept", "0123456789ab"]);
        tally.check(outside.changes().is_empty(), || format!("{name}: {:?}", outside.changes()));
    }
    tally.finish();
}
