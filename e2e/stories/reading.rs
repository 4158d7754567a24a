//! How applications read: one file by its path, a whole tree through `..data/`, never a mix.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::consul::{Consul, Kind};
use crate::rig::Pod;
use crate::stories::{measured, seeded, watching};
use crate::wait::Curtain;

told_on_both!(
    python_reads_a_file_and_a_tree,
    node_reads_a_file_and_a_tree,
    find_and_cat_read_a_file_and_a_tree,
    readers_of_one_opened_directory_never_see_a_mix,
);

const KEYS: [(&str, &str); 4] = [
    ("app/db/host", "db.example"),
    ("app/db/pool/size", "10"),
    ("app/greeting", "hello"),
    ("app/feature/empty", ""),
];

type Tree = BTreeMap<String, String>;

/// What a reader of the whole tree must find.
fn expected() -> Tree {
    let below = |(key, value): &(&str, &str)| {
        let path = key.trim_start_matches("app/");
        (path.to_owned(), (*value).to_owned())
    };
    KEYS.iter().map(below).collect()
}

/// What a program prints.
fn printed(program: &str, args: &[&dyn AsRef<OsStr>]) -> String {
    let mut command = Command::new(program);
    args.iter().for_each(|arg| {
        command.arg(arg.as_ref());
    });
    let output =
        command.output().unwrap_or_else(|error| panic!("{program}: {error}; run ./e2e/run"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {complaint}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Paths and contents as JSON.
fn tree(text: &str) -> Tree {
    serde_json::from_str(text).expect("a JSON object")
}

/// A program that walks `live/` itself finds the generations, under names that are gone in a moment.
fn assert_naive(found: &Tree) {
    let wanted = expected();
    let of_a_generation = |path: &String| {
        let inside = path.split_once('/').filter(|(dir, _)| dir.starts_with("..2"));
        inside.is_some_and(|(_, path)| wanted.contains_key(path))
    };
    assert!(found.keys().any(of_a_generation), "{found:?}");
}

/// Most do not follow links, and miss what is in directories; Node does, and finds it thrice.
fn assert_follows_no_link(found: &Tree) {
    assert!(!found.contains_key("db/host"), "{found:?}");
}

fn python_reads_a_file_and_a_tree(kind: Kind) {
    let (_consul, pod) = seeded(kind, &KEYS);
    let dir = pod.live();
    let one = "import sys; print(open(sys.argv[1] + '/db/host').read(), end='')";
    assert_eq!(printed("python3", &[&"-c", &one, &dir]), "db.example");
    let whole = r"
import json, os, sys
tree, root = {}, sys.argv[1]
for path, _, names in os.walk(root):
    for name in names:
        if not name.startswith('..'):
            file = os.path.join(path, name)
            tree[os.path.relpath(file, root)] = open(file).read()
print(json.dumps(tree))
";
    let through_data = format!("{}/..data/", dir.display());
    let found = printed("python3", &[&"-c", &whole, &through_data]);
    assert_eq!(tree(&found), expected());
    let naive = tree(&printed("python3", &[&"-c", &whole, &dir]));
    assert_naive(&naive);
    assert_follows_no_link(&naive);
}

fn node_reads_a_file_and_a_tree(kind: Kind) {
    let (_consul, pod) = seeded(kind, &KEYS);
    let dir = pod.live();
    let one = "process.stdout.write(require('fs').readFileSync(process.argv[1] + '/db/host'))";
    assert_eq!(printed("node", &[&"-e", &one, &dir]), "db.example");
    let whole = r"
const fs = require('fs'), path = require('path');
const root = process.argv[1], tree = {};
for (const name of fs.readdirSync(root, { recursive: true })) {
  const file = path.join(root, name);
  if (!path.basename(name).startsWith('..') && fs.statSync(file).isFile())
    tree[name] = fs.readFileSync(file, 'utf8');
}
console.log(JSON.stringify(tree));
";
    let through_data = format!("{}/..data/", dir.display());
    let found = printed("node", &[&"-e", &whole, &through_data]);
    assert_eq!(tree(&found), expected());
    assert_naive(&tree(&printed("node", &[&"-e", &whole, &dir])));
}

fn find_and_cat_read_a_file_and_a_tree(kind: Kind) {
    let (_consul, pod) = seeded(kind, &KEYS);
    let dir = pod.live();
    assert_eq!(printed("cat", &[&dir.join("db/host")]), "db.example");
    let found = |root: &Path, slash: &str| -> Tree {
        let root = format!("{}{slash}", root.display());
        let args: [&dyn AsRef<OsStr>; 8] =
            [&root, &"-type", &"f", &"!", &"-name", &"..*", &"-printf", &"%P\n"];
        let listed = printed("find", &args);
        let content = |path: &str| printed("cat", &[&format!("{root}/{path}")]);
        listed.lines().map(|path| (path.to_owned(), content(path))).collect()
    };
    assert_eq!(found(&dir.join("..data"), "/"), expected());
    assert_eq!(found(&dir.join("..data"), ""), Tree::new(), "the slash matters");
    let naive = found(&dir, "");
    assert_naive(&naive);
    assert_follows_no_link(&naive);
}

// --- One transaction, many readers -----------------------------------------------------------------

const THREE: [&str; 3] = ["first", "dir/second", "dir/deep/third"];
/// Long enough that a file is more than one page.
const FILLER: usize = 5_000;
const READS: u64 = 1_000_000;
const READERS: usize = 4;
/// Three newer generations, 100 ms between any two: this long at least a generation stays after the
/// next one is there.
const KEPT: Duration = Duration::from_millis(200);

/// What the readers saw.
#[derive(Default)]
struct Seen {
    files: AtomicU64,
    mixes: AtomicU64,
    torn: AtomicU64,
    missing: AtomicU64,
    too_slow: AtomicU64,
}

/// Whole, and which transaction it is of.
fn number(content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?;
    let (start, rest) = text.split_once(' ')?;
    let (filler, end) = rest.split_once(' ')?;
    let whole = start == end && filler.len() == FILLER;
    start.parse().ok().filter(|_| whole)
}

fn content(n: u64) -> String {
    format!("{n} {} {n}", "x".repeat(FILLER))
}

fn write_three(consul: &Consul, n: u64) {
    let content = content(n);
    let pairs = THREE.map(|path| (format!("app/{path}"), content.as_bytes()));
    consul.txn_set(&pairs.each_ref().map(|(key, value)| (key.as_str(), *value)));
}

fn read_file(dir: &OwnedFd, path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    let file = openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut filled = 0;
    loop {
        match rustix::io::read(&file, &mut buffer[filled..])? {
            0 => return Ok(filled),
            more => filled += more,
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Opens the directory, reads the three, and judges.
fn round(data: &Path, seen: &Seen, buffer: &mut [u8]) {
    let begun = Instant::now();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, data, flags, Mode::empty());
    let mut numbers = [0; 3];
    for (number_of, path) in numbers.iter_mut().zip(THREE) {
        let read = opened.as_ref().map_err(|e| *e);
        match read.and_then(|dir| read_file(dir, path, buffer)) {
            Ok(length) => match number(&buffer[..length]) {
                Some(n) => *number_of = n,
                None => return count(&seen.torn),
            },
            Err(_) if begun.elapsed() < KEPT => {
                return count(&seen.missing);
            }
            Err(_) => return count(&seen.too_slow),
        }
        count(&seen.files);
    }
    if numbers != [numbers[0]; 3] {
        count(&seen.mixes);
    }
}

fn read_while_writing(pod: &Pod, consul: &Consul) -> (Seen, u64) {
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let data = pod.live().join("..data/");
    let mut written = 0;
    std::thread::scope(|scope| {
        let _curtain = Curtain(&stop);
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut buffer = vec![0; content(u64::MAX).len() + 1];
                while !stop.load(Ordering::Relaxed) {
                    round(&data, &seen, &mut buffer);
                }
            });
        }
        while seen.files.load(Ordering::Relaxed) < READS {
            written += 1;
            write_three(consul, written);
        }
    });
    (seen, written)
}

fn readers_of_one_opened_directory_never_see_a_mix(kind: Kind) {
    let consul = Consul::start(kind);
    write_three(&consul, 0);
    let pod = Pod::new(consul.addr(), "app");
    pod.init();
    let sidecar = watching(&pod, &[]);
    let (seen, written) = read_while_writing(&pod, &consul);
    let generations = sidecar.events("published").len();
    let Seen { files, mixes, torn, missing, too_slow } = seen;
    let [files, mixes, torn, missing, too_slow] =
        [files, mixes, torn, missing, too_slow].map(AtomicU64::into_inner);
    measured(&format!(
        "{kind:?}: {files} files read through opened directories during {written} transactions and \
         {generations} generations: {mixes} mixes, {torn} torn, {missing} missing, {too_slow} \
         readers slower than {KEPT:?}"
    ));
    assert_eq!((mixes, torn, missing), (0, 0, 0));
    assert!(files >= READS && generations >= 10, "{generations} generations");
}
