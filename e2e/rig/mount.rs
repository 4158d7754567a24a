//! Volumes that are read-only, too small, or do not answer at all.
//!
//! They are mounts that only the started program sees: it gets a mount namespace of its own.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr::null;

/// What is mounted over a directory.
#[derive(Clone, Copy)]
pub enum Mount {
    /// The directory itself, read-only.
    ReadOnly,
    /// A tmpfs of 256 KiB.
    Small,
    /// A tmpfs of 16 MiB.
    Sized16M,
    /// A tmpfs of 16 inodes.
    FewInodes,
    /// A FUSE file system whose server never says a word: whoever touches it waits, as on a disk or a
    /// network volume that hangs, and can only be killed.
    Silent,
}

/// Where the started program holds the silent server's end, so that it stays open as long as it runs.
const SERVER: libc::c_int = 200;
const SILENT: &CStr = c"fd=200,rootmode=40000,user_id=0,group_id=0";

// === impl Mount ===

impl Mount {
    /// Has `command` find this at `dir`.
    pub fn apply(self, command: &mut Command, dir: &Path) {
        let at = CString::new(dir.as_os_str().as_bytes()).expect("no NUL in a path");
        // SAFETY: system calls only, on memory that was made before the fork.
        unsafe { command.pre_exec(move || self.mount(&at)) };
    }

    fn mount(self, at: &CStr) -> io::Result<()> {
        // SAFETY: a system call without pointers.
        checked(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
        match self {
            Self::ReadOnly => {
                mount(at, at, None, libc::MS_BIND, None)?;
                let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
                mount(c"none", at, None, flags, None)
            }
            Self::Small => mount(c"small", at, Some(c"tmpfs"), 0, Some(c"size=256k")),
            Self::Sized16M => mount(c"small", at, Some(c"tmpfs"), 0, Some(c"size=16m")),
            Self::FewInodes => mount(c"small", at, Some(c"tmpfs"), 0, Some(c"nr_inodes=16")),
            Self::Silent => {
                open_server()?;
                mount(c"silent", at, Some(c"fuse"), 0, Some(SILENT))
            }
        }
    }
}

fn open_server() -> io::Result<()> {
    // SAFETY: a system call on a constant string.
    let fuse = unsafe { libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR) };
    checked(fuse)?;
    // SAFETY: a system call without pointers.
    checked(unsafe { libc::dup2(fuse, SERVER) })
}

fn mount(
    what: &CStr,
    at: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let kind = kind.map_or(null(), CStr::as_ptr);
    let options = options.map_or(null(), CStr::as_ptr);
    // SAFETY: each pointer is null or a string that outlives the call.
    checked(unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind, flags, options.cast()) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
