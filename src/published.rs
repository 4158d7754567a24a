//! Where a volume has its newest generation, for those who only read there and do not know its layout.

use std::path::{Path, PathBuf};

use crate::model::layout::{DATA, Layout, MANIFEST};

/// The directories that generations can come and go in.
pub fn homes(volume: &Path) -> [PathBuf; 2] {
    Layout::ALL.map(|layout| volume.join(layout.home()))
}

/// The directory that has `..data`; `live/` where none has. A volume on its way from one layout to the
/// other has it twice, and either leads to the same content.
pub fn home(volume: &Path) -> PathBuf {
    let [live, own] = homes(volume);
    let has = |home: &Path| home.join(DATA).symlink_metadata().is_ok();
    if !has(&live) && has(&own) { own } else { live }
}

/// Whether a complete generation is there.
pub fn is_filled(volume: &Path) -> bool {
    home(volume).join(DATA).join(MANIFEST).is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_is_found_in_either_layout() {
        for layout in Layout::ALL {
            let volume = tempfile::tempdir().unwrap();
            assert!(!is_filled(volume.path()));
            homes(volume.path()).iter().for_each(|home| fs::create_dir(home).unwrap());
            assert_eq!(home(volume.path()), volume.path().join("live"));
            let home = volume.path().join(layout.home());
            symlink("..2026", home.join(DATA)).unwrap();
            assert_eq!(
                (super::home(volume.path()), is_filled(volume.path())),
                (home.clone(), false)
            );
            fs::create_dir(home.join("..2026")).unwrap();
            fs::write(home.join("..2026").join(MANIFEST), "{}").unwrap();
            assert!(is_filled(volume.path()));
        }
    }
}
