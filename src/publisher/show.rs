//! Having `live/` show the current generation, in either layout.

use std::os::fd::{AsFd, BorrowedFd};

use super::volume::{self, Error};
use super::{Publisher, generation, names, plain};
use crate::model::layout::Layout;

impl Publisher {
    /// Makes every file visible, then `..data`, by which others know that all are. What fails is taken
    /// back.
    pub(super) fn show_plain(
        &mut self,
        name: &str,
        generation: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let brought = plain::reconcile(&self.volume, generation);
        let shown = brought.and_then(|_| generation::swap(&self.volume, name));
        match shown {
            Ok(()) => self.named(None),
            Err(_) => self.take_back(name),
        }
        shown
    }

    /// Has `live/` as it was before the generation `name`.
    fn take_back(&mut self, name: &str) {
        let home = self.volume.home();
        // First what only the new one has: the old may need its room. What stays is swept.
        let _ = volume::remove_tree(home, name);
        let unadopted = self.unadopted.as_ref();
        let unadopted = unadopted.and_then(|name| volume::open_directory(home, &**name).ok());
        let current = self.current.as_ref().map(|current| &current.generation.fd);
        let old = current.or(unadopted.as_ref()).map(AsFd::as_fd);
        let cleared = plain::clear(&self.volume, old);
        let back = old.map_or(Ok(0), |old| plain::reconcile(&self.volume, old));
        // Without a current one there is nothing to try again: the next publish makes it all.
        if current.is_some() {
            self.named(cleared.and(back).err());
        }
    }

    /// Sets right what is not as the current generation has it. Returns how many files or directories
    /// were not; of links nobody counts.
    pub(super) fn show_current(&mut self) -> u64 {
        let Some(current) = &self.current else { return 0 };
        let shown = match self.volume.layout {
            Layout::Links => names::top(&current.generation).and_then(|names| {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                names::link(&self.volume, &names, &mut None).map(|()| 0)
            }),
            Layout::Plain => plain::reconcile(&self.volume, current.generation.fd.as_fd()),
        };
        let changed = *shown.as_ref().unwrap_or(&0);
        self.named(shown.err());
        changed
    }
}
