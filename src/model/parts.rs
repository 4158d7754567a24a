//! Which part of a large prefix has changed, so that only that is read.
//!
//! Consul's index of a prefix is that of the last commit below it, deletions included, whose tombstones it
//! keeps for 15 minutes; and a prefix is one of bytes: `p/d3` is that of all from `p/d30/` to `p/d39/`. So a
//! few small questions find what has changed: first about groups of names at the top of the prefix, by what
//! they begin with, then about smaller groups in those that are new.
//!
//! # Why what comes of it is the prefix at one index
//!
//! Let H be the index of what is held, and R the one that the doorbell named, with the names at the top of
//! the prefix. They are compared with those of what is held: if they are the same, each key that there is at R
//! lies in exactly one of the groups. About each, the leader was asked after it had named R.
//!
//! * It says at most H: nothing in the group was written or deleted after H. It is as held.
//! * It says C, above H and at most R: nothing was written there after C. The group is read, and what is
//!   read has the index C: it is the group as it was from C until the leader was asked, and so at R.
//! * It says more than R, or there is nothing: the whole is read instead.
//!
//! All groups together are then the prefix at R. Two things could make an index lie, and are looked at:
//! a tombstone that is reaped, which what was confirmed a few minutes ago is too young for (the caller sees to
//! that); and a restored snapshot, after which a group may say less than the newest key that is held of it. A
//! restore while the watch is not blocked (between two questions, or in a pause) that undoes nothing but
//! deletions is left to the heartbeat, which reads everything.
//!
//! A key that is named as the prefix itself is in no group: such a prefix is read whole.

use std::ops::Range;
use std::sync::Arc;

use super::names::{Names, top_name};
use super::snapshot::{Entry, Snapshot};

/// Bodies of fewer bytes are read whole: the questions would take as long.
pub const WORTH: u64 = 1024 * 1024;
/// What has changed is read once it has no more bytes of values than these, or cannot be cut further.
const AT_ONCE: u64 = 256 * 1024;
/// With more questions than these the whole is read.
const MOST: usize = 48;
/// And with more to read than this part of it: many writes at once change something everywhere.
const MUCH: u64 = 4;

/// What to ask next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The index of this prefix, of the leader.
    Index(String),
    /// All below this prefix, from a server that has reached this index.
    Read(String, u64),
    /// Everything: what has changed cannot be told apart, or is too much.
    Whole,
    /// Nothing: this is the prefix as the doorbell named it.
    Done(Snapshot),
}

/// Names at the top of the prefix that lie beside each other, with all that is below them.
#[derive(Clone, Debug)]
struct Group {
    /// Where they are among the entries that are held.
    entries: Range<usize>,
    /// What they all begin with, and nothing else does.
    prefix: String,
}

/// The search for what is new.
pub struct Search {
    held: Arc<Snapshot>,
    /// How long the prefix is itself, in bytes.
    top: usize,
    reached: u64,
    waiting: Vec<Group>,
    /// The group that was asked about last.
    asked: Option<Group>,
    /// The groups that have changed, with their indexes, and what there is in them in bytes of values.
    changed: Vec<(Group, u64)>,
    to_read: u64,
    /// What was read, by the entries in whose place it is.
    news: Vec<(Range<usize>, Arc<Snapshot>)>,
    questions: usize,
    newest: u64,
    given_up: bool,
}

// === impl Search ===

impl Search {
    /// Begins. `held` has all keys below `prefix`, as they were at its index; the doorbell says which index
    /// the prefix has reached, and what hash the names at its top have.
    pub fn new(held: Arc<Snapshot>, prefix: &str, (reached, names): (u64, u64)) -> Self {
        let all = Group { entries: 0..held.keys(), prefix: prefix.to_owned() };
        let mut search = Self {
            top: prefix.len(),
            reached,
            waiting: Vec::new(),
            asked: None,
            changed: Vec::new(),
            to_read: 0,
            news: Vec::new(),
            questions: 0,
            newest: 0,
            given_up: reached <= held.index() || Names::of(&held, prefix.len()).hash() != names,
            held,
        };
        match search.split(&all) {
            Some(groups) => search.wait_for(groups),
            None => search.given_up = true,
        }
        search
    }

