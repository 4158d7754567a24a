//! A stop that operators put on changes: by a file of the volume for one, by a key for the fleet.

use std::path::Path;
use std::time::Duration;

use super::Publisher;
use super::volume::{self, Result};
use crate::model::moment::Moment;

/// The file in `.seedcar/` while this volume is frozen.
const FREEZE: &str = "freeze";
/// How long a change waits for the first word of the fleet's key. Where Consul does not answer there is no
/// change either, other than from a backup.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// How often the file is looked for while a change waits for it to go.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// And for the first word.
const LOOK_EARLY: Duration = Duration::from_millis(50);

impl Publisher {
    /// Whether changes wait. The first fill is none: an application that starts is not kept from it.
    pub(super) fn is_frozen(&mut self, now: Moment) -> bool {
        let here = self.volume.has_own(FREEZE);
        let said = self.board.read(|state| state.fleet_frozen);
        let fleet = said.or_else(|| self.persist.was_frozen());
        let is_early = now.since(self.opened) < FIRST_WORD;
        let unknown = self.setup.control && said.is_none() && is_early;
        let frozen = match (here, fleet) {
            (true, _) => Some("volume"),
            (_, Some(true)) if self.setup.control => Some("fleet"),
            _ => None,
        };
        if self.board.read(|state| state.frozen != frozen) {
            self.board.update(|state| state.frozen = frozen);
            tracing::info!(event = "freeze", by = frozen, "changes are published, or not");
        }
        let waits = self.current.is_some() && (frozen.is_some() || unknown);
        self.look_again = waits.then_some(if unknown { LOOK_EARLY } else { LOOK_AGAIN });
        waits
    }
}

/// Freezes a volume that another process works on, or ends it.
pub fn freeze(volume: &Path, on: bool) -> Result<()> {
    if on { volume::mark_own(volume, FREEZE) } else { volume::unmark_own(volume, FREEZE) }
}
