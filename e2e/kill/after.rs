//! What must hold after a kill, and after the normal run that follows it.

use std::collections::BTreeSet;

use seedcar::model::layout::Layout;

use super::scene::Scene;
use super::strace::{Call, Point};
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::within;

/// A kill that has happened.
pub struct Killed<'a> {
    pub scene: &'a Scene,
    pub point: &'a Point,
    /// The last call that was begun.
    pub last: String,
}

// === impl Killed ===

impl<'a> Killed<'a> {
    pub fn new(scene: &'a Scene, point: &'a Point, calls: &[Call]) -> Self {
        let last = calls.last().map_or_else(|| "nothing".to_owned(), |call| call.line.clone());
        Self { scene, point, last }
    }

    /// Readers see one of these contents.
    pub fn readers_see(&self, allowed: &[u64], tally: &mut Tally) {
        let seen = match self.scene.layout {
            Layout::Links => self.scene.seen(),
            // Not all of a plain tree is of one content; the generation is.
            Layout::Plain => self.scene.seen_plain().and_then(|()| self.scene.seen_inside()),
        };
        tally.check(seen.as_ref().is_ok_and(|n| allowed.contains(n)), || {
            format!("{self}: readers see {seen:?}, not one of {allowed:?}")
        });
        self.own_is_whole(tally);
    }

    /// The volume holds nothing or all of the first content. Its names may be missing: no application
    /// is started before `init` has ended.
    pub fn holds_nothing_or(&self, first: u64, tally: &mut Tally) {
        let seen = self.scene.current().map(|_| self.scene.seen_inside());
        let held = seen.as_ref().is_none_or(|seen| *seen == Ok(first));
        tally.check(held, || format!("{self}: there is {seen:?}, not {first}"));
        self.own_is_whole(tally);
    }

    fn own_is_whole(&self, tally: &mut Tally) {
        if let Err(torn) = self.scene.own_is_whole() {
            tally.violation(format!("{self}: {torn}"));
        }
    }

    /// A run without a word from Consul sets everything right: what stays to be done stands on the
    /// volume.
    pub fn is_over_without_consul(&self, tally: &mut Tally) {
        self.scene.consul.freeze();
        let sidecar = self.scene.pod.run(&[]);
        let adopted = within(SOON, || !sidecar.events("adopted").is_empty());
        tally.check(adopted, || format!("{self}: not adopted: {}", sidecar.log()));
        match self.scene.seen() {
            Ok(number) => self.is_over(number, &self.scene.generations(), tally),
            Err(why) => tally.violation(format!("{self}: without Consul {why}")),
        }
        sidecar.crash();
        self.scene.consul.thaw();
    }

    /// The normal run has published the content of this number; beside it there are at most these
    /// older generations.
    pub fn is_over(&self, number: u64, generations: &BTreeSet<String>, tally: &mut Tally) {
        let seen = self.scene.seen();
        tally.check(seen == Ok(number), || format!("{self}: then readers see {seen:?}"));
        let mut left = Vec::new();
        // A sidecar may be in the middle of writing its status.
        let tidy = within(SOON, || {
            left = self.scene.left_over(number, generations);
            left.is_empty()
        });
        tally.check(tidy, || format!("{self}: the next run left {left:?}"));
    }
}

impl std::fmt::Display for Killed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.point, self.last)
    }
}