    /// What to do now.
    pub fn ask(&mut self) -> Next {
        if self.given_up {
            return Next::Whole;
        }
        if let Some(group) = self.waiting.pop() {
            let prefix = group.prefix.clone();
            self.asked = Some(group);
            self.questions += 1;
            return Next::Index(prefix);
        }
        match self.changed.last() {
            Some((group, index)) => Next::Read(group.prefix.clone(), *index),
            None => self.finish(),
        }
    }

    /// The leader has named the index of the group that was asked about, and whether it holds anything.
    pub fn told(&mut self, index: u64, found: bool) {
        let Some(group) = self.asked.take() else { return self.give_up() };
        let held = &self.held.entries()[group.entries.clone()];
        let newest_held = held.iter().map(|entry| entry.modify_index).max().unwrap_or(0);
        if !found || index > self.reached || index < newest_held {
            return self.give_up();
        }
        self.newest = self.newest.max(index);
        if index <= self.held.index() {
            return;
        }
        let bytes: u64 = held.iter().map(|entry| entry.value.len() as u64).sum();
        match self.split(&group).filter(|_| bytes > AT_ONCE) {
            Some(groups) => self.wait_for(groups),
            None => {
                self.to_read += bytes;
                self.changed.push((group, index));
            }
        }
        if self.to_read > self.held.bytes() / MUCH {
            self.give_up();
        }
    }

    /// What there is in the group was read.
    pub fn read(&mut self, found: Arc<Snapshot>) {
        match self.changed.pop() {
            Some((group, index)) if found.index() == index && found.keys() > 0 => {
                self.news.push((group.entries, found));
            }
            _ => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.given_up = true;
    }

    fn wait_for(&mut self, groups: Vec<Group>) {
        // The last is asked about first.
        self.waiting.extend(groups.into_iter().rev());
        if self.questions + self.waiting.len() > MOST {
            self.give_up();
        }
    }

    /// Cuts a group at the first character in which its names differ. None where that cannot be: there is
    /// one name, or one with which all others begin, or one whose bytes Consul's JSON has lost.
    fn split(&self, group: &Group) -> Option<Vec<Group>> {
        let entries = &self.held.entries()[group.entries.clone()];
        let name = |entry: &Arc<Entry>| top_name(&entry.key, self.top).len();
        let (first, last) = (entries.first()?, entries.last()?);
        let (first, last) = (&first.key[..name(first)], &last.key[..name(last)]);
        let same = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b);
        let ((cut, _), _) = same?;
        let mut groups: Vec<Group> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let end = cut + entry.key[cut..name(entry)].chars().next()?.len_utf8();
            let (prefix, at) = (&entry.key[..end], group.entries.start + at);
            match groups.last_mut() {
                Some(group) if group.prefix == prefix => group.entries.end = at + 1,
                _ => groups.push(Group { entries: at..at + 1, prefix: prefix.to_owned() }),
            }
        }
        let is_lost = |group: &Group| group.prefix.contains('\u{FFFD}');
        (groups.len() > 1 && !groups.iter().any(is_lost)).then_some(groups)
    }

    fn finish(&mut self) -> Next {
        if self.newest != self.reached {
            // What has changed is not to be seen.
            return Next::Whole;
        }
        self.news.sort_by_key(|(place, _)| place.start);
        let mut entries = Vec::with_capacity(self.held.keys());
        let mut at = 0;
        for (place, found) in &self.news {
            entries.extend_from_slice(&self.held.entries()[at..place.start]);
            entries.extend_from_slice(found.entries());
            at = place.end;
        }
        entries.extend_from_slice(&self.held.entries()[at..]);
        Snapshot::new(self.reached, entries).map_or(Next::Whole, Next::Done)
    }
}
