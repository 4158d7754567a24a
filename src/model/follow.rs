//! What the watch asks next: its whole state, without a socket.
//!
//! A plain read gives an index; a blocking query at that index tells of the next change. Where the
//! prefix is large the query blocks on the *doorbell* (`?keys&separator=/`: the same index in about
//! a hundred bytes) and the content is fetched once it rings. Whatever looks odd (an index that went
//! back, an answer that came too early, names that differ) ends in one plain read, which is always
//! right.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::cursor::{Turn, turn, usable};
use super::moment::Moment;
use super::pace::{Backoff, Bucket, Trouble};
use super::parts;

/// Bodies above this many bytes are watched by the doorbell: below it a second round trip costs more
/// than sending the body again at each time-out.
pub const DOORBELL_ABOVE: u64 = 64 * 1024;

/// After an outage the full reads of large prefixes are spread over this time, so that a fleet
/// coming back does not stampede.
const SPREAD: Duration = Duration::from_secs(5);

/// The longest pause before an answer that cannot be believed is checked by a plain read.
const DISTRUST: Duration = Duration::from_secs(5);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing, for this long.
    Pause(Duration),
    /// Read everything, default consistency, no index.
    Read,
    /// Block on everything at this index.
    Block(u64),
    /// Ask the doorbell without index.
    Peek,
    /// Block on the doorbell at this index.
    Ring(u64),
    /// Read everything from whichever server has reached this index.
    Fetch(u64),
    /// The same, and only what has changed of it, if that can be told; the names at its top have this hash.
    Narrow(u64, u64),
}

/// An answer that carries the whole prefix.
#[derive(Clone, Copy, Debug)]
pub struct Full {
    /// Its index.
    pub index: u64,
    /// From request to answer.
    pub elapsed: Duration,
    /// Body bytes on the wire.
    pub size: u64,
}

/// An answer of the doorbell.
#[derive(Clone, Copy, Debug)]
pub struct Bell {
    /// Its index.
    pub index: u64,
    /// From request to answer.
    pub elapsed: Duration,
    /// Body bytes on the wire.
    pub size: u64,
    /// A hash of the body: the names at the top of the prefix.
    pub names: u64,
    /// False for 404: no keys, or none that the token may see.
    pub found: bool,
}

/// What to do with an answer's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Offer it.
    Offer,
    /// There is none, but it confirms what was read last.
    Confirm,
    /// There is none.
    Discard,
    /// It may be old: its index went back, or came too early.
    Distrust,
}

/// What became of an offer, as far as the rhythm is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// New content.
    Changed,
    /// The content was known.
    Same,
    /// Refused; worth asking again at this moment, if any.
    Held(Option<Moment>),
}

/// The watch of one source.
#[derive(Debug)]
pub struct Follow {
    wait: Duration,
    state: State,
    pause: Duration,
    cursor: u64,
    body: u64,
    bell: Option<(u64, u64)>,
    recheck: Option<Moment>,
    /// A read of everything is owed: somebody asked for one, or names differ. The doorbell's word that
    /// nothing has changed does not stand in for it.
    owed: bool,
    /// How many blocking answers in a row could not be believed.
    odd: u32,
    /// The doorbell said after an outage that the index went back, and is asked once more.
    doubted: bool,
    backoff: Backoff,
    changed: Bucket,
    unchanged: Bucket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Read,
    Block,
    /// Learn the doorbell's size and names after a read.
    Learn,
    /// Ask the cheap question after an outage.
    Recover,
    Ring,
    Fetch(u64),
    Narrow(u64, u64),
}

// === impl Follow ===

