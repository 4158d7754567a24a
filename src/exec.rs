//! `seedcar exec`: starts the application once its configuration is there, and tells it of changes.
//!
//! It runs in the application's own container, with the application's user: no right is needed to signal
//! it, and nothing that happens here can reach the sidecar, which is another process in another
//! container. One thread decides. Others only hand it signals and changes, or take reports from it.
//!
//! A change is never lost. What the application is started with, or told of, is looked at *before* that;
//! whatever comes later is another change. After a crash of the wrapper the next one starts the
//! application anew, and it reads the newest.

mod child;
mod content;
mod events;
pub mod program;
mod report;
mod terminal;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

pub use child::name_of;
use child::{Child, News};
use content::Content;
use events::{Event, Events};
use report::Reporter;

use crate::exit::Exit;
use crate::model::application::{Action, Kind, Report, State};
use crate::model::debounce::{Pending, Rules};
use crate::model::moment::{Moment, rfc3339};
use crate::model::selection::Glob;
use crate::signal::{OnChange, Signal};
use crate::sys::{self, Mask, SignalQueue};

/// While there is no generation, it is looked for this often.
const LOOK_FOR_FIRST: Duration = Duration::from_millis(50);
/// A change is looked for this often, although inotify tells: sandboxes and some file systems have none,
/// and do not say so.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// After an action that failed.
const RETRY: Duration = Duration::from_secs(30);
/// After a look that found the application not ready for its signal.
const NOT_READY: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The volume that seedcar fills.
    pub volume: PathBuf,
    /// The application's program and arguments; at least the program.
    pub command: Vec<OsString>,
    /// What is done on a change.
    pub on_change: OnChange,
    /// Files that count, by path; all where there is none.
    pub only: Vec<Glob>,
    /// How long a change waits.
    pub debounce: Rules,
    /// The most of a random time that is added to it.
    pub splay: Duration,
    /// What asks the application to end.
    pub stop_signal: Signal,
    /// How long it may take to, before it is killed.
    pub stop_timeout: Duration,
    /// How long to wait for the first generation.
    pub timeout: Duration,
    /// Where to write down how it goes, and under which name.
    pub report: Option<(PathBuf, String)>,
}

/// Starts the application and stays with it until it ends.
///
/// Returns the exit code: the application's; 128 and the number of the signal that ended it, or us before
/// it was started; or one of [`Exit`] where it could not be started.
pub fn run(setup: Setup) -> u8 {
    let (signals, mask) = SignalQueue::hold();
    match Events::start(signals) {
        Ok(events) => Wrapper::new(setup, events, mask).run(),
        Err(error) => {
            tracing::error!(event = "exec_failed", %error, "cannot start a thread");
            Exit::Internal.code()
        }
    }
}

struct Wrapper {
    setup: Setup,
    content: Content,
    events: Events,
    reporter: Reporter,
    report: Report,
    child: Option<Child>,
    /// What the application is to block: what we did.
    mask: Mask,
    /// Of what the last generation held, as far as it counts. `None`: it could not be read.
    digest: Option<[u8; 32]>,
    looked: Moment,
    /// A change that the application has not been told of.
    pending: Option<Pending>,
    /// It has been said that the application is not ready for its signal.
    said_not_ready: bool,
    /// The application has been told to end, to be started anew; killed at that moment.
    restarting: Option<Moment>,
    /// Somebody else has told it to end: no more is done to it.
    ending: bool,
}

// === impl Wrapper ===

impl Wrapper {
    fn new(setup: Setup, events: Events, mask: Mask) -> Self {
        let place = setup.report.as_ref();
        let reporter = Reporter::start(place.map(|(to, name)| (to.as_path(), name.as_str())));
        let report =
            Report { schema: 1, on_change: setup.on_change.to_string(), ..Report::default() };
        Self {
            content: Content::new(&setup.volume, setup.only.clone()),
            setup,
            events,
            reporter,
            report,
            child: None,
            mask,
            digest: None,
            looked: Moment::default(),
            pending: None,
            said_not_ready: false,
            restarting: None,
            ending: false,
        }
    }

