//! Values that begin with a token, which tells one change from another, and files that show them.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;

/// Characters of a token.
const TOKEN: usize = 16;

/// What tells one state of a file from the next.
pub type Stamp = (u64, i64, i64);

/// A token that there was not before.
pub fn token() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(TOKEN).collect()
}

/// A value of so many bytes that begins with this token: text that does not compress well, as passwords and
/// certificates do not.
pub fn value(token: &str, size: usize) -> Vec<u8> {
    let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
    let mut value = format!("{token}{}", STANDARD_NO_PAD.encode(random)).into_bytes();
    value.truncate(size);
    value
}

/// Whether a file's content begins with the token.
pub fn begins(file: &Path, token: &str) -> bool {
    let mut first = [0; TOKEN];
    let read = fs::File::open(file).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == token.as_bytes()
}

/// Whether the token is anywhere in a file. A large one is read only where it is another than was `seen`.
pub fn has_news(file: &Path, token: &str, seen: &mut Option<Stamp>) -> bool {
    let stamp = stamp(fs::metadata(file));
    if stamp.is_none() || *seen == stamp {
        return false;
    }
    *seen = stamp;
    fs::read(file).is_ok_and(|text| memmem::find(&text, token.as_bytes()).is_some())
}

/// The stamp of what these facts are of.
pub fn stamp(meta: io::Result<fs::Metadata>) -> Option<Stamp> {
    let meta = meta.ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}
