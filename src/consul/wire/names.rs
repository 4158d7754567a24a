//! The body of the doorbell's answer: names, of which only a hash is wanted.

use std::borrow::Cow;

use super::{Caps, Malformed, Place, Splitter, only_blanks};
use crate::model::names;

/// The names in a doorbell's body: looked at, and not kept. What is no list of names is no answer, or
/// a page that a proxy sends in Consul's place would confirm the content.
pub struct Names {
    splitter: Splitter,
    max: usize,
    names: names::Names,
}

// === impl Names ===

impl Names {
    /// Nothing has come yet.
    pub fn new(caps: Caps) -> Self {
        let splitter = Splitter::new(caps, b'"');
        Self { splitter, max: caps.max_keys, names: names::Names::default() }
    }

    /// Takes the next chunk of the body.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        self.splitter.count(chunk.len(), self.names.count())?;
        let used = self.splitter.feed(chunk, |text| {
            let name: Cow<'_, str> = serde_json::from_slice(text).map_err(|_| Malformed::Json)?;
            if self.names.count() >= self.max {
                return Err(Malformed::TooLarge(self.names.count()));
            }
            self.names.add(&name);
            Ok(())
        })?;
        only_blanks(&chunk[used..])
    }

    /// The body has ended: how many names it lists, and a hash of them.
    pub fn finish(self) -> Result<(usize, u64), Malformed> {
        if self.splitter.place != Place::After {
            return Err(Malformed::Truncated);
        }
        Ok((self.names.count(), self.names.hash()))
    }
}