impl Follow {
    /// A watch that knows nothing and starts with a plain read. `wait` is how long Consul is asked to
    /// hold a blocking query.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait,
            state: State::Read,
            pause: Duration::ZERO,
            cursor: 1,
            body: 0,
            bell: None,
            recheck: None,
            owed: false,
            odd: 0,
            doubted: false,
            backoff: Backoff::default(),
            changed: Bucket::new(2, Duration::from_millis(100)),
            unchanged: Bucket::new(2, Duration::from_secs(1)),
        }
    }

    /// A watch that adopts content read a moment ago by another process: it asks the doorbell first
    /// and reads only if the index has moved. `bytes` is the content's size.
    pub fn adopt(wait: Duration, index: u64, bytes: u64) -> Self {
        let state = if bytes > DOORBELL_ABOVE { State::Learn } else { State::Read };
        Self { state, cursor: usable(index), body: bytes, ..Self::new(wait) }
    }

    /// The next thing to do.
    pub fn next(&mut self, now: Moment) -> Ask {
        let pause = std::mem::take(&mut self.pause);
        if !pause.is_zero() {
            return Ask::Pause(pause);
        }
        if self.recheck.take_if(|at| now >= *at).is_some() {
            self.reread();
        }
        match self.state {
            State::Read => Ask::Read,
            State::Block => Ask::Block(self.cursor),
            State::Learn | State::Recover => Ask::Peek,
            State::Ring => Ask::Ring(self.cursor),
            State::Fetch(index) => Ask::Fetch(index),
            State::Narrow(index, names) => Ask::Narrow(index, names),
        }
    }

    /// A whole body came.
    pub fn full(&mut self, answer: Full, dice: f64) -> Use {
        let what = self.weigh(answer, dice);
        // What is offered has not gone well yet: more may be asked about it, and fail.
        if what != Use::Offer {
            self.backoff.reset();
        }
        what
    }

    fn weigh(&mut self, answer: Full, dice: f64) -> Use {
        match self.state {
            State::Block => match turn(self.cursor, answer.index, answer.elapsed, self.wait) {
                Turn::News | Turn::Quiet => {
                    self.odd = 0;
                    self.adopt_full(answer)
                }
                odd => self.distrust(odd, dice),
            },
            State::Fetch(index) | State::Narrow(index, _) if answer.index < index => {
                self.distrust(Turn::Back, dice)
            }
            _ => self.adopt_full(answer),
        }
    }

    /// The doorbell answered.
    pub fn bell(&mut self, answer: Bell, now: Moment, dice: f64) -> Use {
        self.backoff.reset();
        // Only names that were learned with the content speak for it. Those of an answer that was not
        // believed must not be there to compare the next one with.
        let names_differ = self.bell.is_some_and(|(names, _)| names != answer.names);
        let known = self.bell.is_some();
        match self.state {
            State::Ring => match turn(self.cursor, answer.index, answer.elapsed, self.wait) {
                Turn::News if answer.found => {
                    self.odd = 0;
                    self.fetch(answer);
                }
                Turn::Quiet if answer.found && !names_differ => {
                    self.odd = 0;
                    return Use::Confirm;
                }
                Turn::Quiet | Turn::News => self.reread(),
                odd => return self.distrust(odd, dice),
            },
            State::Recover if answer.index == self.cursor && known && !self.owed => {
                if answer.found && !names_differ {
                    self.doubted = false;
                    self.to(State::Ring);
                    return Use::Confirm;
                }
                self.read_spread(dice);
            }
            State::Recover if answer.found && answer.index > self.cursor && !self.owed => {
                // As when it rings: whichever server has it may carry it. Read plainly, a whole fleet
                // would have it from the leader.
                self.to(State::Fetch(answer.index));
                self.pause = SPREAD.mul_f64(dice);
            }
            // A server that was started again leads before it has read all of its log, and a fleet that
            // waited for a leader is answered in that moment. That is no reason to read everything.
            State::Recover if answer.index < self.cursor && !self.owed && !self.doubted => {
                self.doubted = true;
                self.pause = SPREAD.mul_f64(dice);
            }
            State::Recover => self.read_spread(dice),
            // The whole was there a moment ago.
            _ if !answer.found => return self.distrust(Turn::Back, dice),
            _ => return self.learned(answer, now, dice),
        }
        Use::Discard
    }

    /// What became of the content that was offered.
    pub fn offered(&mut self, what: Offered, now: Moment) {
        self.backoff.reset();
        self.recheck = None;
        match what {
            Offered::Changed => self.pause = self.changed.take(now),
            Offered::Same => {}
            Offered::Held(recheck) => {
                self.recheck = recheck.map(|at| at.max(now + self.wait));
                self.pause = self.unchanged.take(now);
            }
        }
    }

    /// A wake that brought nothing new: locks move the index, hidden keys do, and on a missing prefix
    /// every new key of the store does.
    pub fn idle_wake(&mut self, now: Moment) {
        self.pause = self.pause.max(self.unchanged.take(now));
    }

    /// The question failed.
    pub fn failed(&mut self, trouble: Trouble, dice: f64) {
        self.pause = self.backoff.fail(trouble, dice);
        let by_bell = self.bell.is_some() && self.body > DOORBELL_ABOVE;
        self.to(if by_bell { State::Recover } else { State::Read });
    }

    /// Reads everything next, without a pause; also where the next question fails first.
    pub fn reread(&mut self) {
        self.pause = Duration::ZERO;
        self.owed = true;
        self.to(State::Read);
    }

    /// The pause that comes before the next question.
    pub fn pending_pause(&self) -> Duration {
        self.pause
    }

    fn to(&mut self, state: State) {
        self.state = state;
    }

    fn adopt_full(&mut self, answer: Full) -> Use {
        self.cursor = usable(answer.index);
        self.body = answer.size;
        (self.owed, self.doubted) = (false, false);
        self.to(match self.bell {
            _ if answer.size <= DOORBELL_ABOVE => State::Block,
            None => State::Learn,
            Some((_, size)) if self.bell_is_dear(size) => State::Block,
            // The names may have changed with the content: they are learned anew.
            Some(_) => State::Learn,
        });
        Use::Offer
    }

    /// A flat prefix lists all its names: then the doorbell may cost as much as the content.
    fn bell_is_dear(&self, size: u64) -> bool {
        size > self.body / 2
    }

    /// Of a very large body what has changed is worth a search.
    fn fetch(&mut self, answer: Bell) {
        let Bell { index, names, .. } = answer;
        let narrow = self.body >= parts::WORTH;
        self.to(if narrow { State::Narrow(index, names) } else { State::Fetch(index) });
    }

    fn learned(&mut self, answer: Bell, now: Moment, dice: f64) -> Use {
        match answer.index.cmp(&self.cursor) {
            // Also an index of 0, which is never the cursor: it says nothing of the content's age.
            std::cmp::Ordering::Less => return self.distrust(Turn::Back, dice),
            std::cmp::Ordering::Greater => {
                self.fetch(answer);
                self.pause = self.changed.take(now);
            }
            // It agrees with the content; whether its index can be blocked on is yet to be seen.
            std::cmp::Ordering::Equal => {
                let before = self.bell.replace((answer.names, answer.size));
                if before.is_some_and(|(_, size)| answer.size < size) {
                    // Names went while the content was read: with the content, or because the token
                    // was narrowed between the two answers, at the same index.
                    self.reread();
                } else if self.bell_is_dear(answer.size) {
                    self.to(State::Block);
                } else {
                    self.to(State::Ring);
                    return Use::Confirm;
                }
            }
        }
        Use::Discard
    }

    /// The answer is not to be believed: after a short random pause, read plainly. The pause keeps a
    /// stopping server, which returns every query at once, from being asked by all in the same
    /// instant. It doubles while every answer is odd: a proxy that spoils the index would be asked for
    /// everything several times a second, for ever.
    fn distrust(&mut self, odd: Turn, dice: f64) -> Use {
        self.pause = Duration::ZERO;
        self.to(State::Read);
        if odd == Turn::Early || odd == Turn::Back {
            let pause = Duration::from_millis(50) + Duration::from_millis(450).mul_f64(dice);
            self.pause = DISTRUST.min(pause * (1 << self.odd.min(16)));
            self.odd += 1;
        }
        Use::Distrust
    }

    fn read_spread(&mut self, dice: f64) {
        self.reread();
        self.pause = SPREAD.mul_f64(dice);
    }
}
