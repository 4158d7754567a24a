//! Making a generation and making it visible.
//!
//! A generation is a directory that nobody sees until one rename points `..data` at it. Killed at any
//! point, the volume holds the old generation or the new one, and what is left over is swept at the
//! next start. The order of steps is that of Kubernetes' own writer for ConfigMap volumes, with the
//! windows closed in which that one can wedge: a left-over temporary link is removed first.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode};

use super::manifest::Manifest;
use super::plain;
use super::spare::{self, Spare, Taking};
use super::tree::Tree;
use super::volume::{
    self, DATA, DATA_TMP, Error, LINK_TMP, MANIFEST, Result, Step, Volume, is_generation, remove,
    remove_tree, write_new,
};
use crate::model::layout::Layout;
use crate::model::plan::Plan;
use crate::model::plan::difference::Difference;

/// Room kept free beyond what a generation takes: its manifest, our own files, the next links.
const RESERVE: u64 = 64 * 1024;

/// A generation on disk, with what its files are known to hold.
pub struct Generation {
    /// Its directory name in `live/`.
    pub name: String,
    /// Its directory.
    pub fd: OwnedFd,
    /// What is in it; `None` when it was made by another process and its content is not known here.
    pub plan: Option<Plan>,
}

/// A generation that was built.
pub struct Built {
    /// Its directory.
    pub fd: OwnedFd,
    /// Each file that the previous one should have had was there.
    pub previous_is_whole: bool,
}

/// What a generation is made of, but for what is written.
pub struct Old<'o> {
    /// What it has in common with the one before it.
    pub difference: &'o Difference,
    /// The one before it.
    pub previous: Option<&'o Generation>,
    /// Directories that it takes over.
    pub spare: Option<&'o Spare>,
}

/// Builds the generation `name` from `plan`, invisible. Directories in which nothing has changed come from
/// the spare, other files that the previous one holds unchanged become hard links: no write, no new page,
/// and a watch on such a file hears of its link count at most.
pub fn build(
    volume: &Volume,
    name: &str,
    plan: &Plan,
    manifest: &Manifest,
    old: &Old<'_>,
) -> Result<Built> {
    fs::mkdirat(volume.home(), name, Mode::from_raw_mode(0o700)).step("make a generation")?;
    let built = fill(volume, name, plan, manifest, old);
    if built.is_err() {
        // Half a generation is of no use and takes the room that the next try needs.
        remove_tree(volume.home(), name)?;
    }
    built
}

/// Points `..data` at the generation `name`: the moment at which everybody sees it.
pub fn swap(volume: &Volume, name: &str) -> Result<()> {
    // Names with two dots are ours, whatever somebody has made of them.
    remove(volume.home(), DATA_TMP)?;
    fs::symlinkat(name, volume.home(), DATA_TMP).step("symlink ..data_tmp")?;
    volume::replace(volume.home(), DATA_TMP, DATA).step("rename to ..data")
}

/// The mode of a generation that is whole. While it is made it has another.
pub(super) const WHOLE: u32 = 0o755;

