//! Stopping: one switch that every part can wait for.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The switch. Cheap to clone; once set it stays set.
#[derive(Clone)]
pub struct Drain(Arc<watch::Sender<bool>>);

// === impl Drain ===

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Drain {
    /// Says stop.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was said.
    pub fn started(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is said.
    pub async fn wait(&self) {
        // The sender lives in self, so that this cannot fail.
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }
}

/// SIGTERM and SIGINT, caught from the moment this is made. Before that the process is not
/// protected: as PID 1 of a container it would not even notice them.
pub struct Signals {
    term: Signal,
    int: Signal,
}

// === impl Signals ===

impl Signals {
    /// Starts catching. Needs a runtime; errors are those of sigaction(2).
    pub fn catch() -> std::io::Result<Self> {
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, int })
    }

    /// Returns once one has come.
    pub async fn come(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}
