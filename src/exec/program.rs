//! Puts this program where the application's container finds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The program's name there.
pub const NAME: &str = "seedcar";

/// Made under a name of its own, which nothing else has: the rename of another would take it away.
const TEMPORARY: &str = ".seedcar.";

/// Copies the running program to `directory/seedcar`, for all to execute. One that is the same is left
/// as it is; another is replaced by one rename, so that whoever runs the old one goes on running it.
///
/// # Errors
///
/// The directory cannot be written.
pub fn install(directory: &Path) -> io::Result<()> {
    let target = directory.join(NAME);
    if is_same(&target).unwrap_or(false) {
        return Ok(());
    }
    sweep(directory)?;
    let temporary = directory.join(format!("{TEMPORARY}{:016x}", fastrand::u64(..)));
    let copied = copy(&temporary).and_then(|()| fs::rename(&temporary, &target));
    if copied.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    copied?;
    File::open(directory)?.sync_all()
}

/// What an init that was killed has left behind.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn copy(to: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(to)?;
    io::copy(&mut running()?, &mut file)?;
    file.sync_all()
}

/// Also where the file that was executed has been replaced since.
fn running() -> io::Result<File> {
    File::open("/proc/self/exe")
}

fn is_same(target: &Path) -> io::Result<bool> {
    // What another container has put there may be a link, or a pipe that nobody writes to.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let theirs = OpenOptions::new().read(true).custom_flags(flags).open(target)?;
    let (mut ours, mut theirs) = (running()?, theirs);
    let (our, their) = (ours.metadata()?, theirs.metadata()?);
    if !their.is_file() || our.len() != their.len() || their.permissions().mode() & 0o777 != 0o755 {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = ours.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        theirs.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_is_copied_once_and_replaced_where_it_differs() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join(NAME);
        let left_over = directory.path().join(".seedcar.0123");
        fs::write(&left_over, "half").unwrap();
        install(directory.path()).unwrap();
        let first = fs::metadata(&target).unwrap();
        assert_eq!(first.permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read(&target).unwrap(), fs::read("/proc/self/exe").unwrap());
        assert!(!left_over.exists());
        install(directory.path()).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().ino(), first.ino());
        let mut other = fs::read(&target).unwrap();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&target, &other).unwrap();
        install(directory.path()).unwrap();
        assert_eq!(fs::read(&target).unwrap(), fs::read("/proc/self/exe").unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(install(Path::new("/nowhere/at/all")).is_err());
    }
}
