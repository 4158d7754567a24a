//! What an application of the stories says of the values that it sees, as it says it.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use super::cluster::{Namespace, PATIENCE};
use crate::wait::eventually;

/// The log of a container, followed to its end: also past the end of its pod.
pub struct Log {
    follower: Child,
    file: NamedTempFile,
    of: String,
}

/// Seconds since 1970, as the application tells them.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

// === impl Log ===

impl Log {
    /// Follows the log of a container that has been started.
    pub fn follow(namespace: &Namespace, pod: &str, container: &str) -> Self {
        let file = NamedTempFile::new().expect("a file for the log");
        let out = File::options().append(true).open(file.path()).expect("the file for the log");
        let mut kubectl = namespace.command(&["logs", "--follow", pod, "-c", container]);
        let follower = kubectl.stdout(out).stderr(Stdio::inherit()).spawn().expect("start kubectl");
        Self { follower, file, of: format!("{container} of {pod}") }
    }

    /// What it has said so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.file.path()).unwrap_or_default()
    }

    /// Waits until a line begins so; its rest.
    #[track_caller]
    pub fn until(&self, begin: &str) -> String {
        eventually(&format!("{} says {begin:?}", self.of), PATIENCE, || {
            let text = self.text();
            // The last line may not be whole yet.
            let whole = &text[..text.rfind('\n')?];
            Some(whole.lines().find_map(|line| line.strip_prefix(begin))?.to_owned())
        })
    }

    /// Waits until the application has seen this value; when that was.
    #[track_caller]
    pub fn until_saw(&self, value: &str) -> f64 {
        self.until(&format!("saw {value} at ")).parse().expect("a time")
    }

    /// Waits for the end of the log, which is the container's.
    #[track_caller]
    pub fn until_over(&mut self) -> String {
        eventually(&format!("{} is over", self.of), PATIENCE, || {
            self.follower.try_wait().expect("wait for kubectl")
        });
        self.text()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.follower.kill();
        let _ = self.follower.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.of, self.text());
        }
    }
}