/// The whole generations beside the one that `..data` points to, oldest first. An earlier process
/// published them, and somebody may still be reading there.
pub fn earlier(volume: &Volume) -> Result<Vec<String>> {
    let current = volume.current()?;
    let mut found = Vec::new();
    for (name, kind) in volume::entries(volume.home())? {
        let is_one = is_generation(&name) && !spare::is_spare(&name);
        if kind == FileType::Directory && is_one && current.as_ref() != Some(&name) {
            let stat = fs::statat(volume.home(), &name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.step("stat a generation")?;
            if stat.st_mode & 0o7777 == WHOLE {
                found.push((stat.st_mtime, stat.st_mtime_nsec, name));
            }
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(.., name)| name).collect())
}

/// Removes what a killed process or a failed publish left: temporary links, and every generation
/// that is neither `kept` nor the one that `..data` points to. Goes on after an error.
pub fn sweep(volume: &Volume, kept: &[String]) -> Result<()> {
    let current = volume.current()?;
    let mut outcome = Ok(());
    for (name, _) in volume::entries(volume.home())? {
        let stays = kept.contains(&name) || current.as_deref() == Some(&*name);
        if is_generation(&name) && !stays {
            outcome = outcome.and(remove_tree(volume.home(), &name));
        }
    }
    let removed = |name| remove(volume.home(), name);
    let outcome = outcome.and(removed(DATA_TMP)).and(removed(LINK_TMP));
    outcome.and(remove(volume.own.as_fd(), plain::TMP))
}

/// Refuses a generation that would not fit, before anything is written: a volume filled to its brim
/// fails other writers too, and pages count against the container's memory limit.
pub fn check_room(volume: &Volume, plan: &Plan, difference: &Difference) -> Result<()> {
    let (bytes, inodes) = volume.room()?;
    let new = plan.files.iter().zip(&difference.same).filter(|(_, same)| !**same);
    let pages: u64 = new.map(|(file, _)| pages(file.value().len())).sum();
    let shown = match volume.layout {
        Layout::Links => plan.top_names().len() as u64,
        Layout::Plain => plan.inodes() - difference.common,
    };
    let needed = pages + plan.directories.len() as u64 * 4096 + RESERVE;
    if let Some(free) = bytes.filter(|free| *free < needed) {
        return Err(Error::Full { unit: "bytes", needed, free });
    }
    // On a tmpfs a hard link takes an inode of the budget too (shmem_link reserves one).
    let needed = plan.inodes() + shown + 8;
    match inodes.filter(|free| *free < needed) {
        Some(free) => Err(Error::Full { unit: "inodes", needed, free }),
        None => Ok(()),
    }
}

fn pages(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4096) * 4096
}

fn fill(
    volume: &Volume,
    name: &str,
    plan: &Plan,
    manifest: &Manifest,
    from: &Old<'_>,
) -> Result<Built> {
    let root = volume::open_directory(volume.home(), name).step("open a generation")?;
    let mut taking = Taking::new(from.difference, from.spare);
    make_directories(&root, plan, &mut taking)?;
    let mut new = Tree::new(root.as_fd());
    let mut old = from.previous.map(|p| Tree::new(p.fd.as_fd()));
    let mut previous_is_whole = true;
    for (file, same) in taking.others(&plan.files) {
        let linked =
            same && old.as_mut().is_some_and(|old| link(old, &mut new, file.path()).is_ok());
        if !linked {
            previous_is_whole &= !same;
            let (parent, name) = new.parent(file.path()).step("open a directory")?;
            write_new(parent, name, file.value(), file.mode)?;
        }
    }
    write_new(&root, MANIFEST, &manifest.to_json(), 0o444)?;
    fs::fchmod(&root, Mode::from_raw_mode(WHOLE)).step("chmod a generation")?;
    Ok(Built { fd: root, previous_is_whole })
}

/// Takes the spare's where they are as they should be, and makes the others.
fn make_directories<'p>(root: &OwnedFd, plan: &'p Plan, taking: &mut Taking<'p, '_>) -> Result<()> {
    let mut tree = Tree::new(root.as_fd());
    for path in &plan.directories {
        if taking.holds(path) {
            continue;
        }
        let (parent, name) = tree.parent(path).step("open a directory")?;
        if !taking.take(path, parent, name) {
            fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)).step("make a directory")?;
        }
    }
    Ok(())
}

/// Fails where the file is gone, or the kernel does not let us link it (another owner): then it is
/// written afresh.
fn link(old: &mut Tree<'_>, new: &mut Tree<'_>, path: &str) -> rustix::io::Result<()> {
    let (from, name) = old.parent(path)?;
    let (to, _) = new.parent(path)?;
    fs::linkat(from, name, to, name, AtFlags::empty())
}
