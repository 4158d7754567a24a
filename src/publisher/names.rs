//! The visible names: links at the volume's root that lead into `..data/`.

use std::collections::HashSet;
use std::ffi::CString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::AsFd;

use rustix::fs::{self, FileType};

use super::generation::Generation;
use super::volume::{self, DATA, MANIFEST, Result, Volume, remove, unlink};
use super::{plain, takeover};

/// Visible names that were found right, as one number: what a link says never changes (symlink(7)), and a tmpfs
/// gives no number of an inode twice, so as long as the same inodes have the same names, none has to be read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

type Entry = (CString, FileType, u64);

/// Makes the visible names agree with the generation: new ones after the swap, so that no name ever
/// dangles, then the old ones away. Only links into `..data/` are ours to remove; after the plain layout,
/// in which nothing else was there, all is. Those that were `seen` to be right, and are the same, stay unread.
pub fn link(volume: &Volume, names: &[&str], seen: &mut Option<Seen>) -> Result<()> {
    let was_plain = volume.has_own(plain::MARK);
    let found = volume::numbered_entries(volume.live.as_fd())?;
    let now = Seen::of(&found, names);
    if volume.is_tmpfs && !was_plain && *seen == Some(now) {
        return Ok(());
    }
    let made = make(volume, names, &found, was_plain);
    let removed = remove_others(volume, names, &found, was_plain);
    // Where something was made there are other inodes now: the next look sees whether they are right.
    *seen = matches!((&made, &removed), (Ok(false), Ok(false))).then_some(now);
    made.and(removed)?;
    if was_plain { takeover::leave_plain(volume) } else { Ok(()) }
}

/// Returns whether one was made. One name that is blocked by a stranger's directory does not stop the others.
fn make(volume: &Volume, names: &[&str], found: &[Entry], was_plain: bool) -> Result<bool> {
    let there: HashSet<&[u8]> = found.iter().map(|(name, ..)| name.to_bytes()).collect();
    let mut made = Ok(false);
    for name in names {
        let to = format!("{DATA}/{name}");
        let is_new =
            !there.contains(name.as_bytes()) && fs::symlinkat(&*to, &volume.live, *name).is_ok();
        let one = if is_new { Ok(true) } else { volume.set_link(name, &to, was_plain) };
        made = both(made, one);
    }
    made
}

/// Returns whether one was removed.
fn remove_others(
    volume: &Volume,
    names: &[&str],
    found: &[Entry],
    was_plain: bool,
) -> Result<bool> {
    let mut removed = Ok(false);
    for (name, kind, _) in found {
        // What is no UTF-8 is nothing of ours.
        let Ok(name) = name.to_str() else { continue };
        if names.binary_search(&name).is_ok() {
            continue;
        }
        if was_plain && !name.starts_with("..") {
            removed = both(removed, remove(volume.live.as_fd(), name).map(|()| true));
        } else if *kind == FileType::Symlink {
            removed = both(removed, unlink_ours(volume, name));
        }
    }
    removed
}

/// The first error, or whether anything was done.
fn both(before: Result<bool>, one: Result<bool>) -> Result<bool> {
    match (before, one) {
        (Ok(before), Ok(one)) => Ok(before || one),
        (before, one) => before.and(one),
    }
}

/// Removes a name that leads into `..data/`. Returns whether it was one.
fn unlink_ours(volume: &Volume, name: &str) -> Result<bool> {
    match volume::read_link(&volume.live, name)? {
        Some(to) if to.strip_prefix("..data/") == Some(name) => {
            unlink(&volume.live, name).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// The names that must be visible for a generation: those at its top.
pub fn top(generation: &Generation) -> Result<Vec<String>> {
    let entries = volume::entries(generation.fd.as_fd())?;
    let mut names: Vec<_> = entries.into_iter().map(|(name, _)| name).collect();
    names.retain(|name| name != MANIFEST);
    names.sort();
    Ok(names)
}

// === impl Seen ===

impl Seen {
    /// Names with two dots change with each publish and are no keys' names.
    fn of(found: &[Entry], names: &[&str]) -> Self {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        for (name, kind, inode) in
            found.iter().filter(|(name, ..)| !name.to_bytes().starts_with(b".."))
        {
            (name, *kind == FileType::Symlink, inode).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}
