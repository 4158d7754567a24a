//! The operating system: clocks, allocator settings, signals, names. The only file with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::model::moment::Moment;

/// A wall clock that is this far from where it was has been set; less is the time between two reads.
const CLOCK_SET: Duration = Duration::from_millis(100);

/// Now on the boot-time clock.
pub fn now() -> Moment {
    let t = clock_gettime(ClockId::Boottime);
    Moment(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

/// Now on the wall clock, seconds since 1970. Only for what people and other machines read.
pub fn wall_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// The wall-clock time of a moment, seconds since 1970 with a fraction. It moves when the wall clock
/// is set, and not otherwise: two clocks cannot be read at the same instant, and without a memory the
/// same moment would be another millisecond each time it is shown.
pub fn wall_of(moment: Moment) -> f64 {
    static OFFSET_NS: AtomicI64 = AtomicI64::new(i64::MIN);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let offset = wall.as_nanos() as i64 - now().0 as i64;
    let known = OFFSET_NS.load(Ordering::Relaxed);
    let is_set = known.abs_diff(offset) > CLOCK_SET.as_nanos() as u64;
    if is_set {
        OFFSET_NS.store(offset, Ordering::Relaxed);
    }
    (if is_set { offset } else { known } + moment.0 as i64) as f64 / 1e9
}

/// Identifies this boot of the machine: moments of another boot mean nothing here. Empty where the
/// kernel does not say.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The host's name, which in a pod is the pod's.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Keeps the heap small: one arena, and large blocks returned to the kernel when freed. glibc raises
/// its thresholds by itself after the first large block; setting them stops that. Call it before any
/// thread is started.
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only stores its two integers; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 * 1024);
    }
}

/// Returns freed heap to the kernel.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back what was needed once, at the start or by a full read: freed heap, and the pages of the program
/// itself, which the kernel maps sixteen at a time around each that is run. What is run again is mapped again,
/// from the page cache, at the price of a page fault.
pub fn give_back() {
    trim_heap();
    // SAFETY: it calls back once for each object, while it holds the loader's lock, with a pointer that is good
    // until then (dl_iterate_phdr(3)).
    unsafe { libc::dl_iterate_phdr(Some(unmap_clean), std::ptr::null_mut()) };
}

/// Of one object, those segments that are never written to: of the others a page that was written would be lost.
unsafe extern "C" fn unmap_clean(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // Not rustix's page_size(): it reads /proc, and panics where that is not mounted.
    // SAFETY: it only returns a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    // SAFETY: the loader says that there is an object, with so many headers.
    let (base, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, count))
    };
    let range = |header: &libc::Elf64_Phdr| header.p_vaddr..header.p_vaddr + header.p_memsz;
    // The loader writes there before it makes them read-only.
    let relocated = headers.iter().filter(|h| h.p_type == libc::PT_GNU_RELRO).map(range);
    let relocated: Vec<_> = relocated.collect();
    for header in headers.iter().filter(|h| h.p_type == libc::PT_LOAD) {
        let at = range(header);
        let is_relocated = relocated.iter().any(|r| r.start < at.end && at.start < r.end);
        if header.p_flags & libc::PF_W != 0 || is_relocated {
            continue;
        }
        let (start, end) = (at.start / page * page, at.end.div_ceil(page) * page);
        let start_at = (base + start) as *mut libc::c_void;
        // SAFETY: a segment of the program's file that nobody writes to: its pages come back with the same
        // content when they are touched.
        let _ = unsafe { libc::madvise(start_at, (end - start) as usize, libc::MADV_DONTNEED) };
    }
    0
}

