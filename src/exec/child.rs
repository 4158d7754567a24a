//! The application's process.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use rustix::process::{WaitOptions, WaitStatus, wait};

use super::terminal;
use crate::signal::Signal;
use crate::sys::{self, Mask};

/// The application, from its start until it is found to have ended. Nobody else reaps it: until then its
/// number is its own.
pub struct Child {
    pid: i32,
}

/// Something that became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It ended with this exit code; 128 and the number where a signal ended it, as shells have it.
    Ended(i32, u8),
    /// A signal stopped it.
    Stopped(i32, Signal),
}

// === impl Child ===

impl Child {
    /// Starts a program with its arguments, found as a shell finds it, with our environment and files,
    /// and with `mask` for its signals. `farewell` is what it gets if this process is killed: without us nobody would tell it of changes,
    /// and a second one started by the next of us would find its port taken. `last`: the one before it.
    ///
    /// # Errors
    ///
    /// Those of execvp(3).
    pub fn start(
        command: &[OsString],
        mask: Mask,
        farewell: Signal,
        last: Option<i32>,
    ) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        sys::lead_a_group(command.args(args), mask, farewell.0, terminal::is_ours(last));
        // Dropping the handle neither ends the process nor waits for it.
        Ok(Self { pid: command.spawn()?.id() as i32 })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// EPERM where it has become another user.
    pub fn send(&self, signal: Signal) -> io::Result<()> {
        sys::send_signal(self.pid, signal.0)
    }

    /// Sends a signal to all of its group. That all of them are gone is no error.
    pub fn send_to_group(&self, signal: i32) {
        let _ = sys::send_signal(-self.pid, signal);
    }

    /// Whether it handles or ignores a signal. True where `/proc` does not say.
    pub fn expects(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        status.map_or(true, |status| expects(&status, signal))
    }
}

fn expects(status: &str, signal: Signal) -> bool {
    let bit = 1_u64 << (signal.0 - 1).clamp(0, 63);
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    match (mask("SigCgt:"), mask("SigIgn:")) {
        (Some(caught), Some(ignored)) => (caught | ignored) & bit != 0,
        _ => true,
    }
}

/// The next process that ended or stopped; `None` when there is no more. As PID 1 of a container those
/// are also processes whose parents have ended.
pub fn reap() -> Option<News> {
    loop {
        let (pid, status) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED).ok().flatten()?;
        if let Some(news) = news(pid.as_raw_pid(), status) {
            return Some(news);
        }
    }
}

fn news(pid: i32, status: WaitStatus) -> Option<News> {
    if let Some(signal) = status.stopping_signal() {
        return Some(News::Stopped(pid, Signal(signal)));
    }
    let killed = status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or(killed)?;
    Some(News::Ended(pid, u8::try_from(code).unwrap_or(u8::MAX)))
}

/// The name that an application goes by where none is given: its program's, without the directory.
pub fn name_of(command: &[OsString]) -> String {
    let program = command.first().map(|program| program.as_bytes()).unwrap_or_default();
    let base = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(base).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_caught_or_ignored_is_expected() {
        let status = "Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000200\n";
        let of = |number| expects(status, Signal(number));
        assert!(of(libc::SIGHUP) && of(libc::SIGUSR1));
        assert!(!of(libc::SIGUSR2) && !of(libc::SIGQUIT));
        assert!(expects("Name:\tx\n", Signal(libc::SIGHUP)), "nothing is known");
    }

    #[test]
    fn an_application_is_called_as_its_program() {
        for (command, name) in [("/usr/sbin/nginx", "nginx"), ("app", "app"), ("/", ""), ("", "")] {
            assert_eq!(name_of(&[command.into()]), name);
        }
    }
}
