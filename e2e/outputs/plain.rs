//! The plain layout, from a real Consul: what programs find that cannot take links.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::stories::scene::{Files, watching};
use crate::wait::{Curtain, eventually};

/// Files and the directories above them, as a walk of `live/` finds them.
fn tree(files: &[(&str, &str)]) -> Files {
    let mut tree = Files::new();
    for (path, value) in files {
        for (at, _) in path.match_indices('/') {
            tree.insert(path[..=at].to_owned(), Vec::new());
        }
        tree.insert((*path).to_owned(), value.as_bytes().to_vec());
    }
    tree
}

#[track_caller]
fn shows(pod: &Pod, files: &[(&str, &str)]) {
    let wanted = tree(files);
    eventually("live/ is that tree", SOON, || (pod.walked() == wanted).then_some(()));
    assert_only_files(&pod.live());
}

fn assert_only_files(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let meta = entry.metadata().expect("it is there");
        let mode = meta.permissions().mode() & 0o7777;
        assert_eq!(mode, if meta.is_dir() { 0o755 } else { 0o444 }, "{:?}", entry.path());
        if meta.is_dir() {
            assert_only_files(&entry.path());
        } else {
            assert!(meta.is_file(), "{:?}", entry.path());
        }
    }
}

#[test]
fn a_walk_finds_the_keys_and_nothing_else_and_they_follow_consul() {
    let consul = Consul::start(Kind::Real);
    consul.txn_set(&[("app/a", b"1"), ("app/db/host", b"h"), ("app/db/tls/key", b"k")]);
    let pod = Pod::new(consul.addr(), "app").arg(&["--layout", "plain"]);
    pod.init();
    shows(&pod, &[("a", "1"), ("db/host", "h"), ("db/tls/key", "k")]);
    assert_eq!(pod.seedcar(&["wait", "--timeout", "0s"]).code(), 0);
    let sidecar = watching(&pod, &[]);
    let inode = |path| fs::metadata(pod.live().join(path)).expect("it is there").ino();
    // What is adopted is linked once it has been read.
    consul.put("app/b", "0");
    shows(&pod, &[("a", "1"), ("b", "0"), ("db/host", "h"), ("db/tls/key", "k")]);
    let before = (inode("a"), inode("db"), inode("db/host"));
    consul.put("app/b", "2");
    shows(&pod, &[("a", "1"), ("b", "2"), ("db/host", "h"), ("db/tls/key", "k")]);
    assert_eq!((inode("a"), inode("db"), inode("db/host")), before);
    consul.delete_recurse("app/db/tls/");
    shows(&pod, &[("a", "1"), ("b", "2"), ("db/host", "h")]);
    consul.delete("app/a");
    shows(&pod, &[("b", "2"), ("db/host", "h")]);
    // A file becomes a directory, and a directory a file.
    consul.put("app/b/c/d", "3");
    shows(&pod, &[("b/c/d", "3"), ("db/host", "h")]);
    consul.delete_recurse("app/b/");
    shows(&pod, &[("b", "2"), ("db/host", "h")]);
    let diff = pod.seedcar(&["diff"]);
    assert_eq!((diff.code(), sidecar.get("/readyz").0), (0, 200), "{}", diff.err);
}

#[test]
fn a_watch_of_a_directory_hears_of_each_file_by_its_name() {
    let consul = Consul::start(Kind::Real);
    consul.txn_set(&[("app/a", b"1"), ("app/b", b"1"), ("app/same", b"1")]);
    let pod = Pod::new(consul.addr(), "app").arg(&["--layout", "plain"]);
    pod.init();
    let _sidecar = watching(&pod, &[]);
    consul.put("app/c", "1");
    eventually("the first change is there", SOON, || pod.read("c"));
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
    inotify::add_watch(&inotify, pod.live(), WatchFlags::ALL_EVENTS).expect("a watch");
    consul.txn_set(&[("app/a", b"2"), ("app/b", b"2")]);
    let mut heard: Vec<(Option<String>, ReadFlags)> = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    eventually("both were heard of", SOON, || {
        let mut reader = Reader::new(&inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            heard.push((name, event.events()));
        }
        let moved = |name: &str| heard.contains(&(Some(name.to_owned()), ReadFlags::MOVED_TO));
        (moved("a") && moved("b")).then_some(())
    });
    let strange: Vec<_> = heard
        .iter()
        .filter(|(name, event)| name.is_some() && *event != ReadFlags::MOVED_TO)
        .collect();
    // A file that does not change has one link more: that is all that is heard of it.
    let only_links = |(_, event): &&(Option<String>, ReadFlags)| *event == ReadFlags::ATTRIB;
    assert!(strange.iter().all(only_links), "{heard:?}");
}

