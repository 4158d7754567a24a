//! Signals as people type them, and what is done to an application when its configuration changes.

use std::fmt;
use std::str::FromStr;

/// A signal by its number on this machine: 1 to 31, or a real-time one where it came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

/// Why a text is no signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// No such name or number.
    #[error("is no signal; write a name such as HUP, USR1 or TERM, or its number")]
    Unknown,
    /// It would only stop the process, until somebody continues it.
    #[error("stops a process until it is continued; write one that the application handles")]
    Stops,
}

/// What is done when the configuration has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// The application gets a signal.
    Signal(Signal),
    /// The application is stopped and started anew.
    Restart,
    /// Nothing: it notices by itself.
    Nothing,
}

/// The names of signal(7), without the standard ones that nobody sends, such as SIGSTKFLT.
const NAMES: [(&str, i32); 29] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("SYS", libc::SIGSYS),
];

// === impl Signal ===

impl Signal {
    /// Asks a process to end, as Kubernetes does.
    pub const TERM: Self = Self(libc::SIGTERM);

    /// A process that gets one of these stops, and the terminal's own keys send some of them.
    pub fn stops(self) -> bool {
        [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&self.0)
    }

    /// One of those that a terminal stops a process with.
    pub fn is_of_a_terminal(self) -> bool {
        self.stops() && self.0 != libc::SIGSTOP
    }

    /// Whoever sends one of these wants the process to end.
    pub fn ends(self) -> bool {
        [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL].contains(&self.0)
    }

    /// Ends a process that does not handle it, though nobody means that: signal(7), "Term" and "Core".
    pub fn ends_by_default(self) -> bool {
        let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
        !self.ends() && !self.stops() && !harmless.contains(&self.0)
    }
}

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let is = |(name, number): &&(&str, i32)| *name == bare || number.to_string() == bare;
        let (_, number) = NAMES.iter().find(is).ok_or(SignalError::Unknown)?;
        match Self(*number) {
            signal if signal.stops() => Err(SignalError::Stops),
            signal => Ok(signal),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

// === impl OnChange ===

impl FromStr for OnChange {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        match text {
            "restart" => Ok(Self::Restart),
            "none" => Ok(Self::Nothing),
            signal => signal.parse().map(Self::Signal),
        }
    }
}

impl fmt::Display for OnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Restart => f.write_str("restart"),
            Self::Nothing => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_each_spelling_and_written_in_one() {
        for text in ["HUP", "hup", "SIGHUP", "sighup", "1"] {
            let signal: Signal = text.parse().unwrap();
            assert_eq!((signal.0, signal.to_string().as_str()), (libc::SIGHUP, "HUP"));
        }
        for (name, number) in NAMES.iter().filter(|(_, number)| !Signal(*number).stops()) {
            assert_eq!(name.parse(), Ok(Signal(*number)));
            assert_eq!(Signal(*number).to_string(), *name);
        }
        assert_eq!(Signal(40).to_string(), "40");
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "SIG", "0", "-1", "99", "HUPP", "SIGSIGHUP", "1 ", "é"] {
            assert_eq!(text.parse::<Signal>(), Err(SignalError::Unknown), "{text:?}");
        }
        assert_eq!("STOP".parse::<Signal>(), Err(SignalError::Stops));
        assert_eq!("restart".parse(), Ok(OnChange::Restart));
        assert_eq!("none".parse(), Ok(OnChange::Nothing));
        assert_eq!("usr1".parse(), Ok(OnChange::Signal(Signal(libc::SIGUSR1))));
    }

    #[test]
    fn what_ends_by_default_is_told_from_what_is_meant_to_end() {
        let of = |name: &str| name.parse::<Signal>().unwrap();
        assert!(of("HUP").ends_by_default() && of("USR2").ends_by_default());
        assert!(!of("TERM").ends_by_default() && !of("WINCH").ends_by_default());
    }
}
