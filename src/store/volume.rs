//! The file-system calls. All go through one directory that was opened once, take single names, and
//! follow no link.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{self, Advice, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Damage, Error};

/// How much is read or written at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// One kind of file-system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reading the directory.
    List,
    /// Opening a file for reading.
    Open,
    /// Making a new file.
    Create,
    /// Writing to it.
    Write,
    /// Forcing it to the disk.
    Sync,
    /// Giving a file another name.
    Rename,
    /// Forcing the directory to the disk.
    SyncDir,
    /// Removing a file.
    Remove,
}

/// The backup directory.
pub(super) struct Volume {
    dir: OwnedFd,
    /// Called before every step, to fail or to die there.
    #[cfg(test)]
    pub(super) hook: Option<Hook>,
}

#[cfg(test)]
pub(super) type Hook = Box<dyn Fn(Op, &str) -> io::Result<()> + Send + Sync>;

/// A regular file, opened for reading.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

// === impl Op ===

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Open => "open",
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncDir => "sync directory",
            Self::Remove => "remove",
        })
    }
}

// === impl Volume ===

impl Volume {
    /// Opens the directory. The path itself may be a link: whoever configured it meant it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            dir: retry_on_intr(|| fs::open(path, flags, Mode::empty()))?,
            #[cfg(test)]
            hook: None,
        })
    }

    /// The names in the directory that are UTF-8 and wanted.
    pub(super) fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        self.step(Op::List, ".", || {
            let mut names = Vec::new();
            for entry in fs::Dir::read_from(&self.dir)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if let Some(name) = name.to_str().filter(|name| wanted(name)) {
                    names.push(name.to_owned());
                }
            }
            Ok(names)
        })
    }

    /// Opens a file to read it. `NONBLOCK`, because opening a FIFO waits for its writer otherwise;
    /// nothing is read before the file is known to be a regular one.
    pub(super) fn open_file(&self, name: &str) -> Result<Opened, Damage> {
        self.point(Op::Open, name)?;
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| fs::openat(&self.dir, name, flags, Mode::empty())) {
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
        Ok(Opened { file, size: meta.len(), modified: meta.modified()? })
    }

    /// Makes a file that did not exist, readable by this user alone.
    pub(super) fn create(&self, name: &str) -> Result<File, Error> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        self.step(Op::Create, name, || {
            let fd = retry_on_intr(|| fs::openat(&self.dir, name, flags, mode))?;
            Ok(File::from(fd))
        })
    }

    /// Writes the content of a new file, in large pieces.
    pub(super) fn fill(
        &self,
        file: &File,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let output = Output { volume: self, file, name };
        let written = content(&mut io::BufWriter::with_capacity(BUFFER, output));
        written.map_err(|source| failed(Op::Write, name, source))
    }

    /// Forces a new file to the disk and closes it: after an error the kernel may have dropped the
    /// pages and call them clean, so that a second attempt would succeed for nothing.
    pub(super) fn sync(&self, file: File, name: &str) -> Result<(), Error> {
        self.step(Op::Sync, name, || Ok(fs::fsync(&file)?))
    }

    /// Gives a file another name that nothing has yet.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.step(Op::Rename, to, || {
            match fs::renameat_with(&self.dir, from, &self.dir, to, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename_asking(from, to),
                other => Ok(other?),
            }
        })
    }

    /// The same where the file system, such as NFS, cannot refuse to replace. The new name is
    /// random, so asking first will do.
    pub(super) fn rename_asking(&self, from: &str, to: &str) -> io::Result<()> {
        match fs::statat(&self.dir, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(fs::renameat(&self.dir, from, &self.dir, to)?),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Errno::EXIST.into()),
        }
    }

    /// Forces the names in the directory to the disk.
    pub(super) fn sync_dir(&self) -> Result<(), Error> {
        self.step(Op::SyncDir, ".", || Ok(fs::fsync(&self.dir)?))
    }

    /// Removes a file. That another replica was faster is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        self.step(Op::Remove, name, || match fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::STALE) => Ok(()),
            other => Ok(other?),
        })
    }

    fn step<T>(
        &self,
        op: Op,
        name: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, Error> {
        let done = self.point(op, name).and_then(|()| call());
        done.map_err(|source| failed(op, name, source))
    }

    #[cfg(test)]
    fn point(&self, op: Op, name: &str) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(op, name))
    }

    #[cfg(not(test))]
    fn point(&self, _: Op, _: &str) -> io::Result<()> {
        Ok(())
    }
}

// === impl Opened ===

impl Opened {
    /// Forgets what the page cache holds of the file, so that reading asks the disk. Best effort.
    pub(super) fn uncache(&self) {
        let _ = fs::fadvise(&self.file, 0, None, Advice::DontNeed);
    }

    /// The content, buffered, up to the size the file had when it was opened.
    pub(super) fn content(&self) -> impl Read {
        io::BufReader::with_capacity(BUFFER, &self.file).take(self.size)
    }

    /// The first of the content, for a look at the header.
    pub(super) fn beginning(&self) -> impl Read {
        io::BufReader::with_capacity(1024, &self.file).take(self.size)
    }
}

fn failed(op: Op, name: &str, source: io::Error) -> Error {
    let name = name.to_owned();
    Error::File { op, name, source }
}

/// A new file being filled.
struct Output<'a> {
    volume: &'a Volume,
    file: &'a File,
    name: &'a str,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.volume.point(Op::Write, self.name)?;
        let mut file = self.file;
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
