//! The tmpfs volume: its two directories, the lock, and the few file-system calls on it.
//!
//! Everything goes through directory handles opened once, name by name and without following links,
//! so that no key and no neighbour in the pod can lead a write out of the volume.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::model::format::TooLarge;
use crate::model::key::DEEPEST;
use crate::model::layout::Layout;
pub use crate::model::layout::{DATA, MANIFEST};

/// Our own directory of the volume.
const OWN: &str = ".seedcar";
/// Its next version, before the rename.
pub const DATA_TMP: &str = "..data_tmp";
/// A name's link, before the rename.
pub const LINK_TMP: &str = "..link_tmp";

/// What is being removed and was too deep to be removed in place. It looks like a generation, so that
/// what a killed process leaves of it is swept.
const DEEP: &str = "..2deep.";

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const OLD_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The volume, held open and locked.
pub struct Volume {
    /// `live/`: what applications see.
    pub live: OwnedFd,
    /// `.seedcar/`: ours.
    pub own: OwnedFd,
    _lock: OwnedFd,
    /// How `live/` shows what is published.
    pub layout: Layout,
    /// The volume is a tmpfs: configuration stays in memory, and pages are what is counted.
    pub is_tmpfs: bool,
}

/// Why the volume cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or not a directory.
    #[error("volume {0} cannot be opened: {1}; mount an emptyDir with medium Memory there")]
    Missing(PathBuf, Errno),
    /// Another process holds it.
    #[error("volume {0} is in use by another seedcar")]
    Locked(PathBuf),
    /// `live/` was made by somebody else.
    #[error(
        "{0}/live belongs to uid {1} and not to us (uid {2}): a container mounts it with `subPath: live` \
         and was created before init made it; mount the whole volume, or let init run first"
    )]
    Foreign(PathBuf, u32, u32),
    /// `.seedcar/` was made by somebody else.
    #[error(
        "{0}/.seedcar belongs to uid {1} and not to us (uid {2}): init and run must be the same user, and nobody else \
         may write to the volume before them"
    )]
    OtherUser(PathBuf, u32, u32),
    /// The plain layout is asked for, and `live/` has files of somebody else.
    #[error(
        "{0}/live has {1} files or directories that are not seedcar's; with layout plain what is no key is removed \
         there: move them away, or use layout links"
    )]
    Occupied(PathBuf, usize),
    /// No room, in bytes or inodes.
    #[error("no room on the volume: {needed} {unit} needed, {free} free; raise its sizeLimit")]
    Full {
        /// What is short.
        unit: &'static str,
        /// How much it takes.
        needed: u64,
        /// How much there is.
        free: u64,
    },
    /// A file of all keys would be larger than it may.
    #[error("{0}; raise max-bytes, or give it fewer keys")]
    TooLarge(TooLarge),
    /// It did not pass its validation.
    #[error("the generation is refused: {text}")]
    Invalid {
        /// What is wrong, or who says so.
        text: String,
        /// Whoever was asked gave no answer, and may give one later.
        again: bool,
    },
    /// Something newer came while somebody was asked, or we are told to stop.
    #[error("the validation was given up")]
    GivenUp,
    /// A key's name is taken by what is not ours to remove.
    #[error("volume: a directory that is not ours is in the way of a key's name")]
    Blocked,
    /// A system call failed.
    #[error("volume: {0}: {1}")]
    Io(&'static str, Errno),
}

/// A result with the volume's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the failing step of a system call.
pub trait Step<T> {
    /// Turns an error number into [`Error::Io`] with the step's name.
    fn step(self, what: &'static str) -> Result<T>;
}

impl<T> Step<T> for rustix::io::Result<T> {
    fn step(self, what: &'static str) -> Result<T> {
        self.map_err(|errno| Error::Io(what, errno))
    }
}

// === impl Error ===

impl Error {
    /// The words of the errors that a volume which was opened can still give.
    pub const OF_PUBLISHING: [&str; 4] = ["full", "read_only", "denied", "io"];

    /// A word from a closed list, for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing(..) => "missing",
            Self::Locked(_) => "locked",
            Self::Foreign(..) | Self::OtherUser(..) | Self::Occupied(..) => "foreign",
            Self::Full { .. } | Self::TooLarge(..) => "full",
            Self::Blocked => "blocked",
            Self::Invalid { .. } | Self::GivenUp => "invalid",
            Self::Io(_, Errno::NOSPC | Errno::DQUOT) => "full",
            Self::Io(_, Errno::ROFS) => "read_only",
            Self::Io(_, Errno::ACCESS | Errno::PERM) => "denied",
            Self::Io(..) => "io",
        }
    }
}

