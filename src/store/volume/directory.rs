//! A directory. All calls go through one that was opened once, take single names, and follow no link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Content, Opened};
use crate::store::Damage;

/// The backup directory.
pub(in crate::store) struct Directory(OwnedFd);

// === impl Directory ===

impl Directory {
    /// Opens the directory. The path itself may be a link: whoever configured it meant it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(retry_on_intr(|| fs::open(path, flags, Mode::empty()))?))
    }

    /// The names in the directory that are UTF-8 and wanted.
    pub(super) fn names(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if let Some(name) = name.to_str().filter(|name| wanted(name)) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Opens a file to read it. `NONBLOCK`, because opening a FIFO waits for its writer otherwise;
    /// nothing is read before the file is known to be a regular one.
    pub(super) fn open_file(&self, name: &str) -> Result<Opened, Damage> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| fs::openat(&self.0, name, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(Errno::LOOP) => return Err(Damage::NotRegular("link")),
            Err(Errno::NXIO) => return Err(Damage::NotRegular("socket or device")),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let file = File::from(fd);
        let meta = file.metadata()?;
        let kind = meta.file_type();
        if !kind.is_file() {
            return Err(Damage::NotRegular(match () {
                () if kind.is_dir() => "directory",
                () if kind.is_fifo() => "FIFO",
                () => "device",
            }));
        }
        Ok(Opened { size: meta.len(), modified: meta.modified()?, content: Content::File(file) })
    }

    /// Makes a file that did not exist, readable by this user alone.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(retry_on_intr(|| fs::openat(&self.0, name, flags, mode))?))
    }

    /// Gives a file another name that nothing has yet.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename_asking(from, to),
            other => Ok(other?),
        }
    }

    /// The same where the file system, such as NFS, cannot refuse to replace. The new name is
    /// random, so asking first will do.
    pub(in crate::store) fn rename_asking(&self, from: &str, to: &str) -> io::Result<()> {
        match fs::statat(&self.0, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(fs::renameat(&self.0, from, &self.0, to)?),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Errno::EXIST.into()),
        }
    }

    /// Forces the names in the directory to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.0)?)
    }

    /// Removes a file. That another replica was faster is no error.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::STALE) => Ok(()),
            other => Ok(other?),
        }
    }
}
