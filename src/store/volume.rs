//! What backups are kept on: a directory, or Secrets of Kubernetes that are made to look like one.
//! The rest of the store knows files by their names and does the same steps on both.

mod directory;
mod secrets;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use rustix::fs::{self, Advice};

use super::{Damage, Error};
use directory::Directory;
pub(super) use secrets::InCluster;
pub(super) use secrets::Shelf;
use secrets::{Parts, Secrets};

/// How much is read or written at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reading the names.
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

/// What backups are kept on.
pub(super) struct Volume {
    pub(super) medium: Medium,
    /// Called before every step, to fail or to die there.
    #[cfg(test)]
    pub(super) hook: Option<Hook>,
}

pub(super) enum Medium {
    Directory(Directory),
    Secrets(Secrets),
}

#[cfg(test)]
pub(super) type Hook = Box<dyn Fn(Op, &str) -> io::Result<()> + Send + Sync>;

/// A file being written.
pub(super) enum New {
    File(File),
    /// In memory until it gets its name: what is half written is in no Secret.
    Held,
}

/// A regular file, opened for reading.
pub(super) struct Opened {
    content: Content,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

enum Content {
    File(File),
    Packed(Parts),
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
    /// A directory. The path itself may be a link: whoever configured it meant it.
    pub(super) fn directory(path: &Path) -> io::Result<Self> {
        Ok(Self::new(Medium::Directory(Directory::open(path)?)))
    }

    /// Secrets of Kubernetes.
    pub(super) fn secrets(shelf: Box<dyn Shelf>) -> Self {
        Self::new(Medium::Secrets(Secrets::new(shelf)))
    }

    fn new(medium: Medium) -> Self {
        Self {
            medium,
            #[cfg(test)]
            hook: None,
        }
    }

    /// The Secrets, where room is so small that older backups must make way for a new one.
    pub(super) fn as_secrets(&self) -> Option<&Secrets> {
        if let Medium::Secrets(secrets) = &self.medium { Some(secrets) } else { None }
    }

    /// Why a part of it could not be read at the last look, while the rest could.
    pub(super) fn unread(&self) -> Option<Error> {
        self.as_secrets()?.unread().map(Error::from)
    }

    /// The same, or why a part of it takes no change.
    pub(super) fn fault(&self) -> Option<Error> {
        self.unread().or_else(|| self.as_secrets()?.fixed().map(Error::from))
    }

    /// The names that are UTF-8 and wanted.
    pub(super) fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        self.point(Op::List, ".").map_err(|source| failed(Op::List, ".", source))?;
        match &self.medium {
            Medium::Directory(d) => d.names(wanted).map_err(|e| failed(Op::List, ".", e)),
            Medium::Secrets(secrets) => secrets.names(wanted),
        }
    }

    /// Opens a file to read it.
    pub(super) fn open_file(&self, name: &str) -> Result<Opened, Damage> {
        self.point(Op::Open, name)?;
        match &self.medium {
            Medium::Directory(directory) => directory.open_file(name),
            Medium::Secrets(secrets) => secrets.open_file(name),
        }
    }

    /// Makes a file that did not exist.
    pub(super) fn create(&self, name: &str) -> Result<New, Error> {
        self.step(Op::Create, name, || match &self.medium {
            Medium::Directory(directory) => directory.create(name).map(New::File),
            Medium::Secrets(secrets) => {
                secrets.hold(name, Vec::new());
                Ok(New::Held)
            }
        })
    }

    /// Writes the content of a new file, in large pieces.
    pub(super) fn fill(
        &self,
        new: &New,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        let written = match (new, &self.medium) {
            (New::Held, Medium::Secrets(secrets)) => {
                let output = Output { volume: self, to: Vec::new(), name };
                secrets::pack(output, content).map(|output| secrets.hold(name, output.to))
            }
            (New::File(file), _) => {
                let output = Output { volume: self, to: file, name };
                content(&mut io::BufWriter::with_capacity(BUFFER, output))
            }
            (New::Held, Medium::Directory(_)) => unreachable!("a directory makes files"),
        };
        written.map_err(|source| failed(Op::Write, name, source))
    }