    fn run(mut self) -> u8 {
        self.tell();
        let started = self.wait_for_first().and_then(|()| {
            self.watch();
            self.start()
        });
        let code = match started {
            Ok(()) => self.stay(),
            Err(code) => code,
        };
        (self.report.state, self.report.pid) = (State::Ended, None);
        self.tell();
        self.reporter.finish();
        code
    }

    /// Nobody but us is there yet to be told of a signal.
    fn wait_for_first(&mut self) -> Result<(), u8> {
        let until = sys::now() + self.setup.timeout;
        while !self.content.is_filled() {
            if sys::now() >= until {
                let (volume, timeout) = (self.setup.volume.display(), self.setup.timeout);
                tracing::error!(event = "not_filled", %volume,
                    "the volume was not filled within {} s", timeout.as_secs_f64());
                return Err(Exit::NotMet.code());
            }
            match self.events.next(LOOK_FOR_FIRST) {
                Some(Event::Signal(libc::SIGTSTP)) => terminal::stop(),
                Some(Event::Signal(libc::SIGCHLD)) => while child::reap().is_some() {},
                Some(Event::Signal(signal)) if Signal(signal).ends() || signal == libc::SIGHUP => {
                    return Err(128 + signal as u8);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// From before the first look on, so that what comes after it is noticed.
    fn watch(&self) {
        if let Err(error) = self.events.watch(&self.content.homes()) {
            tracing::warn!(event = "cannot_watch", %error,
                "no inotify here; changes are looked for each {} s", LOOK_AGAIN.as_secs());
        }
    }

    /// Starts the application, which reads what is looked at here or newer.
    fn start(&mut self) -> Result<(), u8> {
        self.look_before();
        let (command, farewell) = (&self.setup.command, self.setup.stop_signal);
        let last = self.child.as_ref().map(Child::pid);
        let child = Child::start(command, self.mask, farewell, last)
            .map_err(|error| cannot(command, &error))?;
        let (pid, name) = (child.pid(), name_of(command));
        tracing::info!(event = "application_started", pid, "started {name}");
        self.child = Some(child);
        self.report.counts.started += 1;
        (self.report.state, self.report.pid) = (State::Running, Some(pid));
        self.told();
        Ok(())
    }

    /// Until the application has ended; its exit code.
    fn stay(&mut self) -> u8 {
        loop {
            match self.events.next(self.sleep()) {
                Some(Event::Signal(libc::SIGCHLD)) => {
                    if let Some(code) = self.reap() {
                        return code;
                    }
                }
                Some(Event::Signal(signal)) => self.forward(Signal(signal)),
                Some(Event::Changed) => self.look(),
                None => {}
            }
            self.turn();
        }
    }

    /// What is due by the clock.
    fn turn(&mut self) {
        let now = sys::now();
        if now >= self.looked + LOOK_AGAIN {
            self.look();
        }
        if self.restarting.is_some_and(|until| now >= until) {
            self.kill();
        }
        if self.due().is_some_and(|due| now >= due) {
            self.act();
        }
    }

    /// When a change is to be acted on, if one is.
    fn due(&self) -> Option<Moment> {
        let idle = self.restarting.is_none() && !self.ending;
        self.pending.filter(|_| idle).map(|pending| pending.due(&self.setup.debounce))
    }

    fn sleep(&self) -> Duration {
        let next = [self.due(), self.restarting].into_iter().flatten();
        let next = next.fold(self.looked + LOOK_AGAIN, Moment::min);
        next.since(sys::now())
    }

    // --- The application ---

    /// Takes the news of all processes; the exit code if it is time to end.
    fn reap(&mut self) -> Option<u8> {
        while let Some(news) = child::reap() {
            match news {
                News::Ended(pid, code) if self.is_ours(pid) => {
                    if let Some(code) = self.ended(code) {
                        return Some(code);
                    }
                }
                News::Stopped(pid, signal) if self.is_ours(pid) && signal.is_of_a_terminal() => {
                    terminal::stop_as_well(pid);
                }
                News::Ended(..) | News::Stopped(..) => {}
            }
        }
        None
    }

    fn is_ours(&self, pid: i32) -> bool {
        self.child.as_ref().is_some_and(|child| child.pid() == pid)
    }

    /// An application that ends by itself ends us, and Kubernetes starts the container again.
    fn ended(&mut self, code: u8) -> Option<u8> {
        if let Some(child) = &self.child {
            terminal::take_back(child.pid());
        }
        if self.restarting.is_none() || self.ending {
            tracing::info!(event = "application_ended", code, "the application has ended");
            return Some(code);
        }
        // What is left of its group would hold its ports and files.
        self.to_group(libc::SIGKILL);
        self.restarting = None;
        if let Err(code) = self.start() {
            return Some(code);
        }
        self.report.counts.restarted += 1;
        self.done(Kind::Restart, None);
        None
    }

    /// Passes a signal on. To be told to end is to be told of nothing more.
    fn forward(&mut self, signal: Signal) {
        let Some(child) = &self.child else { return };
        if signal.ends() || signal == self.setup.stop_signal {
            self.ending = true;
            tracing::info!(event = "application_told_to_end", signal = %signal, "passed on");
        }
        if signal.0 == libc::SIGCONT {
            terminal::give(child.pid());
            child.send_to_group(signal.0);
        } else if let Err(error) = child.send(signal) {
            tracing::warn!(event = "signal_failed", signal = %signal, %error, "cannot pass on");
        }
    }

    fn to_group(&self, signal: i32) {
        if let Some(child) = &self.child {
            child.send_to_group(signal);
        }
    }

    fn kill(&mut self) {
        let timeout = self.setup.stop_timeout.as_secs_f64();
        tracing::warn!(event = "application_killed", "it did not end within {timeout} s");
        self.to_group(libc::SIGKILL);
        // Once: what a SIGKILL does not end is in the kernel's hands.
        self.restarting = Some(Moment(u64::MAX));
    }

    // --- Changes ---

    /// Looks for a new generation, and whether anything in it counts.
    fn look(&mut self) {
        self.looked = sys::now();
        let generation = self.content.generation().ok();
        if generation.is_none() || generation == self.report.seen {
            return;
        }
        // While a change waits, all that follow go with it: they need not be read as they pass.
        let changed = if self.pending.is_some() && self.content.is_all() {
            self.report.seen = generation;
            true
        } else {
            let Some(changed) = self.has_changed() else { return };
            changed
        };
        if changed {
            self.changed();
        } else if self.pending.is_none() {
            self.report.told = self.report.seen.clone();
        }
        self.tell();
    }

    /// Reads the newest generation; `None` where it went meanwhile, so that the next look finds another.
    fn has_changed(&mut self) -> Option<bool> {
        match self.content.look() {
            Ok(seen) => {
                self.report.seen = Some(seen.generation);
                Some(self.digest.replace(seen.digest) != Some(seen.digest))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.unreadable(&error);
                Some(true)
            }
        }
    }

    /// What cannot be read may have changed.
    fn unreadable(&mut self, error: &std::io::Error) {
        tracing::warn!(event = "cannot_read", %error,
            "cannot read all files; each generation is taken for a change");
        self.report.seen = self.content.generation().ok();
        self.digest = None;
    }

    fn changed(&mut self) {
        let now = sys::now();
        match &mut self.pending {
            _ if self.setup.on_change == OnChange::Nothing => {
                self.report.told = self.report.seen.clone();
            }
            Some(pending) => pending.again(now),
            none => {
                let splay = self.setup.splay.mul_f64(fastrand::f64());
                *none = Some(Pending::new(now, splay));
                self.report.pending_since = Some(rfc3339(sys::wall_seconds()));
                tracing::info!(
                    event = "configuration_changed",
                    generation = self.report.seen,
                    "the configuration has changed"
                );
            }
        }
    }

    fn act(&mut self) {
        match self.setup.on_change {
            OnChange::Signal(signal) => self.signal(signal),
            OnChange::Restart => self.restart(),
            OnChange::Nothing => self.pending = None,
        }
    }

    fn signal(&mut self, signal: Signal) {
        let Some(child) = &self.child else { return };
        if signal.ends_by_default() && !child.expects(signal) {
            self.not_ready(signal);
            return;
        }
        self.look_before();
        let Some(child) = &self.child else { return };
        let sent = child.send(signal);
        match &sent {
            Ok(()) => {
                tracing::info!(event = "application_signalled", signal = %signal, "told of a change");
                self.report.counts.signalled += 1;
                self.told();
            }
            Err(error) => {
                tracing::error!(event = "signal_failed", signal = %signal, %error,
                    "cannot tell the application of a change; one that has become another user                      cannot be signalled");
                self.put_off(RETRY);
            }
        }
        self.done(Kind::Signal, sent.err());
    }

    /// A signal that a process does not handle ends it: an application that is still starting, or a shell
    /// that did not `exec` it.
    fn not_ready(&mut self, signal: Signal) {
        if !std::mem::replace(&mut self.said_not_ready, true) {
            tracing::warn!(event = "application_not_ready", signal = %signal,
                "the application does not handle this signal yet, which would end it; waiting until                  it does; a shell must exec the application");
        }
        self.put_off(NOT_READY);
    }

    fn put_off(&mut self, pause: Duration) {
        if let Some(pending) = &mut self.pending {
            pending.put_off(sys::now(), pause);
        }
    }

    /// Asks the application to end. The rest is done when it has.
    fn restart(&mut self) {
        let Some(child) = &self.child else { return };
        let signal = self.setup.stop_signal;
        tracing::info!(event = "application_restarting", signal = %signal, "to be started anew");
        let sent = child.send(signal);
        // A stopped process would not notice.
        let _ = child.send(Signal(libc::SIGCONT));
        if let Err(error) = sent {
            tracing::error!(event = "signal_failed", signal = %signal, %error, "cannot end it");
            self.put_off(RETRY);
            self.done(Kind::Restart, Some(error));
            return;
        }
        self.restarting = Some(sys::now() + self.setup.stop_timeout);
        self.report.state = State::Restarting;
        self.tell();
    }

    /// The look that an action is preceded by: what comes later is another change.
    fn look_before(&mut self) {
        match self.content.look() {
            Ok(seen) => {
                (self.report.seen, self.digest) = (Some(seen.generation), Some(seen.digest));
            }
            Err(error) => self.unreadable(&error),
        }
    }

    fn told(&mut self) {
        self.report.told = self.report.seen.clone();
        (self.pending, self.report.pending_since) = (None, None);
        self.said_not_ready = false;
        self.tell();
    }

    fn done(&mut self, action: Kind, error: Option<std::io::Error>) {
        self.report.counts.failed += u64::from(error.is_some());
        let error = error.map(|error| error.to_string());
        self.report.last = Some(Action { action, error, at: rfc3339(sys::wall_seconds()) });
        self.tell();
    }

    fn tell(&mut self) {
        self.report.updated = rfc3339(sys::wall_seconds());
        self.reporter.put(self.report.clone());
    }
}

/// As shells and env(1) have it: 127 where there is no such program, 126 where it is none.
fn cannot(command: &[OsString], error: &std::io::Error) -> u8 {
    let program = command.first().map(|p| p.to_string_lossy()).unwrap_or_default();
    tracing::error!(event = "exec_failed", %error, "cannot execute {program}");
    match error.kind() {
        ErrorKind::NotFound => Exit::NoProgram.code(),
        _ => Exit::CannotExecute.code(),
    }
}