// === impl Volume ===

impl Volume {
    /// Opens the volume, makes its two directories where they are missing, and locks it against a
    /// second writer (flock(2): gone with the process, however it dies).
    pub fn open(path: &Path, layout: Layout) -> Result<Self> {
        let root = fs::openat(CWD, path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())
            .map_err(|errno| Error::Missing(path.to_owned(), errno))?;
        let own = make_directory(&root, OWN, path)?;
        let lock = open_lock(&own)?;
        match fs::flock(&lock, fs::FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Error::Locked(path.to_owned())),
            other => other.step("lock .seedcar/lock")?,
        }
        let live = make_directory(&root, "live", path)?;
        // TMPFS_MAGIC, linux/magic.h.
        let is_tmpfs = fs::fstatfs(&root).step("statfs")?.f_type == 0x0102_1994;
        Ok(Self { live, own, _lock: lock, layout, is_tmpfs })
    }

    /// Where generations lie, and `..data` beside them.
    pub fn home(&self) -> BorrowedFd<'_> {
        self.home_of(self.layout)
    }

    /// Where they lie in this layout.
    pub fn home_of(&self, layout: Layout) -> BorrowedFd<'_> {
        match layout {
            Layout::Links => self.live.as_fd(),
            Layout::Plain => self.own.as_fd(),
        }
    }

    /// Free bytes and inodes; `None` where the file system has no limit.
    pub fn room(&self) -> Result<(Option<u64>, Option<u64>)> {
        let s = fs::fstatvfs(&self.live).step("statvfs")?;
        let bytes = (s.f_blocks > 0).then(|| s.f_bavail.saturating_mul(s.f_frsize));
        Ok((bytes, (s.f_files > 0).then_some(s.f_favail)))
    }

    /// The generation that `..data` points to; `None` where there is none. That it cannot be read is
    /// an error: what would be swept for it is what applications read.
    pub fn current(&self) -> Result<Option<String>> {
        self.current_of(self.layout)
    }

    /// The one that it points to in this layout's place.
    pub fn current_of(&self, layout: Layout) -> Result<Option<String>> {
        Ok(read_link(self.home_of(layout), DATA)?.filter(|name| is_generation(name)))
    }

    /// Replaces a file of `.seedcar/` in one rename.
    pub fn write_own(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = format!(".{name}.tmp");
        remove(self.own.as_fd(), &temporary)?;
        write_new(&self.own, &temporary, bytes, 0o644)?;
        replace(self.own.as_fd(), &temporary, name).step("rename in .seedcar")
    }

    /// Whether `.seedcar/` has something of this name.
    pub fn has_own(&self, name: &str) -> bool {
        fs::statat(&self.own, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Reads a file of `.seedcar/`, if it is there and small.
    pub fn read_own(&self, name: &str) -> Option<Vec<u8>> {
        let file = open_file(&self.own, name).ok()?;
        read_whole(&file, 1 << 20).ok()
    }

    /// Points `link` in `live/` at `target`, by one rename, whatever the name was before: a directory, too,
    /// where those are `ours` to remove. Returns whether it pointed elsewhere.
    pub fn set_link(&self, link: &str, target: &str, ours: bool) -> Result<bool> {
        if read_link(&self.live, link)?.as_deref() == Some(target) {
            return Ok(false);
        }
        remove(self.live.as_fd(), LINK_TMP)?;
        fs::symlinkat(target, &self.live, LINK_TMP).step("symlink a key's name")?;
        let live = self.live.as_fd();
        if ours {
            return put(live, LINK_TMP, live, link).step("rename to a key's name").map(|()| true);
        }
        let renamed = fs::renameat(&self.live, LINK_TMP, &self.live, link);
        if renamed.is_err() {
            remove(self.live.as_fd(), LINK_TMP)?;
        }
        match renamed {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => Err(Error::Blocked),
            other => other.step("rename to a key's name").map(|()| true),
        }
    }
}

/// Opens the lock file. A link or a directory in its place is nobody's lock.
fn open_lock(own: &OwnedFd) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || fs::openat(own, "lock", flags, Mode::from_raw_mode(0o600));
    let opened = match open() {
        Err(Errno::LOOP | Errno::ISDIR) => {
            remove(own.as_fd(), "lock")?;
            open()
        }
        other => other,
    };
    opened.step("open .seedcar/lock")
}

