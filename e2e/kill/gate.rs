//! Attaching to a publisher before its first call: while another process has the lock, it waits.

use std::fs::{self, File};
use std::process::Child;

use rustix::fs::{FlockOperation, flock};

use super::strace::{Call, Inject, Point, Tracer, sleeps, thread};
use crate::rig::{Pod, SOON};
use crate::wait::eventually;

/// The volume's lock, held by the test.
pub struct Gate {
    _lock: File,
}

/// Whether the publisher tried the lock once more between the attaching and the opening of the gate:
/// then its calls are not numbered as in the recorded run.
pub fn is_shifted(calls: &[Call]) -> bool {
    calls.iter().any(|call| call.point.call == "flock" && call.line.contains("EAGAIN"))
}

/// What a child process did, once it has ended.
pub fn ended(mut child: Child) -> std::process::ExitStatus {
    child.wait().expect("wait for seedcar")
}

// === impl Gate ===

impl Gate {
    /// Takes the lock, which makes its directory where there is none yet.
    pub fn shut(pod: &Pod) -> Self {
        let own = pod.volume().join(".seedcar");
        fs::create_dir_all(&own).expect(".seedcar");
        let lock = File::options().create(true).truncate(false).write(true).open(own.join("lock"));
        let lock = lock.expect("the lock");
        eventually("nobody holds the lock", SOON, || {
            flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()
        });
        Self { _lock: lock }
    }

    /// Attaches to the process's publisher, which waits for the lock, and lets go of it.
    #[track_caller]
    pub fn open(self, pid: i32, inject: Option<(&Point, Inject)>) -> (i32, Tracer) {
        let tid = thread(pid, "publisher");
        eventually("the publisher waits for the lock", SOON, || sleeps(tid).then_some(()));
        (tid, Tracer::attach(tid, inject))
    }
}
