//! The plain layout: `live/` holds the directories and files of the generation, and nothing else.
//!
//! A file is a hard link to the generation's, so that it takes no memory twice and one that did not
//! change stays the very same file. Each is linked aside in `.seedcar/` and renamed to its place: no
//! reader finds it torn or missing, and no program that walks `live/` finds a name of ours. What is new
//! comes first, in the order of names; then what is gone goes. Nothing is kept of how far that came:
//! what is done looks at what is there, and is done again after a kill or a failure.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode};
use rustix::io::Errno;
use rustix::path::Arg;

use super::generation::WHOLE;
use super::volume::{
    self, Error, MANIFEST, Result, Step, Volume, numbered_entries, open_directory,
};
use crate::model::key::DEEPEST;

/// What is not in its place yet, in `.seedcar/`.
pub const TMP: &str = "..plain_tmp";
/// While this is in `.seedcar/`, all that is in `live/` is ours.
pub const MARK: &str = "plain";

/// By name, in order: the kind and the inode's number.
type Listed = BTreeMap<CString, (FileType, u64)>;

/// Makes `live/` what the generation is. Returns how many names that took.
pub fn reconcile(volume: &Volume, generation: BorrowedFd<'_>) -> Result<u64> {
    let mut work = Work { aside: volume.own.as_fd(), changed: 0 };
    work.bring(generation, volume.live.as_fd(), 0)?;
    work.clear(Some(generation), volume.live.as_fd(), 0)?;
    Ok(work.changed)
}

/// Removes from `live/` what the generation has not; all, where there is none.
pub fn clear(volume: &Volume, generation: Option<BorrowedFd<'_>>) -> Result<()> {
    let mut work = Work { aside: volume.own.as_fd(), changed: 0 };
    work.clear(generation, volume.live.as_fd(), 0)
}

/// Fills a directory that nobody sees with links to all that is in another.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    copy_below(from, to, 0)
}

struct Work<'v> {
    aside: BorrowedFd<'v>,
    changed: u64,
}

// === impl Work ===

impl Work<'_> {
    /// Brings what is not there, or is something else. Stops at the first that fails: nothing is to be
    /// removed before all is there.
    fn bring(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> Result<()> {
        let there = listed(to)?;
        for (name, (kind, inode)) in wanted(from, depth)? {
            match (kind, there.get(&name)) {
                (FileType::Directory, Some((FileType::Directory, _))) => {
                    let (from, to) = (open(from, &*name)?, open(to, &*name)?);
                    self.right_mode(to.as_fd())?;
                    self.bring(from.as_fd(), to.as_fd(), deeper(depth)?)?;
                }
                (FileType::RegularFile, there) if there == Some(&(kind, inode)) => {}
                _ => {
                    self.make_aside(from, &name, kind, depth)?;
                    self.put(to, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what is not wanted. Goes on after an error.
    fn clear(
        &mut self,
        from: Option<BorrowedFd<'_>>,
        at: BorrowedFd<'_>,
        depth: usize,
    ) -> Result<()> {
        let wanted = from.map_or(Ok(Listed::new()), |from| wanted(from, depth))?;
        let mut outcome = Ok(());
        for (name, (kind, _)) in listed(at)? {
            let removed = match (wanted.get(&name), from) {
                (Some((FileType::Directory, _)), Some(from)) if kind == FileType::Directory => {
                    let below = open(from, &*name).and_then(|from| Ok((from, open(at, &*name)?)));
                    below.and_then(|(from, at)| {
                        self.clear(Some(from.as_fd()), at.as_fd(), deeper(depth)?)
                    })
                }
                (Some(_), _) => Ok(()),
                (None, _) => {
                    self.changed += 1;
                    volume::remove(at, &*name)
                }
            };
            outcome = outcome.and(removed);
        }
        outcome
    }

    fn make_aside(
        &self,
        from: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
        depth: usize,
    ) -> Result<()> {
        volume::remove(self.aside, TMP)?;
        if kind != FileType::Directory {
            return fs::linkat(from, name, self.aside, TMP, AtFlags::empty()).step("link a file");
        }
        make_directory(self.aside, TMP)?;
        let (from, to) = (open(from, name)?, open(self.aside, TMP)?);
        copy_below(from.as_fd(), to.as_fd(), deeper(depth)?)
    }

    fn put(&mut self, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        self.changed += 1;
        volume::put(self.aside, TMP, to, name).step("rename to its place")
    }

    fn right_mode(&mut self, directory: BorrowedFd<'_>) -> Result<()> {
        let stat = fs::fstat(directory).step("stat a directory")?;
        if stat.st_mode & 0o7777 == WHOLE {
            return Ok(());
        }
        self.changed += 1;
        fs::fchmod(directory, Mode::from_raw_mode(WHOLE)).step("chmod a directory")
    }
}

fn copy_below(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> Result<()> {
    for (name, (kind, _)) in listed(from)? {
        if kind == FileType::Directory {
            make_directory(to, &*name)?;
            let (from, to) = (open(from, &*name)?, open(to, &*name)?);
            copy_below(from.as_fd(), to.as_fd(), deeper(depth)?)?;
        } else {
            fs::linkat(from, &*name, to, &*name, AtFlags::empty()).step("link a file")?;
        }
    }
    Ok(())
}

/// What a directory of the generation has for `live/`.
fn wanted(from: BorrowedFd<'_>, depth: usize) -> Result<Listed> {
    let mut wanted = listed(from)?;
    if depth == 0 {
        wanted.retain(|name, _| name.to_bytes() != MANIFEST.as_bytes());
    }
    Ok(wanted)
}

fn listed(directory: BorrowedFd<'_>) -> Result<Listed> {
    let entries = numbered_entries(directory)?.into_iter();
    Ok(entries.map(|(name, kind, inode)| (name, (kind, inode))).collect())
}

/// One level more; no generation of ours has as many as are refused.
fn deeper(depth: usize) -> Result<usize> {
    if depth > DEEPEST { Err(Error::Io("walk a generation", Errno::LOOP)) } else { Ok(depth + 1) }
}

fn open(at: BorrowedFd<'_>, name: impl Arg) -> Result<OwnedFd> {
    open_directory(at, name).step("open a directory")
}

fn make_directory(at: BorrowedFd<'_>, name: impl Arg) -> Result<()> {
    fs::mkdirat(at, name, Mode::from_raw_mode(WHOLE)).step("make a directory")
}
