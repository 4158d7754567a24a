//! The addresses of Consul: which of them is asked, and the connections to each.

use super::tls;
use crate::model::reading::Mode;

/// The connections, made anew when a certificate file changes.
pub(super) struct Http {
    /// One by address, with the URL under which it is asked.
    clients: Vec<(reqwest::Client, String)>,
    pub(super) stamp: Option<tls::Stamp>,
    /// The files that could not be used and that somebody was told of.
    refused: Option<tls::Stamp>,
    /// The address to ask, by whom a question is for.
    at: [usize; 2],
}

/// Whom a question is for.
#[derive(Clone, Copy)]
pub(super) enum To {
    /// The address that answered last, at first the first of the list.
    Usual,
    /// Any server: one that was drawn, until it does not answer. Pods of one configuration have one
    /// list, and the first of it would have to send the content to all of them.
    Any,
}

// === impl Http ===

impl Http {
    /// No connections yet.
    pub(super) fn new() -> Self {
        let at = [0, fastrand::u16(..).into()];
        Self { clients: Vec::new(), stamp: None, refused: None, at }
    }

    /// Whom to ask: the connections, and the URL. There must be one address at least.
    pub(super) fn chosen(&self, to: To) -> (reqwest::Client, String) {
        self.clients[self.at[to as usize] % self.clients.len()].clone()
    }

    /// The chosen address is of no use: the next one is chosen from now on.
    pub(super) fn leave(&mut self, to: To) {
        self.at[to as usize] = self.at[to as usize].wrapping_add(1);
    }

    /// Takes what was built from the files. Those that cannot be used, such as a certificate whose key
    /// is still the old one, leave in use what was built before: it works, and they are looked at again
    /// at the next request.
    pub(super) fn replace(
        &mut self,
        built: Result<Vec<(reqwest::Client, String)>, String>,
        stamp: tls::Stamp,
    ) -> Result<(), String> {
        match built {
            Ok(clients) => (self.clients, self.stamp, self.refused) = (clients, Some(stamp), None),
            Err(error) if self.clients.is_empty() => return Err(error),
            Err(error) if self.refused.as_ref() != Some(&stamp) => {
                tracing::warn!(
                    event = "certificates_refused",
                    error,
                    "the certificate files cannot be used: what was read before stays in use"
                );
                self.refused = Some(stamp);
            }
            Err(_) => {}
        }
        Ok(())
    }
}

// === impl To ===

impl To {
    /// A server's own word is good where no leader's is asked for.
    pub(super) fn of(mode: Mode) -> Self {
        if mode == Mode::Stale { Self::Any } else { Self::Usual }
    }
}