/// Reads these files over and over while `work` is done. What went wrong first.
fn read_while(pod: &Pod, paths: &[&str], work: impl FnOnce()) -> Option<String> {
    let over = AtomicBool::new(false);
    scope(|scope| {
        let curtain = Curtain(&over);
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for path in paths {
                    if let Err(error) = fs::read(pod.live().join(path)) {
                        return Some(format!("{path}: {error}"));
                    }
                }
            }
            None
        });
        work();
        drop(curtain);
        reader.join().expect("a reader")
    })
}

#[test]
fn the_layout_changes_at_a_restart_and_the_application_reads_on() {
    let consul = Consul::start(Kind::Real);
    consul.txn_set(&[("app/a", b"1"), ("app/db/host", b"h"), ("app/db/tls/key", b"k")]);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let files = [("a", "1"), ("db/host", "h"), ("db/tls/key", "k")];
    let wrong = read_while(&pod, &files.map(|(path, _)| path), || {
        for round in 0..4 {
            let plain = round % 2 == 0;
            // Of two restarts into a layout one finds Consul, and one has to do without.
            let args: &[&str] = if plain { &["--layout", "plain"] } else { &[] };
            if round >= 2 {
                consul.freeze();
            }
            let sidecar = pod.run(args);
            if plain {
                shows(&pod, &files);
            } else {
                let is_link = || {
                    let meta = fs::symlink_metadata(pod.live().join("db"));
                    meta.is_ok_and(|meta| meta.is_symlink())
                };
                eventually("it is a link", SOON, || is_link().then_some(()));
                let own = pod.volume().join(".seedcar");
                let left = || {
                    let names = fs::read_dir(&own).expect("ours").flatten();
                    let mut names = names.map(|e| e.file_name().to_string_lossy().into_owned());
                    names.any(|name| name.starts_with("..") || name == "plain")
                };
                eventually("nothing is left of it", SOON, || (!left()).then_some(()));
            }
            consul.thaw();
            sidecar.until("the watch works", |s| s.mechanisms["watch"].up);
            sidecar.crash();
        }
    });
    assert_eq!(wrong, None);
}

#[test]
fn a_container_that_is_given_live_alone_follows_it() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/db/host", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&["--layout", "plain"]);
    pod.init();
    let mount = tempfile::TempDir::new().expect("a directory");
    // As the kubelet mounts `subPath: live`.
    let script = "mount --bind \"$0\" \"$1\" && while read -r _; do cat \"$1/db/host\"; echo; done";
    let mut container = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .args([pod.live(), mount.path().to_owned()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare");
    let mut ask = container.stdin.take().expect("piped");
    let mut answers = BufReader::new(container.stdout.take().expect("piped"));
    let mut read = || {
        ask.write_all(b"\n").expect("it listens");
        let mut line = String::new();
        answers.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    };
    assert_eq!(read(), "1");
    let _sidecar = watching(&pod, &[]);
    for value in ["2", "3"] {
        consul.put("app/db/host", value);
        eventually("the container reads it", SOON, || (read() == value).then_some(()));
    }
    drop(ask);
    container.wait().expect("it ends");
}

#[test]
fn files_of_somebody_else_are_left_and_named() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&["--layout", "plain"]);
    fs::create_dir(pod.live()).expect("live");
    fs::write(pod.live().join("mine"), "precious").expect("a file");
    let ended = pod.seedcar(&["init", "--seed-timeout", "3s"]);
    assert_eq!(ended.code(), 73, "{}", ended.err);
    assert!(ended.err.contains("not seedcar's"), "{}", ended.err);
    assert_eq!(pod.read("mine").as_deref(), Some(b"precious".as_slice()));
    fs::remove_file(pod.live().join("mine")).expect("it goes");
    pod.init();
    shows(&pod, &[("a", "1")]);
}
