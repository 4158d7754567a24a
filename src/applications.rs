//! Reads what `seedcar exec` says of its applications, for status and metrics. A leaf: whatever is in
//! those files changes nothing else.
//!
//! They are in a directory that the applications' containers write. A thread of its own reads them,
//! because a disk may hang; what it finds is bounded, and shown as what it is, somebody's word.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::board::Board;
use crate::model::application::{LONGEST, Report, is_name};
use crate::supervise::Pulse;
use crate::sys;

/// How often they are read.
const EVERY: Duration = Duration::from_secs(2);

/// More than any pod has; the first by name are shown.
const MOST: usize = 16;

/// So many names are looked at. What makes more has no part of it shown, and costs no more.
const MOST_NAMES: usize = 1024;

/// Reads them until the board is closed.
pub fn run(directory: &Path, board: &Board, pulse: &Pulse) {
    let mut seen = 0;
    while !board.read(|state| state.closed) {
        pulse.tick(EVERY * 30);
        let found = look(directory).unwrap_or_default();
        if board.read(|state| state.applications != found) {
            board.update(|state| state.applications = found);
        }
        let until = sys::now() + EVERY;
        while sys::now() < until && !board.read(|state| state.closed) {
            seen = board.wait(seen, until.since(sys::now()));
        }
    }
}

fn look(directory: &Path) -> io::Result<BTreeMap<String, Report>> {
    let names = std::fs::read_dir(directory)?.flatten().take(MOST_NAMES);
    let mut names: Vec<String> = names.filter_map(|entry| application(&entry)).collect();
    names.sort();
    let read = |name: String| {
        let report = read(&directory.join(format!("{name}.json"))).ok()??;
        Some((name, report))
    };
    Ok(names.into_iter().filter_map(read).take(MOST).collect())
}

fn application(entry: &std::fs::DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let name = name.strip_suffix(".json")?;
    is_name(name).then(|| name.to_owned())
}

/// One of them; `None` for what is none. A link could lead into our own files, and a pipe never ends.
fn read(path: &Path) -> io::Result<Option<Report>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= LONGEST).then(|| Report::read(&text)).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn hostile_files_are_passed_over_and_good_ones_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let good = serde_json::to_vec(&Report { schema: 1, ..Report::default() }).unwrap();
        for n in 0..40 {
            fs::write(at(&format!("app{n:02}.json")), &good).unwrap();
        }
        fs::write(at("..json"), &good).unwrap();
        fs::write(at("a b.json"), &good).unwrap();
        fs::write(at("0.txt"), &good).unwrap();
        fs::write(at("0-broken.json"), "{").unwrap();
        let padded = [good.as_slice(), &vec![b' '; LONGEST as usize]].concat();
        fs::write(at("0-long.json"), padded).unwrap();
        fs::create_dir(at("0-directory.json")).unwrap();
        fs::write(at("target"), &good).unwrap();
        symlink(at("target"), at("0-link.json")).unwrap();
        let pipe = rustix::fs::mknodat(
            rustix::fs::CWD,
            at("0-pipe.json"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o666),
            0,
        );
        pipe.unwrap();
        let found: Vec<String> = look(directory.path()).unwrap().into_keys().collect();
        let expected: Vec<String> = (0..MOST).map(|n| format!("app{n:02}")).collect();
        assert_eq!(found, expected);
        assert!(look(Path::new("/nowhere")).is_err());
    }
}
