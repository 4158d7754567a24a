//! What `init` must do, by the design alone: no code of seedcar decides here.

use std::time::Duration;

use seedcar::model::confirmation::Origin;

use super::world::{FEW, KEYS};

/// How Consul fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consul {
    Up,
    Refused,
    Silent,
    NoLeader,
    /// The leader is silent, a follower answers stale questions.
    StaleOnly,
    Denied,
    BadRequest,
    Redirected,
    Busy,
    Empty,
    /// It has lost most of the keys.
    Shrunken,
    TooLarge,
    Garbage,
    NoIndex,
    CutBody,
}

/// What the backup volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backups {
    Off,
    None,
    /// There is no such directory.
    Missing,
    /// Whoever touches it waits.
    Hung,
    Valid,
    /// The newest is damaged, an older one is not.
    DamagedNewest,
    AllDamaged,
    /// Of another prefix.
    Foreign,
    /// Of a format that is not known yet.
    Future,
}

/// What the volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    Empty,
    /// An earlier init has filled it.
    Filled,
    /// The same, and somebody has changed a file.
    Tampered,
    Missing,
}

/// One combination.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub consul: Consul,
    pub backups: Backups,
    pub volume: Volume,
}

/// How init ends: filled with what this one had written, of this origin; or with an exit code and the
/// volume as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Filled(&'static str, Origin),
    Fails(i32),
}

// === impl Consul ===

impl Consul {
    pub const ALL: [Self; 15] = [
        Self::Up,
        Self::Refused,
        Self::Silent,
        Self::NoLeader,
        Self::StaleOnly,
        Self::Denied,
        Self::BadRequest,
        Self::Redirected,
        Self::Busy,
        Self::Empty,
        Self::Shrunken,
        Self::TooLarge,
        Self::Garbage,
        Self::NoIndex,
        Self::CutBody,
    ];
}

// === impl Backups ===

impl Backups {
    pub const ALL: [Self; 9] = [
        Self::Off,
        Self::None,
        Self::Missing,
        Self::Hung,
        Self::Valid,
        Self::DamagedNewest,
        Self::AllDamaged,
        Self::Foreign,
        Self::Future,
    ];

    /// Who wrote the newest valid one.
    fn newest(self) -> Option<&'static str> {
        match self {
            Self::Valid => Some("backup"),
            Self::DamagedNewest => Some("older"),
            _ => None,
        }
    }
}

// === impl Volume ===

impl Volume {
    pub const ALL: [Self; 4] = [Self::Empty, Self::Filled, Self::Tampered, Self::Missing];
}

// === impl Case ===

impl Case {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        Consul::ALL.into_iter().flat_map(|consul| {
            Backups::ALL.into_iter().flat_map(move |backups| {
                Volume::ALL.into_iter().map(move |volume| Self { consul, backups, volume })
            })
        })
    }

    /// How it must end.
    pub fn ends(&self) -> Ends {
        if self.volume == Volume::Missing {
            return Ends::Fails(73);
        }
        if self.consul_is_believed() {
            return Ends::Filled("consul", Origin::Consul);
        }
        if self.volume == Volume::Filled {
            return Ends::Filled("kept", Origin::Consul);
        }
        match (self.backups.newest(), self.consul, self.backups) {
            (Some(by), ..) => Ends::Filled(by, Origin::Backup),
            (None, Consul::Denied, _) => Ends::Fails(77),
            (None, _, Backups::AllDamaged | Backups::Future) => Ends::Fails(65),
            (None, ..) => Ends::Fails(69),
        }
    }

    /// An answer that lost most keys is measured against what is published, else against the newest
    /// valid backup; with neither, it is all there is.
    fn consul_is_believed(&self) -> bool {
        match self.consul {
            Consul::Up | Consul::StaleOnly => true,
            Consul::Shrunken => self.volume != Volume::Filled && self.backups.newest().is_none(),
            _ => false,
        }
    }

    /// The keys of a filled volume.
    pub fn keys(&self) -> usize {
        let few = self.consul == Consul::Shrunken && self.consul_is_believed();
        if few { FEW } else { KEYS }
    }

    /// Where Consul is to be waited for, its third of this is long; elsewhere nothing comes of waiting.
    pub fn timeout(&self) -> Duration {
        let answers = matches!(self.consul, Consul::Up | Consul::StaleOnly | Consul::Shrunken);
        Duration::from_secs(if answers { 12 } else { 2 })
    }
}

// === impl Ends ===

impl Ends {
    /// The exit code.
    pub fn code(self) -> i32 {
        match self {
            Self::Filled(..) => 0,
            Self::Fails(code) => code,
        }
    }
}