    /// Forces a new file to the disk and closes it: after an error the kernel may have dropped the
    /// pages and call them clean, so that a second attempt would succeed for nothing.
    pub(super) fn sync(&self, new: New, name: &str) -> Result<(), Error> {
        self.step(Op::Sync, name, || match new {
            New::File(file) => Ok(fs::fsync(&file)?),
            New::Held => Ok(()),
        })
    }

    /// Gives a file another name that nothing has yet.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.point(Op::Rename, to).map_err(|source| failed(Op::Rename, to, source))?;
        match &self.medium {
            Medium::Directory(d) => d.rename(from, to).map_err(|e| failed(Op::Rename, to, e)),
            Medium::Secrets(secrets) => secrets.rename(from, to),
        }
    }

    /// Forces the names to the disk. What the Kubernetes API has answered is on its disks.
    pub(super) fn sync_dir(&self) -> Result<(), Error> {
        self.step(Op::SyncDir, ".", || match &self.medium {
            Medium::Directory(directory) => directory.sync(),
            Medium::Secrets(_) => Ok(()),
        })
    }

    /// Removes a file. That another replica was faster is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        self.point(Op::Remove, name).map_err(|source| failed(Op::Remove, name, source))?;
        match &self.medium {
            Medium::Directory(d) => d.remove(name).map_err(|e| failed(Op::Remove, name, e)),
            Medium::Secrets(secrets) => secrets.remove(name),
        }
    }

    /// The volume's own time, to which `Opened::modified` is compared. That of a directory is of a
    /// file called `probe` that is made there now and removed. Secrets keep no time of their keys:
    /// both are Consul's, `confirmed` that of the newest backup.
    pub(super) fn now(&self, probe: &str, confirmed: Timestamp) -> Result<SystemTime, Error> {
        if let Medium::Secrets(_) = &self.medium {
            return Ok(confirmed.into());
        }
        let New::File(made) = self.create(probe)? else { unreachable!("a directory makes files") };
        let time = made.metadata().and_then(|meta| meta.modified());
        self.remove(probe)?;
        time.map_err(|source| failed(Op::Create, probe, source))
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
    /// Forgets what the page cache holds of the file, so that reading asks the disk. Best effort. Of
    /// Secrets nothing is held that was not read after the last write.
    pub(super) fn uncache(&self) {
        if let Content::File(file) = &self.content {
            let _ = fs::fadvise(file, 0, None, Advice::DontNeed);
        }
    }

    /// The content, buffered, up to the size the file had when it was opened.
    pub(super) fn content(&self) -> impl Read {
        self.reader(BUFFER).take(self.size)
    }

    /// The first of the content, for a look at the header.
    pub(super) fn beginning(&self) -> impl Read {
        self.reader(1024).take(self.size)
    }

    fn reader(&self, buffer: usize) -> io::BufReader<Box<dyn Read + '_>> {
        let raw: Box<dyn Read> = match &self.content {
            Content::File(file) => Box::new(file),
            Content::Packed(parts) => Box::new(Unpacking(GzDecoder::new(parts.reader()))),
        };
        io::BufReader::with_capacity(buffer, raw)
    }
}

/// What is wrong with packed bytes, said in our words: a directory's calls have the same kinds of
/// error and mean something else.
struct Unpacking<R>(R);

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                io::Error::new(error.kind(), Damage::Packed)
            }
            _ => error,
        })
    }
}

fn failed(op: Op, name: &str, source: io::Error) -> Error {
    let name = name.to_owned();
    Error::File { op, name, source }
}

/// A new file being filled.
struct Output<'a, W> {
    volume: &'a Volume,
    to: W,
    name: &'a str,
}

impl<W: Write> Write for Output<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.volume.point(Op::Write, self.name)?;
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
