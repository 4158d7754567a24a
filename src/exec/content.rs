//! What a generation holds, as far as the application is concerned: by its content, not by inodes.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat, readlinkat};
use sha2::{Digest, Sha256};

use crate::model::layout::DATA;
use crate::model::selection::Glob;
use crate::published;

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    // What somebody else put there may be a pipe.
    .union(OFlags::NONBLOCK);

/// Our own file in a generation.
const MANIFEST: &[u8] = b"..manifest.json";

/// How often a generation may vanish under a look at it. The next look finds what this one did not.
const TRIES: usize = 16;

/// Deeper than any key can be.
const DEEPEST: usize = 80;

/// One look at what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The generation's directory name.
    pub generation: String,
    /// Of the names and contents of the files that count.
    pub digest: [u8; 32],
}

/// Where to look, and for what.
#[derive(Clone, Debug)]
pub struct Content {
    volume: PathBuf,
    only: Vec<Glob>,
}

// === impl Content ===

impl Content {
    /// Files whose path matches one of `only` count, or all where there is none.
    pub fn new(volume: &Path, only: Vec<Glob>) -> Self {
        Self { volume: volume.to_owned(), only }
    }

    /// Whether a complete generation is there.
    pub fn is_filled(&self) -> bool {
        published::is_filled(&self.volume)
    }

    /// Whether all files count.
    pub fn is_all(&self) -> bool {
        self.only.is_empty()
    }

    /// The directories that generations can come and go in.
    pub fn homes(&self) -> [PathBuf; 2] {
        published::homes(&self.volume)
    }

    /// The newest generation's name.
    pub fn generation(&self) -> io::Result<String> {
        generation_in(&published::home(&self.volume))
    }

    /// Reads all that counts through one opened directory, so that it is never of two generations. One
    /// that vanishes meanwhile has been replaced, and the newer one is read.
    ///
    /// # Errors
    ///
    /// There is none, or a file cannot be read.
    pub fn look(&self) -> io::Result<Seen> {
        let mut outcome = self.try_look();
        for _ in 1..TRIES {
            match &outcome {
                Err(error) if error.kind() == io::ErrorKind::NotFound => outcome = self.try_look(),
                _ => break,
            }
        }
        outcome
    }

    fn try_look(&self) -> io::Result<Seen> {
        let home = published::home(&self.volume);
        let generation = generation_in(&home)?;
        let path = home.join(&generation);
        let directory = openat(CWD, path, READ | OFlags::DIRECTORY, Mode::empty())?;
        let mut digest = Sha256::new();
        self.add_directory(directory, "", &mut digest, 0)?;
        Ok(Seen { generation, digest: digest.finalize().into() })
    }

    fn add_directory(
        &self,
        directory: OwnedFd,
        path: &str,
        digest: &mut Sha256,
        depth: usize,
    ) -> io::Result<()> {
        for (name, kind) in entries(&directory)? {
            let child = format!("{path}{}", name.to_string_lossy());
            if kind == FileType::Directory && depth < DEEPEST {
                let inner = openat(&directory, &name, READ | OFlags::DIRECTORY, Mode::empty());
                let inner = inner.map_err(|error| at(&child, error.into()))?;
                self.add_directory(inner, &format!("{child}/"), digest, depth + 1)?;
            } else if kind == FileType::RegularFile && self.counts(&child) {
                let file = openat(&directory, &name, READ, Mode::empty());
                let file = file.map_err(|error| at(&child, error.into()))?;
                digest.update(child.as_bytes());
                // A name cannot hold a NUL, and a digest has one length: no two trees give the same bytes.
                digest.update([0]);
                digest.update(digest_of(file).map_err(|error| at(&child, error))?);
            }
        }
        Ok(())
    }

    fn counts(&self, path: &str) -> bool {
        let matches = |glob: &Glob| glob.matches(path);
        path.as_bytes() != MANIFEST && (self.is_all() || self.only.iter().any(matches))
    }
}

/// The same error, and where.
fn at(path: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// Names and types, sorted.
fn entries(directory: impl AsFd) -> io::Result<Vec<(std::ffi::CString, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name != c"." && name != c".." {
            found.push((name.to_owned(), entry.file_type()));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn digest_of(file: OwnedFd) -> io::Result<[u8; 32]> {
    let (mut file, mut digest) = (File::from(file), Sha256::new());
    let mut buffer = [0; 8 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(&buffer[..read]),
        }
    }
}

fn generation_in(home: &Path) -> io::Result<String> {
    let target = readlinkat(CWD, home.join(DATA), Vec::new())?;
    target.into_string().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn publish(volume: &Path, name: &str, files: &[(&str, &str)]) {
        let generation = volume.join("live").join(name);
        fs::create_dir_all(&generation).unwrap();
        for (path, value) in files.iter().chain(&[("..manifest.json", name)]) {
            let path = generation.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        let link = volume.join("live/..data");
        let _ = fs::remove_file(&link);
        symlink(name, link).unwrap();
    }

    fn content(volume: &Path, only: &[&str]) -> Content {
        Content::new(volume, only.iter().map(|p| Glob::parse(p).unwrap()).collect())
    }

    #[test]
    fn the_same_content_is_the_same_whatever_the_generation() {
        let volume = tempfile::tempdir().unwrap();
        let content = content(volume.path(), &[]);
        assert!(!content.is_filled() && content.look().is_err());
        let mut seen = Vec::new();
        let first: &[(&str, &str)] = &[("a", "1"), ("b/c", "2")];
        let others: [&[(&str, &str)]; 4] = [
            &[("a", "1"), ("b/c", "3")],
            &[("a", "1"), ("b/d", "2")],
            &[("a", "1")],
            &[("a", "12"), ("b/c", "")],
        ];
        for (at, files) in [first, first].into_iter().chain(others).enumerate() {
            publish(volume.path(), &format!("..g{at}"), files);
            assert!(content.is_filled());
            let look = content.look().unwrap();
            assert_eq!(look.generation, format!("..g{at}"));
            seen.push(look.digest);
        }
        assert_eq!(seen[0], seen[1]);
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), 5);
    }

    #[test]
    fn only_what_matches_counts_and_a_star_stays_within_a_name() {
        let volume = tempfile::tempdir().unwrap();
        let look = |only: &[&str], files: &[(&str, &str)]| {
            publish(volume.path(), "..g", files);
            let digest = content(volume.path(), only).look().unwrap().digest;
            fs::remove_dir_all(volume.path().join("live")).unwrap();
            digest
        };
        let old = [("app.json", "1"), ("db/host", "1"), ("db/pool/size", "1")];
        for (only, path, counts) in [
            (&["app.json"][..], "app.json", true),
            (&["app.json"], "db/host", false),
            (&["db/*"], "db/host", true),
            (&["db/*"], "db/pool/size", false),
            (&["db/**"], "db/pool/size", true),
            (&["**/size"], "db/pool/size", true),
            (&["*.json", "db/h*"], "db/host", true),
            (&["*"], "db/host", false),
            (&["**"], "db/host", true),
        ] {
            let new = old.map(|(name, value)| (name, if name == path { "2" } else { value }));
            assert_eq!(look(only, &old) != look(only, &new), counts, "{only:?} {path}");
        }
    }
}
