//! Job control: the application, not the wrapper, is what a terminal's keys speak to.
//!
//! The application leads a process group of its own, which the terminal on standard input is handed to.
//! What is typed then arrives once, and at the application alone.

use std::io::{IsTerminal, stdin};

use rustix::process::{Pid, getpgrp, getpid};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use crate::sys;

/// Whether the next application is to have the terminal: we have it, or `last` had it. A job in the
/// background must not take it from the shell.
pub fn is_ours(last: Option<i32>) -> bool {
    let holder = holder();
    holder.is_some() && (holder == Some(getpgrp()) || holder == last.and_then(Pid::from_raw))
}

/// Hands the terminal to the application's group, if it is ours to give.
pub fn give(application: i32) {
    if is_ours(None) {
        hand(Pid::from_raw(application));
    }
}

/// Takes it back from the application, which ended or stopped.
pub fn take_back(application: i32) {
    if holder().is_some() && holder() == Pid::from_raw(application) {
        hand(Some(getpgrp()));
    }
}

/// Stops this process as the terminal's key has stopped the application, so that the shell which waits
/// for us comes back. Returns when the shell continues us. Only where there is such a shell: as PID 1
/// nothing stops us.
pub fn stop_as_well(application: i32) {
    if holder() == Pid::from_raw(application) {
        take_back(application);
        stop();
    }
}

/// Stops this process.
pub fn stop() {
    let _ = sys::send_signal(getpid().as_raw_pid(), libc::SIGSTOP);
}

fn holder() -> Option<Pid> {
    stdin().is_terminal().then(|| tcgetpgrp(stdin()).ok()).flatten()
}

/// SIGTTOU, which this can cause, is held back with the others.
fn hand(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = tcsetpgrp(stdin(), group);
    }
}