/// Makes an empty file in the `.seedcar/` of a volume that another process works on. One that is there
/// stays: that it is there is all it says, and it is not to be missed for a moment.
pub fn mark_own(volume: &Path, name: &str) -> Result<()> {
    match write_new(open_own(volume)?, name, b"", 0o644) {
        Err(Error::Io(_, Errno::EXIST)) => Ok(()),
        other => other,
    }
}

/// Removes a file that [`mark_own`] has made, if it is there.
pub fn unmark_own(volume: &Path, name: &str) -> Result<()> {
    remove(open_own(volume)?.as_fd(), name)
}

fn open_own(volume: &Path) -> Result<OwnedFd> {
    let root = fs::openat(CWD, volume, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())
        .map_err(|errno| Error::Missing(volume.to_owned(), errno))?;
    open_directory(&root, ".seedcar").step("open .seedcar")
}

/// Makes `name` with mode 0755 where it is missing and opens it. Refuses one of another owner: it
/// could be sticky, and `fs.protected_symlinks` would deny our links to other users.
fn make_directory(root: &OwnedFd, name: &str, volume: &Path) -> Result<OwnedFd> {
    match fs::mkdirat(root, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => {}
        other => other.step("make a directory of the volume")?,
    }
    let fd = open_directory(root, name).step("open a directory of the volume")?;
    let stat = fs::fstat(&fd).step("stat a directory of the volume")?;
    let me = rustix::process::geteuid().as_raw();
    if stat.st_uid != me {
        let (volume, owner) = (volume.to_owned(), stat.st_uid);
        return Err(match name {
            OWN => Error::OtherUser(volume, owner, me),
            _ => Error::Foreign(volume, owner, me),
        });
    }
    if stat.st_mode & 0o7777 != 0o755 {
        fs::fchmod(&fd, Mode::from_raw_mode(0o755)).step("chmod a directory of the volume")?;
    }
    Ok(fd)
}

// === the few calls that everything here is made of ===

/// Whether a name in `live/` can be one of our generations.
pub fn is_generation(name: &str) -> bool {
    name.starts_with("..2") && !name.contains('/')
}

/// Opens a directory by its last name, following nothing.
pub fn open_directory(at: impl AsFd, name: impl Arg) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, name, DIRECTORY, Mode::empty())
}

/// Opens a file by its last name, following nothing and never waiting (a FIFO would).
pub fn open_file(at: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, name, OLD_FILE, Mode::empty())
}

/// Writes a file that must not exist yet.
pub fn write_new(at: impl AsFd, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let file = fs::openat(at, name, NEW_FILE, Mode::from_raw_mode(mode)).step("create a file")?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(&file, rest) {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(Error::Io("write a file", Errno::IO)),
            written => rest = &rest[written.step("write a file")?..],
        }
    }
    Ok(())
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_whole(file: &OwnedFd, limit: u64) -> rustix::io::Result<Vec<u8>> {
    let stat = fs::fstat(file)?;
    if kind(&stat) != FileType::RegularFile || stat.st_size as u64 > limit {
        return Err(Errno::INVAL);
    }
    let mut bytes = Vec::with_capacity(stat.st_size as usize);
    let mut chunk = [0; 16 * 1024];
    loop {
        match rustix::io::read(file, &mut chunk) {
            Err(Errno::INTR) => {}
            Ok(0) => return Ok(bytes),
            read => bytes.extend_from_slice(&chunk[..read?]),
        }
        if bytes.len() as u64 > limit {
            return Err(Errno::FBIG);
        }
    }
}

/// Removes a name; it is fine if it is not there.
pub fn unlink(at: impl AsFd, name: &str) -> Result<()> {
    match fs::unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other.step("unlink"),
    }
}

/// Removes a name of ours, whatever somebody has made of it; it is fine if it is not there.
pub fn remove(at: BorrowedFd<'_>, name: impl Arg + Copy) -> Result<()> {
    match fs::unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => remove_tree(at, name),
        other => other.step("unlink"),
    }
}

