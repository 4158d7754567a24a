//! Whether changes wait because operators say so.

use std::time::Duration;

/// How long a change waits for the first word of the fleet's key. Where Consul does not answer there is no
/// change either, other than from a backup.
pub const FIRST_WORD: Duration = Duration::from_secs(2);
/// How often it is looked whether a change still has to wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// And for the first word.
const LOOK_EARLY: Duration = Duration::from_millis(50);

/// What is known of a stop.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The volume's own mark is there.
    pub here: bool,
    /// A key may speak to the fleet.
    pub control: bool,
    /// What it said last to this process.
    pub said: Option<bool>,
    /// What it said last to an earlier one.
    pub was: Option<bool>,
    /// How long the volume has been open.
    pub open: Duration,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Who keeps changes from being published: `volume` or `fleet`.
    pub by: Option<&'static str>,
    /// When to look again, where changes wait.
    pub look_again: Option<Duration>,
}

impl Known {
    /// Whether changes wait, and for whom.
    pub fn judge(&self) -> Freeze {
        let fleet = self.said.or(self.was).filter(|_| self.control);
        let by = match (self.here, fleet) {
            (true, _) => Some("volume"),
            (_, Some(true)) => Some("fleet"),
            _ => None,
        };
        let unknown = self.control && self.said.is_none() && self.open < FIRST_WORD;
        let look = if unknown { LOOK_EARLY } else { LOOK_AGAIN };
        Freeze { by, look_again: (by.is_some() || unknown).then_some(look) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Known =
        Known { here: false, control: true, said: None, was: None, open: FIRST_WORD };

    #[test]
    fn the_newest_word_counts_and_the_volumes_own_mark_beside_it() {
        let by = |known: Known| known.judge().by;
        assert_eq!(by(NOTHING), None);
        assert_eq!(by(Known { was: Some(true), ..NOTHING }), Some("fleet"));
        assert_eq!(by(Known { was: Some(true), said: Some(false), ..NOTHING }), None);
        assert_eq!(by(Known { said: Some(true), here: true, ..NOTHING }), Some("volume"));
        assert_eq!(by(Known { was: Some(true), control: false, ..NOTHING }), None);
    }

    #[test]
    fn the_first_word_is_waited_for_and_not_for_ever() {
        let early = Known { open: Duration::from_millis(1999), ..NOTHING };
        assert_eq!(early.judge(), Freeze { by: None, look_again: Some(LOOK_EARLY) });
        for known in
            [NOTHING, Known { said: Some(false), ..early }, Known { control: false, ..early }]
        {
            assert_eq!(known.judge(), Freeze { by: None, look_again: None }, "{known:?}");
        }
    }
}
