//! Taking over a volume that an earlier process kept in the other layout, or that nobody kept.
//!
//! Applications read meanwhile: what they read through stays until the new is in its place.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, FileType, Mode};

use super::generation::{self, WHOLE};
use super::plain;
use super::volume::{
    self, DATA, DATA_TMP, Error, LINK_TMP, Result, Step, Volume, is_generation, remove,
    remove_tree, write_new,
};
use crate::model::layout::Layout;

/// Makes the volume at `path` one of its layout, as far as generations go. The names in `live/` follow
/// with the generation that is adopted or made.
pub fn take_over(volume: &Volume, path: &Path) -> Result<()> {
    if volume.layout == Layout::Plain && !volume.has_own(plain::MARK) {
        claim(volume, path)?;
    }
    let other = volume.layout.other();
    if volume.current()?.is_none()
        && let Some(name) = volume.current_of(other)?
    {
        bring_generation(volume, &name, other)?;
    }
    Ok(())
}

/// Ends the plain layout, once the links are there.
pub fn leave_plain(volume: &Volume) -> Result<()> {
    let own = volume.own.as_fd();
    let mut outcome = remove(own, DATA).and(remove(own, DATA_TMP)).and(remove(own, plain::TMP));
    for (name, _) in volume::entries(own)? {
        if is_generation(&name) {
            outcome = outcome.and(remove_tree(own, &*name));
        }
    }
    // The last: without it nothing of the above is tried again.
    outcome.and_then(|()| remove(own, plain::MARK))
}

/// From now on all of `live/` is ours. Refuses where something is there that was not: nobody is to lose
/// files to a word in a configuration.
fn claim(volume: &Volume, path: &Path) -> Result<()> {
    let mut strangers = 0;
    for (name, kind) in volume::all_entries(volume.live.as_fd())? {
        let is_ours = name.to_str().is_ok_and(|name| match kind {
            FileType::Symlink => {
                let to = volume::read_link(&volume.live, name).ok().flatten();
                let to_key = to.as_deref().and_then(|to| to.strip_prefix("..data/"));
                [DATA, DATA_TMP, LINK_TMP].contains(&name) || to_key == Some(name)
            }
            _ => is_generation(name),
        });
        strangers += usize::from(!is_ours);
    }
    if strangers > 0 {
        return Err(Error::Occupied(path.to_owned(), strangers));
    }
    write_new(&volume.own, plain::MARK, b"", 0o644)
}

/// Makes the generation of the other layout one of this: every file a link to the same file.
fn bring_generation(volume: &Volume, name: &str, other: Layout) -> Result<()> {
    let home = volume.home();
    // Of a process that was killed at this.
    remove_tree(home, name)?;
    let from = volume::open_directory(volume.home_of(other), name).step("open a generation")?;
    fs::mkdirat(home, name, Mode::from_raw_mode(0o700)).step("make a generation")?;
    let to = volume::open_directory(home, name).step("open a generation")?;
    plain::copy(from.as_fd(), to.as_fd())?;
    fs::fchmod(&to, Mode::from_raw_mode(WHOLE)).step("chmod a generation")?;
    generation::swap(volume, name)
}
