//! Walking a directory tree by handles: the only way in is one name at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::volume::open_directory;

/// A cursor in a tree. Moving to a neighbour opens only what is not open yet, so that a walk in path
/// order opens each directory once.
pub struct Tree<'a> {
    root: BorrowedFd<'a>,
    open: Vec<(Box<str>, OwnedFd)>,
}

// === impl Tree ===

impl<'a> Tree<'a> {
    /// A cursor at `root`.
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The directory that holds `path`, and the last name of it.
    pub fn parent<'p>(&mut self, path: &'p str) -> rustix::io::Result<(BorrowedFd<'_>, &'p str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.go(parent)?;
        Ok((self.here(), name))
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.root, |(_, fd)| fd.as_fd())
    }

    /// Opens the directory `path`, one name at a time, following nothing.
    fn go(&mut self, path: &str) -> rustix::io::Result<()> {
        let names: Vec<&str> = path.split('/').filter(|n| !n.is_empty()).collect();
        let common = self.open.iter().zip(&names).take_while(|((open, _), n)| &**open == **n);
        let common = common.count();
        self.open.truncate(common);
        for name in &names[common..] {
            let fd = open_directory(self.here(), *name)?;
            self.open.push(((*name).into(), fd));
        }
        Ok(())
    }
}
