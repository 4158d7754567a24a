//! Does the volume still hold what was published?

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, FileType};
use sha2::{Digest as _, Sha256};

use super::volume::{self, MANIFEST, all_entries, open_directory, open_file};
use crate::model::key::DEEPEST;
use crate::model::output::MAY_BE;
use crate::model::plan::TreeDigest;
use crate::model::snapshot::Digest;

/// What an audit found wrong. The words go to the log; no path, no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Files or directories were added, removed or changed.
    #[error("the tree is not what was published")]
    Content,
    /// A link, a device, a socket, or a file that others may write.
    #[error("a file has another kind or mode than it was published with")]
    Kind,
    /// It could not be read.
    #[error("the tree cannot be read")]
    Unreadable,
}

/// Reads the whole generation below `root` and compares it with `expected`.
pub fn audit(root: BorrowedFd<'_>, expected: &Digest) -> Result<(), Damage> {
    let mut found = TreeDigest::default();
    walk(root, "", 0, &mut |path, file| {
        match file {
            Some((at, name)) => {
                let (hash, mode) = look_at(at, name)?;
                found.file(path, &hash, mode);
            }
            None => found.directory(path),
        }
        Ok(())
    })?;
    if found.finish() == *expected { Ok(()) } else { Err(Damage::Content) }
}

/// The paths of all files of the generation below `root`, whatever they hold.
pub fn files(root: BorrowedFd<'_>) -> Result<Vec<String>, Damage> {
    let mut files = Vec::new();
    walk(root, "", 0, &mut |path, file| {
        files.extend(file.map(|_| path.to_owned()));
        Ok(())
    })?;
    Ok(files)
}

/// The same with their hashes and modes.
pub fn contents(root: BorrowedFd<'_>) -> Result<BTreeMap<String, ([u8; 32], u32)>, Damage> {
    let mut files = BTreeMap::new();
    walk(root, "", 0, &mut |path, file| {
        if let Some((at, name)) = file {
            files.insert(path.to_owned(), look_at(at, name)?);
        }
        Ok(())
    })?;
    Ok(files)
}

/// Told of each path; of a file with where it lies and its name there.
type Visit<'v> = &'v mut dyn FnMut(&str, Option<(BorrowedFd<'_>, &str)>) -> Result<(), Damage>;

fn walk(at: BorrowedFd<'_>, path: &str, depth: usize, visit: Visit<'_>) -> Result<(), Damage> {
    if depth > DEEPEST {
        return Err(Damage::Content);
    }
    for (name, kind) in all_entries(at).map_err(|_| Damage::Unreadable)? {
        // All names of ours are UTF-8.
        let name = name.into_string().map_err(|_| Damage::Content)?;
        let child = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        match kind {
            FileType::RegularFile if child == MANIFEST => {}
            FileType::RegularFile => visit(&child, Some((at, &name)))?,
            FileType::Directory => {
                visit(&child, None)?;
                let fd = open_directory(at, &name).map_err(|_| Damage::Unreadable)?;
                walk(fd.as_fd(), &child, depth + 1, visit)?;
            }
            _ => return Err(Damage::Kind),
        }
    }
    Ok(())
}

/// A file's hash and mode.
fn look_at(at: BorrowedFd<'_>, name: &str) -> Result<([u8; 32], u32), Damage> {
    let unreadable = |_| Damage::Unreadable;
    let file = open_file(at, name).map_err(unreadable)?;
    let stat = fs::fstat(&file).map_err(unreadable)?;
    let mode = stat.st_mode & 0o7777;
    if volume::kind(&stat) != FileType::RegularFile || mode & !MAY_BE != 0 {
        return Err(Damage::Kind);
    }
    let mut hash = Sha256::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match rustix::io::read(&file, &mut chunk).map_err(unreadable)? {
            0 => return Ok((hash.finalize().into(), mode)),
            n => hash.update(&chunk[..n]),
        }
    }
}
