//! Directories that go with the test.

use std::path::Path;

use tempfile::TempDir;

/// What a test may take there. A container's is often of 64 MB.
const ROOM: u64 = 256 * 1024 * 1024;

/// One in memory, where the machine has such a file system with room.
pub fn in_memory() -> TempDir {
    let shm = Path::new("/dev/shm");
    let has_room =
        rustix::fs::statvfs(shm).is_ok_and(|all| all.f_bavail.saturating_mul(all.f_frsize) >= ROOM);
    let dir = if has_room { TempDir::new_in(shm) } else { TempDir::new() };
    dir.expect("a directory")
}
