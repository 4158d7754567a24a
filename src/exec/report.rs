//! Writes down how the application fares, where the sidecar reads it.
//!
//! On a thread of its own, which takes the latest: a disk that hangs must not keep a signal from the
//! application.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::model::application::Report;
use crate::slot::Slots;

/// How long the last report may take when all is over.
const FAREWELL: Duration = Duration::from_millis(200);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_secs(3600);

/// Where reports go.
pub struct Reporter(Option<Arc<Slots<Report>>>);

// === impl Reporter ===

impl Reporter {
    /// Writes `NAME.json` in a directory, or nothing where there is none.
    pub fn start(place: Option<(&Path, &str)>) -> Self {
        let Some((directory, name)) = place else {
            return Self(None);
        };
        let slots = Arc::new(Slots::new(1));
        let (to, taken) = (Place::new(directory, name), slots.clone());
        let started =
            thread::Builder::new().name("report".to_owned()).spawn(move || keep(&to, &taken));
        Self(started.ok().map(|_| slots))
    }

    /// Hands over the latest.
    pub fn put(&self, report: Report) {
        if let Some(slots) = &self.0 {
            slots.put(0, report, |_, new| new);
        }
    }

    /// Waits until the last one is written; what hangs is left behind.
    pub fn finish(&self) {
        let Some(slots) = &self.0 else { return };
        let mut left = FAREWELL;
        while !slots.is_idle() && !left.is_zero() {
            thread::sleep(LOOK_AGAIN);
            left = left.saturating_sub(LOOK_AGAIN);
        }
    }
}

fn keep(place: &Place, slots: &Slots<Report>) {
    let mut warned = false;
    loop {
        for (_, report) in slots.take(IDLE).values {
            match place.write(&report) {
                Ok(()) => warned = false,
                Err(error) if !warned => {
                    warned = true;
                    tracing::warn!(event = "report_failed", path = %place.path.display(), %error,
                        "cannot write down how the application fares; nothing else changes");
                }
                Err(_) => {}
            }
        }
    }
}

struct Place {
    path: PathBuf,
    temporary: PathBuf,
}

impl Place {
    fn new(directory: &Path, name: &str) -> Self {
        let path = directory.join(format!("{name}.json"));
        Self { path, temporary: directory.join(format!(".{name}.json.new")) }
    }

    /// One rename makes it visible. It is not synced: after a power cut there is no application.
    fn write(&self, report: &Report) -> io::Result<()> {
        // Whatever has that name by now, such as a link that would lead elsewhere.
        let _ = fs::remove_file(&self.temporary);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(&self.temporary)?;
        // Whatever the umask: the sidecar is another user.
        file.set_permissions(Permissions::from_mode(0o644))?;
        serde_json::to_writer(&file, report)?;
        file.write_all(b"\n")?;
        fs::rename(&self.temporary, &self.path)
    }
}
