//! Stopping: one switch that every part can wait for.

use std::sync::Arc;

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

/// Returns at SIGTERM or SIGINT. A second one kills the process, because the handler is gone then.
pub async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    Ok(())
}
