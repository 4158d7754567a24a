//! What a superseded generation leaves to the next one: whole directories in which nothing has changed.
//!
//! A hard link for each file, and later its removal, is most of what a small change in a large prefix
//! costs. So a generation whose time is over is not removed altogether. It loses its name, as ever, and
//! all in it that is no longer published. What remains are directories that the current generation has
//! too, with links to the very same files: they hold no content of their own. The next generation takes
//! them over, by one rename each, where they are still as it wants them.
//!
//! No directory that anybody may have seen is ever changed, only moved or removed: whoever still reads a
//! superseded generation finds what it held, or nothing. And no file is ever moved by itself, though that would
//! spare a link and a removal: a watch on it would hear of it (inotify(7), IN_MOVE_SELF), and be given up by those
//! who take that for the end of the file.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{self, AtFlags, FileType};

use super::tree::Tree;
use super::volume::{self, Result, Step, Volume};
use crate::model::moment::Moment;
use crate::model::plan::difference::{Difference, Directories};
use crate::model::plan::{File, Plan};

/// What its name begins with. It looks like a generation's, so that what a killed process leaves is swept.
const SPARE: &str = "..2spare.";
/// With fewer files than these in its directories it is not worth its keeping: links are as cheap.
const WORTH: usize = 256;

/// A superseded generation.
pub struct Retired {
    since: Moment,
    /// Its directory name.
    pub name: String,
    /// The directories that are not as they are in the current one; `None` if nobody knows.
    touched: Option<Directories>,
}

/// Directories to be taken over.
pub struct Spare {
    /// Its directory name.
    pub name: String,
    fd: OwnedFd,
    /// What it lacks of the current generation.
    touched: Directories,
}

/// Taking over the directories of a plan that are as they should be.
pub struct Taking<'p, 's> {
    difference: &'p Difference,
    /// Where they come from, and a cursor there.
    from: Option<(&'s Spare, Tree<'s>)>,
    /// Those that were taken.
    directories: HashSet<&'p str>,
}

/// Whether a name is that of a spare: then it is no generation, however whole it looks.
pub fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE)
}

// === impl Retired ===

impl Retired {
    /// One of an earlier process, of which nothing is known.
    pub fn unknown(since: Moment, name: String) -> Self {
        Self { since, name, touched: None }
    }

    /// The one that was current until now.
    pub fn replaced(since: Moment, name: String) -> Self {
        Self { since, name, touched: Some(Directories::new()) }
    }

    /// When its time is over, if no newer ones end it sooner.
    pub fn until(&self, keep: Duration) -> Moment {
        self.since + keep
    }

    /// Another generation has become current.
    pub fn note(&mut self, difference: &Difference) {
        match (&mut self.touched, &difference.touched) {
            (Some(mine), Some(new)) => mine.extend(new.iter().cloned()),
            _ => self.touched = None,
        }
    }

    /// Takes its name away and leaves only what is as in `plan`, which is published. None where that is
    /// not worth it: then it is untouched.
    pub fn spare(&self, volume: &Volume, plan: &Plan) -> Result<Option<Spare>> {
        let Some(touched) = self.touched.as_ref().filter(|touched| worth(plan, touched) >= WORTH)
        else {
            return Ok(None);
        };
        let name = format!("{SPARE}{}", self.name);
        fs::renameat(volume.home(), &*self.name, volume.home(), &*name).step("rename")?;
        let fd = volume::open_directory(volume.home(), &*name).step("open a spare")?;
        strip(fd.as_fd(), "", plan, touched)?;
        Ok(Some(Spare { name, fd, touched: touched.clone() }))
    }
}

/// How many files lie in directories that are as they were.
fn worth(plan: &Plan, touched: &Directories) -> usize {
    let parents = plan.files.iter().filter_map(|file| Some(file.path().rsplit_once('/')?.0));
    parents.filter(|parent| !touched.contains(*parent)).count()
}

/// Removes all but the directories that are as in the plan, and those above them.
fn strip(at: BorrowedFd<'_>, path: &str, plan: &Plan, touched: &Directories) -> Result<()> {
    for (name, kind) in volume::all_entries(at)? {
        let below = name.to_str().ok().map(|name| match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        });
        let known = |path: &String| {
            let found = plan.directories.binary_search_by(|d| (**d).cmp(path));
            kind == FileType::Directory && found.is_ok()
        };
        match below.filter(known) {
            Some(path) if touched.contains(&*path) => {
                let fd = volume::open_directory(at, &*name).step("open a directory")?;
                strip(fd.as_fd(), &path, plan, touched)?;
                // There may be nothing left in it.
                let _ = fs::unlinkat(at, &*name, AtFlags::REMOVEDIR);
            }
            Some(_) => {}
            None => volume::remove(at, &*name)?,
        }
    }
    Ok(())
}

// === impl Taking ===

impl<'p, 's> Taking<'p, 's> {
    /// Nothing is taken yet.
    pub fn new(difference: &'p Difference, spare: Option<&'s Spare>) -> Self {
        let from = spare.map(|spare| (spare, Tree::new(spare.fd.as_fd())));
        Self { difference, from, directories: HashSet::new() }
    }

    /// Moves the directory `path` to its place in a new generation, if the spare has it as it should be there.
    pub fn take(&mut self, path: &'p str, to: BorrowedFd<'_>, name: &str) -> bool {
        let Some((spare, tree)) = &mut self.from else { return false };
        let new = self.difference.touched.as_ref();
        let changed = new.is_none_or(|touched| touched.contains(path));
        if changed || spare.touched.contains(path) {
            return false;
        }
        let moved = tree.parent(path).and_then(|(from, here)| fs::renameat(from, here, to, name));
        if moved.is_ok() {
            self.directories.insert(path);
        }
        moved.is_ok()
    }

    /// Whether a directory came with one that was taken over, or is one.
    pub fn holds(&self, mut path: &str) -> bool {
        loop {
            if self.directories.contains(path) {
                return true;
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => return false,
            }
        }
    }

    /// The files that did not come with a directory, each with whether it is the same as before.
    pub fn others(&self, files: &'p [File]) -> impl Iterator<Item = (&'p File, bool)> {
        // Files of one directory lie beside each other: it is looked up once.
        let mut last = ("", false);
        files.iter().zip(&self.difference.same).filter_map(move |(file, same)| {
            let parent = file.path().rsplit_once('/').map_or("", |(parent, _)| parent);
            if parent != last.0 {
                last = (parent, self.holds(parent));
            }
            (!last.1).then_some((file, *same))
        })
    }
}
