//! What wakes the wrapper: signals, and a change of the link that leads to the newest generation.

use std::io;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::sys::SignalQueue;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// This signal came.
    Signal(i32),
    /// The link has changed, perhaps more than once.
    Changed,
}

/// Where they come in.
pub struct Events {
    received: Receiver<Event>,
    sender: Sender<Event>,
    /// A change waits to be received, and more need not queue behind it.
    queued: Arc<AtomicBool>,
}

// === impl Events ===

impl Events {
    /// Takes the signals of this process from now on.
    ///
    /// # Errors
    ///
    /// There can be no thread.
    pub fn start(signals: SignalQueue) -> io::Result<Self> {
        let (sender, received) = mpsc::channel();
        let to = sender.clone();
        let take = move || while to.send(Event::Signal(signals.next())).is_ok() {};
        thread::Builder::new().name("signals".to_owned()).spawn(take)?;
        Ok(Self { received, sender, queued: Arc::default() })
    }

    /// Tells of changes of `..data` in these directories, too. They are asked for renames alone:
    /// applications open directories there, and none of that is to wake us.
    ///
    /// # Errors
    ///
    /// inotify is not there, or at its limits.
    pub fn watch(&self, homes: &[PathBuf]) -> io::Result<()> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let watched = homes.iter().map(|home| inotify::add_watch(&inotify, home, flags));
        // The application's container may have been given `live/` alone.
        let missing = |watched: &Result<_, Errno>| matches!(watched, Err(Errno::NOENT));
        let watched: Vec<_> = watched.collect();
        if watched.iter().all(missing) {
            return Err(Errno::NOENT.into());
        }
        watched.into_iter().filter(|w| !missing(w)).collect::<Result<Vec<_>, _>>()?;
        let (to, queued) = (self.sender.clone(), self.queued.clone());
        let take = move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(&inotify, &mut buffer);
            while let Ok(event) = reader.next() {
                let ours = event.file_name().is_none_or(|name| name == c"..data");
                if ours && !queued.swap(true, Ordering::AcqRel) && to.send(Event::Changed).is_err()
                {
                    return;
                }
            }
        };
        thread::Builder::new().name("inotify".to_owned()).spawn(take)?;
        Ok(())
    }

    /// The next one, or nothing within the time.
    pub fn next(&self, within: Duration) -> Option<Event> {
        let event = self.received.recv_timeout(within).ok()?;
        if event == Event::Changed {
            self.queued.store(false, Ordering::Release);
        }
        Some(event)
    }
}
