//! What is made of the parts that have changed is the prefix at one index, whatever happens meanwhile:
//! held against the table as it was at that index.

use std::sync::Arc;

use seedcar::demo::kv::{Kv, Put};
use seedcar::model::names::Names;
use seedcar::model::parts::{Next, Search};
use seedcar::model::snapshot::{Entry, Snapshot};

use crate::ledger::{Tally, share};

const PREFIX: &str = "app/";

/// A table that is written to while it is searched.
struct World {
    kv: Kv,
    dice: fastrand::Rng,
    /// No deletions: what they leave no trace of after a restore is for the heartbeat.
    keeps: bool,
}

/// How a search ended.
#[derive(Debug, Default)]
struct Ends {
    part: u64,
    whole: u64,
    renamed: u64,
    questions: u64,
}

// === impl World ===

impl World {
    fn new(seed: u64) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        let mut world = Self { kv: Kv::new(), dice, keeps: seed.is_multiple_of(2) };
        for _ in 0..world.dice.usize(50..250) {
            world.put();
        }
        world
    }

    /// Names of which some begin with others, in one directory or below.
    fn key(&mut self) -> String {
        let names = ["a", "ab", "ab-c", "b1", "b2", "b10", "é", "ö", "zeta"];
        let dice = &mut self.dice;
        let top = format!("{}{}", names[dice.usize(..names.len())], dice.u8(..4));
        match dice.u8(..8) {
            0 => format!("{PREFIX}{top}"),
            1 => format!("{PREFIX}{top}/deep/k{}", dice.u8(..4)),
            _ => format!("{PREFIX}{top}/k{}", dice.u8(..20)),
        }
    }

    fn put(&mut self) {
        let value = vec![self.dice.u8(..); self.dice.usize(..16 * 1024)];
        let key = self.key();
        self.kv.put(key, Put { value, flags: 0 });
    }

    fn change(&mut self) {
        let key = self.key();
        match self.dice.u8(..10) {
            0 if !self.keeps => self.kv.delete(key),
            // All that begins with this.
            1 if !self.keeps => self.kv.delete_recurse(&key[..key.len() - 1]),
            2 => self.kv.put("elsewhere", Put::value(key)),
            3 => self.kv.put(key, Put { value: Vec::new(), flags: self.dice.u64(..3) }),
            _ => self.put(),
        }
    }

    fn shown(&self, prefix: &str) -> Arc<Snapshot> {
        let entry = |(key, e): (&[u8], &seedcar::demo::kv::Entry)| {
            let key = std::str::from_utf8(key).expect("ours are");
            Arc::new(Entry::new(key, &e.value, e.flags, e.create_index, e.modify_index))
        };
        let entries = self.kv.list(prefix).map(entry).collect();
        let snapshot = Snapshot::new(self.kv.prefix_index(prefix), entries);
        Arc::new(snapshot.expect("keys of a table are distinct"))
    }

    /// As the doorbell lists them.
    fn names(&self) -> u64 {
        let mut names = Names::default();
        let listed = self.kv.keys(PREFIX, b"/");
        listed.iter().for_each(|name| names.add(std::str::from_utf8(name).expect("ours are")));
        names.hash()
    }

    /// Changes something between two questions, now and then.
    fn meanwhile(&mut self) {
        if self.dice.u8(..20) == 0 {
            self.change();
        }
    }

    /// One change, or some, and a search for them.
    fn play(&mut self, ends: &mut Ends) {
        let earlier = self.kv.clone();
        self.change();
        let (held, names) = (self.shown(PREFIX), self.names());
        if self.keeps && self.dice.u8(..4) == 0 {
            self.kv.restore(&earlier);
        }
        for _ in 0..self.dice.usize(1..4) {
            self.change();
        }
        let reached = self.kv.prefix_index(PREFIX);
        let (expected, renamed) = (self.shown(PREFIX), self.names() != names);
        let mut search = Search::new(held, PREFIX, (reached, self.names()));
        let found = loop {
            self.meanwhile();
            match search.ask() {
                Next::Done(snapshot) => break Some(snapshot),
                Next::Whole => break None,
                Next::Index(prefix) => {
                    ends.questions += 1;
                    let found = self.kv.list(&prefix).next().is_some();
                    search.told(self.kv.prefix_index(&prefix), found);
                }
                Next::Read(prefix, _) => {
                    ends.questions += 1;
                    search.read(self.shown(&prefix));
                }
            }
        };
        match found {
            Some(found) => {
                assert_eq!(found.index(), reached);
                assert!(found == *expected, "not what there was at index {reached}");
                ends.part += 1;
            }
            // With other names it is never searched.
            None if renamed => ends.renamed += 1,
            None => ends.whole += 1,
        }
    }
}

#[test]
fn parts_come_to_what_the_whole_was() {
    let mut ends = Ends::default();
    let seeds = share(300, 20_000);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for _ in 0..10 {
            world.play(&mut ends);
        }
    }
    assert!(ends.part > ends.whole / 2, "{ends:?}");
    let mut tally = Tally::of("simulate::parts::parts_come_to_what_the_whole_was");
    tally.cases(ends.part);
    tally.finish();
}
