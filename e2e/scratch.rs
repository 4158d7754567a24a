//! Directories that go with the test.

use std::path::Path;

use tempfile::TempDir;

/// One in memory, where the machine has such a file system.
pub fn in_memory() -> TempDir {
    let shm = Path::new("/dev/shm");
    let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() };
    dir.expect("a directory")
}