/// Renames to a name of ours, whatever somebody has put there.
pub fn replace(at: BorrowedFd<'_>, from: &str, to: &str) -> rustix::io::Result<()> {
    match fs::renameat(at, from, at, to) {
        Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
            remove_tree(at, to).map_err(|_| Errno::NOTEMPTY)?;
            fs::renameat(at, from, at, to)
        }
        other => other,
    }
}

/// Renames to a name that is ours whatever it was before, so that nobody ever finds it missing, and
/// removes what it was.
pub fn put(
    from: BorrowedFd<'_>,
    temporary: &str,
    to: BorrowedFd<'_>,
    name: impl Arg + Copy,
) -> rustix::io::Result<()> {
    match fs::renameat(from, temporary, to, name) {
        Err(Errno::ISDIR | Errno::NOTDIR | Errno::EXIST | Errno::NOTEMPTY) => {}
        other => return other,
    }
    // A directory and what is none change places.
    let removed = match fs::renameat_with(from, temporary, to, name, RenameFlags::EXCHANGE) {
        // This file system does not know how: then there is a moment without.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let removed = remove(to, name);
            fs::renameat(from, temporary, to, name)?;
            removed
        }
        other => {
            other?;
            remove(from, temporary)
        }
    };
    removed.map_err(|_| Errno::NOTEMPTY)
}

/// Removes a directory and all below it, following nothing. What is not there is gone.
pub fn remove_tree(at: BorrowedFd<'_>, name: impl Arg) -> Result<()> {
    // What is deeper than any tree of ours is brought up first: each level takes a descriptor.
    let mut waiting = vec![name.into_c_str().step("remove")?.into_owned()];
    while let Some(next) = waiting.pop() {
        remove_below(at, at, &next, 0, &mut waiting)?;
    }
    Ok(())
}

fn remove_below(
    top: BorrowedFd<'_>,
    at: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
    waiting: &mut Vec<CString>,
) -> Result<()> {
    let gone = |removed: rustix::io::Result<()>| match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other.step("remove a directory"),
    };
    let fd = match fs::openat(at, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return gone(fs::unlinkat(at, name, AtFlags::empty()));
        }
        other => other.step("open a directory to remove it")?,
    };
    for (child, kind) in all_entries(fd.as_fd())? {
        match kind {
            FileType::Directory if depth < DEEPEST => {
                remove_below(top, fd.as_fd(), &child, depth + 1, waiting)?;
            }
            FileType::Directory => {
                let up = format!("{DEEP}{}.{}", fastrand::u64(..), waiting.len());
                let up = CString::new(up).map_err(|_| Error::Io("remove", Errno::INVAL))?;
                gone(fs::renameat(&fd, &*child, top, &*up))?;
                waiting.push(up);
            }
            _ => gone(fs::unlinkat(&fd, &*child, AtFlags::empty()))?,
        }
    }
    gone(fs::unlinkat(at, name, AtFlags::REMOVEDIR))
}

/// Those of the names in a directory that are UTF-8, as ours are.
pub fn entries(fd: BorrowedFd<'_>) -> Result<Vec<(String, FileType)>> {
    let all = all_entries(fd)?.into_iter();
    Ok(all.filter_map(|(name, kind)| Some((name.into_string().ok()?, kind))).collect())
}

/// All names in a directory with their kinds, `.` and `..` aside.
pub fn all_entries(fd: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>> {
    Ok(numbered_entries(fd)?.into_iter().map(|(name, kind, _)| (name, kind)).collect())
}

/// The same with the number of each one's inode, as the directory tells it.
pub fn numbered_entries(fd: BorrowedFd<'_>) -> Result<Vec<(CString, FileType, u64)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(fd).step("list a directory")? {
        let entry = entry.step("list a directory")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW);
                stat.map_or(FileType::Unknown, |s| kind(&s))
            }
            known => known,
        };
        found.push((name.to_owned(), kind, entry.ino()));
    }
    Ok(found)
}

/// Where a link points to; `None` if it is no link, or to nothing that could be ours.
pub fn read_link(at: impl AsFd, name: &str) -> Result<Option<String>> {
    match fs::readlinkat(at, name, Vec::new()) {
        Ok(target) => Ok(target.into_string().ok()),
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(errno) => Err(Error::Io("read a link", errno)),
    }
}

/// The kind of file a `stat` speaks of.
pub fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
