//! What a process takes, as the kernel counts it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::wait::Curtain;

/// Figures of `/proc/PID/status`, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All resident pages.
    pub resident: u64,
    /// Those that no file is behind: heap and stacks.
    pub anonymous: u64,
    /// Those of files: the program itself.
    pub file: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// Looks at a process; zeroes once it is gone.
pub fn of(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Memory {
        resident: field("VmRSS:").unwrap_or(0),
        anonymous: field("RssAnon:").unwrap_or(0),
        file: field("RssFile:").unwrap_or(0),
        peak: field("VmHWM:").unwrap_or(0),
    }
}

/// The most anonymous memory while something happens, in KiB, and what came of that. The kernel keeps no peak of
/// it alone, and pages of the program come and go.
pub fn most_of<T>(pid: u32, happen: impl FnOnce() -> T) -> (u64, T) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let curtain = Curtain(stop);
        let most = scope.spawn(move || {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(of(pid).anonymous);
                // The pace of the looks, on a core that others use; nothing is waited for.
                std::thread::sleep(Duration::from_micros(500));
            }
            most
        });
        let came = happen();
        drop(curtain);
        (most.join().expect("it looks"), came)
    })
}

/// How many descriptors a process has.
pub fn descriptors(pid: u32) -> usize {
    open_descriptors(pid).len()
}

/// Their numbers.
pub fn open_descriptors(pid: u32) -> BTreeSet<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