/// No core dump may carry values or the token. A process that is not dumpable has no core, and its memory
/// and environment are closed to other processes of the same user, too. A program that it executes is
/// dumpable again (execve(2)).
pub fn forbid_core_dumps() {
    use rustix::process::DumpableBehavior;
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// The same by a limit, for those who look there. Alone it does not do: the kernel pays it no heed where
/// `core_pattern` is a pipe to a program (core(5)). Programs that we execute inherit it and cannot raise
/// it again.
pub fn limit_core_dumps() {
    use rustix::process::{Resource, Rlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Refused only where the limit is already lower.
    let _ = rustix::process::setrlimit(Resource::Core, none);
}

/// Resident and file-descriptor figures of this process, for `/metrics`.
pub struct Process {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// CPU time used in seconds, user and system.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The limit on them.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
}

impl Process {
    /// Reads the figures; zeroes where `/proc` does not say.
    pub fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            resident_bytes: field("VmRSS:").unwrap_or(0) * 1024,
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            open_fds: std::fs::read_dir("/proc/self/fd").map_or(0, |d| d.count() as u64),
            max_fds: fds.unwrap_or(0),
            threads: field("Threads:").unwrap_or(0),
        }
    }
}

/// Signals that a program causes itself. Blocked, they would end it in the same way, only without a word.
const OWN_FAULTS: [libc::c_int; 7] = [
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// What [`SignalQueue`] holds back: everything but faults of our own, and SIGPIPE, which a closed log
/// would cause.
fn held_back() -> libc::sigset_t {
    // SAFETY: the set is filled before it is read; each number is a signal's.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in OWN_FAULTS.iter().chain(&[libc::SIGPIPE]) {
            libc::sigdelset(&mut set, *signal);
        }
        set
    }
}

/// The signals of this process, one by one instead of by their effects. Blocked ones are not lost, and
/// not even those that we were told to ignore: sigwait(3).
pub struct SignalQueue(());

/// The signals that a process blocks.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

impl SignalQueue {
    /// Holds them back from now on, in this thread and those that it starts: call it before any is.
    /// Returns what was blocked before, too: what an application is to be started with.
    pub fn hold() -> (Self, Mask) {
        let set = held_back();
        // SAFETY: a set of zeros is one; it and the one above are whole and outlive the call. Where we
        // were told to ignore SIGCHLD, children would be gone without a word: wait(2).
        let before = unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut before = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut before);
            before
        };
        (Self(()), Mask(before))
    }

    /// The next one, for as long as that takes.
    pub fn next(&self) -> i32 {
        let set = held_back();
        let mut signal = 0;
        // SAFETY: both pointers are to values that outlive the call. It fails only for a bad set.
        unsafe { libc::sigwait(&set, &mut signal) };
        signal
    }
}

/// Sends a signal to a process, or to the group `-pid`.
///
/// # Errors
///
/// EPERM where the process has another user, ESRCH where it is gone: kill(2).
pub fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: a system call on two numbers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the program of `command` get `farewell` should this thread end before it.
pub fn end_with_us(command: &mut Command, farewell: i32) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        let signal = rustix::process::Signal::from_named_raw(farewell);
        rustix::process::set_parent_process_death_signal(signal)?;
        // It may have ended before the line above, and then nothing would tell.
        match rustix::process::getppid() == Some(parent) {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    };
    // SAFETY: only system calls that are safe between fork and exec, on values made before.
    unsafe { command.pre_exec(prepare) };
}

/// Has the program of `command` lead a process group of its own, block what `mask` does, get `farewell`
/// should this thread end before it, and hold the terminal on its standard input if `foreground`.
pub fn lead_a_group(command: &mut Command, mask: Mask, farewell: i32, foreground: bool) {
    end_with_us(command, farewell);
    let prepare = move || {
        // SAFETY: system calls on numbers and on a set that is whole. SIGTTOU, which a process in the
        // background causes by this, is among those that are still held back.
        unsafe {
            if foreground {
                libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &mask.0, std::ptr::null_mut());
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: only system calls that are safe between fork and exec, on values made before.
    unsafe { command.pre_exec(prepare) };
}

/// Files are made with the modes that the volume contract names, whatever umask we inherit.
pub fn set_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_time_whenever_it_is_shown() {
        let moment = now();
        let shown = wall_of(moment);
        assert!((0..100_000).all(|_| wall_of(moment) == shown));
        assert!((shown - wall_seconds() as f64).abs() < 2.0);
    }
}
