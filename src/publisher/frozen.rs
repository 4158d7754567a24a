//! A stop that operators put on changes: by a file of the volume for one, by a key for the fleet.

use std::path::Path;

use super::Publisher;
use super::volume::{self, Result};
use crate::model::freeze::{Freeze, Known};
use crate::model::moment::Moment;

/// The file in `.seedcar/` while this volume is frozen.
const FREEZE: &str = "freeze";

impl Publisher {
    /// Whether changes wait. The first fill is none: an application that starts is not kept from it.
    pub(super) fn is_frozen(&mut self, now: Moment) -> bool {
        let known = Known {
            here: self.volume.has_own(FREEZE),
            control: self.setup.control,
            said: self.board.read(|state| state.fleet_frozen),
            was: self.persist.was_frozen(),
            open: now.since(self.opened),
        };
        let Freeze { by: frozen, look_again } = known.judge();
        if self.board.read(|state| state.frozen != frozen) {
            self.board.update(|state| state.frozen = frozen);
            tracing::info!(event = "freeze", by = frozen, "changes are published, or not");
        }
        self.look_again = look_again.filter(|_| self.current.is_some());
        self.look_again.is_some()
    }
}

/// Freezes a volume that another process works on, or ends it.
pub fn freeze(volume: &Path, on: bool) -> Result<()> {
    if on { volume::mark_own(volume, FREEZE) } else { volume::unmark_own(volume, FREEZE) }
}
