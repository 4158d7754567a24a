//! What the volume looks like, generation by generation.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use seedcar::model::confirmation::Origin;
use seedcar::publisher::manifest::Manifest;
use seedcar::publisher::persist::StatusFile;

use crate::consul::Kind;
use crate::rig::{Pod, SOON};
use crate::stories::{seeded, watching};
use crate::wait::{Curtain, eventually};

told_on_both!(
    an_unchanged_file_is_the_same_inode_in_the_next_generation,
    old_generations_are_few_and_go_after_five_seconds,
    the_volume_has_the_layout_of_a_configmap,
    the_manifest_says_what_a_generation_is_made_of,
    the_status_file_tells_applications_how_fresh_the_files_are,
);

/// A superseded generation stays this long, unless three newer ones exist.
const KEEP: Duration = Duration::from_secs(5);

/// The inode of a file.
pub fn inode(pod: &Pod, path: &str) -> u64 {
    let file = pod.live().join(path);
    file.metadata().expect("the file").ino()
}

/// The generations that there are.
pub fn generations(pod: &Pod) -> Vec<String> {
    let entries = std::fs::read_dir(pod.live()).expect("live");
    let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("..2")).collect()
}

/// The generation that `..data` leads to.
pub fn current(pod: &Pod) -> String {
    let target = std::fs::read_link(pod.live().join("..data")).expect("..data");
    target.to_string_lossy().into_owned()
}

fn manifest(pod: &Pod) -> Manifest {
    let text = pod.read("..data/..manifest.json").expect("a manifest");
    Manifest::parse(&text).expect("of this format")
}

fn an_unchanged_file_is_the_same_inode_in_the_next_generation(kind: Kind) {
    let keys = [("app/db/host", "h"), ("app/db/port", "1"), ("app/name", "n")];
    let (consul, pod) = seeded(kind, &keys);
    let sidecar = watching(&pod, &[]);
    // The first publish after init is of another process than the one before it.
    for round in 0..3 {
        let before = ["db/host", "name", "db/port"].map(|path| inode(&pod, path));
        let old = current(&pod);
        let port = format!("port {round}");
        consul.put("app/db/port", &port);
        sidecar.shows("db/port", &port);
        assert_ne!(current(&pod), old);
        let after = ["db/host", "name", "db/port"].map(|path| inode(&pod, path));
        assert_eq!(after[..2], before[..2], "unchanged files are links");
        assert_ne!(after[2], before[2], "a changed file is another file");
        let was = pod.live().join(old).join("db/port");
        if let Ok(was) = std::fs::read_to_string(was) {
            assert_ne!(was, port, "and the old one is as it was");
        }
    }
}

fn old_generations_are_few_and_go_after_five_seconds(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "0"), ("app/b", "0")]);
    let sidecar = watching(&pod, &[]);
    let (most, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut last_put = Instant::now();
    std::thread::scope(|scope| {
        let _curtain = Curtain(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(generations(&pod).len(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        for n in 1..=12 {
            last_put = Instant::now();
            consul.put("app/a", n.to_string());
            sidecar.shows("a", n.to_string());
        }
    });
    let most = most.into_inner();
    assert!((2..=4).contains(&most), "{most} generations at one time");
    eventually("only the current one is left", KEEP + SOON, || {
        (generations(&pod) == [current(&pod)]).then_some(())
    });
    let after = last_put.elapsed();
    assert!(after >= KEEP, "gone already after {after:?}");
}

fn the_volume_has_the_layout_of_a_configmap(kind: Kind) {
    let (_consul, pod) = seeded(kind, &[("app/db/host", "h"), ("app/name", "n")]);
    let name = current(&pod);
    let form = "..dddd_dd_dd_dd_dd_dd.";
    assert_eq!(name.len(), form.len() + 10, "{name}");
    for (is, should) in name.chars().zip(form.chars()) {
        assert!(is == should || should == 'd' && is.is_ascii_digit(), "{name}");
    }
    let live = pod.live();
    for (link, to) in [("db", "..data/db"), ("name", "..data/name")] {
        let target = std::fs::read_link(live.join(link)).expect("a link");
        assert_eq!(target, Path::new(to));
    }
    let mode = |path: &str| {
        let stat = pod.volume().join(path).metadata().expect("there");
        format!("{:o}", stat.mode() & 0o7777)
    };
    for directory in ["live", "live/..data/", "live/db/", ".seedcar"] {
        assert_eq!(mode(directory), "755", "{directory}");
    }
    for file in ["live/name", "live/db/host", "live/..data/..manifest.json"] {
        assert_eq!(mode(file), "444", "{file}");
    }
    assert_eq!(mode(".seedcar/status.json"), "644");
}

fn the_manifest_says_what_a_generation_is_made_of(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "12345"), ("app/b", "678")]);
    let first = manifest(&pod);
    assert_eq!((first.schema, first.generation.as_str()), (1, &*current(&pod)));
    let age = |stamp: &str| {
        let stamp: jiff::Timestamp = stamp.parse().expect("RFC 3339");
        (jiff::Timestamp::now() - stamp).total(jiff::Unit::Second).expect("an age")
    };
    assert!((-1.0..60.0).contains(&age(&first.published)), "{}", first.published);
    let [part] = first.sources.as_slice() else { panic!("one source") };
    assert_eq!((part.name.as_str(), part.prefix.as_str()), ("default", "app/"));
    assert_eq!(part.index, consul.index("app/"));
    assert_eq!((part.keys, part.bytes), (2, 8));
    assert_eq!((part.origin, part.stale), (Origin::Consul, false));
    assert!((-2.0..60.0).contains(&age(&part.confirmed)), "{}", part.confirmed);
    let sidecar = watching(&pod, &[]);
    assert_eq!(sidecar.source().digest.as_deref(), Some(&*part.digest.hex()));
    consul.put("app/a", "1");
    sidecar.shows("a", "1");
    let second = manifest(&pod);
    assert_eq!(second.generation, current(&pod));
    assert_eq!(second.sources[0].index, consul.index("app/"));
    assert_eq!((second.sources[0].keys, second.sources[0].bytes), (2, 4));
    assert_ne!(second.tree, first.tree);
}

fn the_status_file_tells_applications_how_fresh_the_files_are(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let read = || -> Option<StatusFile> {
        let text = std::fs::read(pod.volume().join(".seedcar/status.json")).ok()?;
        Some(serde_json::from_slice(&text).expect("whole at any time"))
    };
    let sidecar = watching(&pod, &[]);
    consul.put("app/a", "3");
    sidecar.shows("a", "3");
    let status = eventually("the file tells of it", SOON, || {
        read().filter(|s| s.generation.as_deref() == Some(&*current(&pod)))
    });
    assert_eq!((status.schema, status.origin, &status.held), (1, Origin::Consul, &None));
    let source = &status.sources["default"];
    assert_eq!((source.origin, source.keys), (Origin::Consul, 2));
    assert_eq!(source.index, consul.index("app/"));
    assert_eq!(Some(source.digest.hex()), sidecar.source().digest);
    for stamp in [&status.published, &status.confirmed, &source.confirmed] {
        let stamp = stamp.as_ref().expect("a time");
        stamp.parse::<jiff::Timestamp>().expect("RFC 3339");
    }
    consul.delete_recurse("app/");
    let held = eventually("the hold is in the file", SOON, || read().filter(|s| s.held.is_some()));
    assert_eq!(held.held.as_deref(), Some("empty"));
    assert_eq!(held.sources["default"].held.as_deref(), Some("empty"));
    assert!(held.sources["default"].held_digest.is_some());
}
