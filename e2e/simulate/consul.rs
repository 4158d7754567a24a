//! The simulated Consul: the embedded one's table behind a network that fails.
//!
//! It answers as Consul is documented to and was seen to: a blocking query returns above its index
//! or when its wait is over, a restore and a stopping server return every query at once with the old
//! index and body, a hidden prefix is a 404 with the usual index.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use seedcar::consul::deadline;
use seedcar::consul::error::{Error, Kind};
use seedcar::demo::kv::{Kv, Put};
use seedcar::model::follow::{Ask, Bell, Full};
use seedcar::model::guard::Candidate;
use seedcar::model::moment::Moment;
use seedcar::model::reading::{Mode, Reading};
use seedcar::model::snapshot::{Entry, Snapshot};

use super::pod::Address;
use super::servers::{Servers, Whose};

/// What all pods mirror.
pub const PREFIX: &str = "app/";
/// The key that freezes the fleet.
pub const FREEZE: &str = "ops/freeze";
/// How long a blocking query is held.
pub const WAIT: Duration = Duration::from_secs(30);
/// How long a server may take to reach the index it is asked for.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Consul's clock when the simulation begins, in seconds.
const EPOCH: i64 = 1_790_000_000;

/// One question on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Question {
    /// What a mechanism asks.
    Ask(Ask),
    /// The guard's: a consistent read, and may the token see all of it.
    Evidence,
    /// What the key says that speaks to the fleet.
    Word,
}

/// A usable answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The whole prefix.
    Full(Full, Box<Reading>),
    /// The doorbell's, with when it was asked and Consul's clock.
    Bell(Bell, (Moment, i64)),
    /// The guard's evidence; none where the token may not see all.
    Evidence(Option<Candidate>),
    /// Whether the fleet is frozen; nothing where the token may not see that.
    Word(Option<bool>),
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What is asked.
    pub question: Question,
    /// Who asks.
    pub from: Address,
    /// When it was sent.
    pub sent: Moment,
}

/// What the token may see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rights {
    /// Everything.
    #[default]
    All,
    /// Nothing: the prefix looks deleted.
    None,
    /// About so many in sixteen of the keys; the flag is whether Consul says so.
    Some(u8, bool),
    /// The token is unknown.
    Revoked,
}

/// What the server answers with instead of data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mood {
    /// It answers.
    #[default]
    Well,
    /// It has no leader: 500 after seven seconds.
    Leaderless,
    /// 429 with this `Retry-After`.
    Busy(Option<Duration>),
    /// 200 with nonsense, or a body cut short.
    Garbled,
    /// 400.
    Refusing,
}

/// What it says in `X-Consul-Index`, and when it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Lie {
    /// The truth.
    #[default]
    None,
    /// 0.
    Zero,
    /// A little less.
    Lower,
    /// Above what a float can hold.
    Huge,
    /// The truth, but at once: the asked index and the old body.
    Early,
    /// Any other server is behind by one state.
    Lagging,
}

/// The network to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Net {
    /// Fine.
    #[default]
    Up,
    /// Refused.
    Refused,
    /// Packets vanish, and with them what was under way.
    Silent,
}

/// What a delivery needs to know: when, to whom, what.
pub type Delivery = (Moment, Request, Result<Answer, Error>);

/// The server.
pub struct Consul {
    kv: Kv,
    /// What was shown since the table last changed.
    views: Vec<(Rights, Arc<Snapshot>)>,
    /// The network.
    pub net: Net,
    /// What it answers.
    pub mood: Mood,
    /// What it lies about.
    pub lie: Lie,
    /// What the token may see.
    pub rights: Rights,
    /// A constant value of this size, so that bodies are watched by the doorbell.
    pub ballast: usize,
    /// Held queries by when they are due, and in the order they came.
    blocked: BTreeMap<(Moment, u64), Waiting>,
    count: u64,
    last_due: Option<Moment>,
    entries: BTreeMap<Vec<u8>, Arc<Entry>>,
    before: Option<Arc<Snapshot>>,
    /// Requests that were answered, and the bytes of their bodies.
    pub served: (u64, u64),
    /// Which of its servers did that.
    pub servers: Servers,
}

/// A query that waits for an index above this one, under the rights that it began with.
#[derive(Clone, Copy)]
struct Waiting {
    request: Request,
    above: u64,
    rights: Rights,
}

// === impl Request ===

impl Request {
    fn ask(&self) -> Ask {
        match self.question {
            Question::Ask(ask) => ask,
            Question::Evidence | Question::Word => Ask::Read,
        }
    }

    fn block(&self) -> Option<(u64, Duration)> {
        match self.ask() {
            Ask::Block(index) | Ask::Ring(index) => Some((index, WAIT)),
            Ask::Fetch(index) | Ask::Narrow(index, _) => Some((index.saturating_sub(1), CATCH_UP)),
            _ => None,
        }
    }

    /// When the client gives up.
    pub fn gives_up(&self) -> Moment {
        self.sent + deadline(self.block())
    }
}

/// A client that heard nothing.
pub fn unheard(request: Request) -> Delivery {
    let error = Error::new(Kind::Timeout, "no answer".to_owned());
    (request.gives_up(), request, Err(error))
}

// === impl Consul ===

impl Consul {
    /// An empty one.
    pub fn new(ballast: usize) -> Self {
        let mut consul = Self {
            kv: Kv::new(),
            views: Vec::new(),
            net: Net::Up,
            mood: Mood::Well,
            lie: Lie::None,
            rights: Rights::All,
            ballast,
            blocked: BTreeMap::new(),
            count: 0,
            last_due: None,
            entries: BTreeMap::new(),
            before: None,
            served: (0, 0),
            servers: Servers::default(),
        };
        consul.fill();
        consul
    }

    fn fill(&mut self) {
        if self.ballast > 0 {
            let value = vec![b'.'; self.ballast];
            self.kv.put(format!("{PREFIX}ballast"), Put { value, flags: 0 });
        }
    }

    /// Its clock, in seconds.
    pub fn date(now: Moment) -> i64 {
        EPOCH + now.since(Moment::default()).as_secs() as i64
    }

    /// What these rights show now.
    pub fn view(&mut self, rights: Rights) -> Arc<Snapshot> {
        if let Some((_, view)) = self.views.iter().find(|(known, _)| *known == rights) {
            return view.clone();
        }
        let index = self.kv.prefix_index(PREFIX);
        let mut entries = Vec::new();
        for (key, entry) in self.kv.list(PREFIX).filter(|(key, _)| rights.show(key)) {
            let known = self.entries.get(key);
            let same =
                |k: &&Arc<Entry>| k.modify_index == entry.modify_index && *k.value == *entry.value;
            let made = known.filter(same).cloned().unwrap_or_else(|| {
                let name = String::from_utf8_lossy(key);
                let (created, modified) = (entry.create_index, entry.modify_index);
                Arc::new(Entry::new(&name, &entry.value, entry.flags, created, modified))
            });
            self.entries.insert(key.to_owned(), made.clone());
            entries.push(made);
        }
        let view = Arc::new(Snapshot::new(index, entries).expect("keys of a table are distinct"));
        self.views.push((rights, view.clone()));
        view
    }

    /// The table, to change it.
    pub fn kv(&mut self) -> &mut Kv {
        self.views.clear();
        &mut self.kv
    }

    /// The table.
    pub fn table(&self) -> &Kv {
        &self.kv
    }

    /// A request arrives.
    pub fn arrive(
        &mut self,
        request: Request,
        now: Moment,
        dice: &mut fastrand::Rng,
    ) -> Option<Delivery> {
        let failed = |after: Duration, error| Some((now + after, request, Err(error)));
        let quick = Duration::from_millis(1);
        match self.mood {
            _ if self.net == Net::Silent => return Some(unheard(request)),
            _ if self.net == Net::Refused => return failed(quick, error(Kind::Connect)),
            Mood::Leaderless => return failed(Duration::from_secs(7), error(Kind::Server)),
            Mood::Busy(retry_after) => {
                return failed(quick, Error { retry_after, ..error(Kind::RateLimited) });
            }
            Mood::Garbled => return failed(quick, error(Kind::Malformed)),
            Mood::Refusing => return failed(quick, error(Kind::BadRequest)),
            Mood::Well if self.rights == Rights::Revoked => {
                return failed(quick, error(Kind::Denied));
            }
            Mood::Well => {}
        }
        let index = self.kv.prefix_index(PREFIX);
        match request.block() {
            Some((above, wait)) if index <= above && !(self.lie == Lie::Early && dice.bool()) => {
                let until = now + wait + wait.mul_f64(dice.f64() / 16.0);
                self.count += 1;
                self.last_due = Some(until);
                let waiting = Waiting { request, above, rights: self.rights };
                self.blocked.insert((until, self.count), waiting);
                None
            }
            _ => Some(self.answer(request, now, self.rights, None)),
        }
    }

    /// When the query is due that was held last.
    pub fn last_due(&self) -> Option<Moment> {
        self.last_due
    }

    /// Answers what is due.
    pub fn end_waits(&mut self, now: Moment) -> Vec<Delivery> {
        let rest = self.blocked.split_off(&(now + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut self.blocked, rest);
        self.answer_all(due, now)
    }

    /// Answers what the last change wakes.
    pub fn wake(&mut self, now: Moment) -> Vec<Delivery> {
        let index = self.kv.prefix_index(PREFIX);
        let all = std::mem::take(&mut self.blocked).into_iter();
        let (woken, rest) = all.partition(|(_, waiting)| index > waiting.above);
        self.blocked = rest;
        self.answer_all(woken, now)
    }

    fn answer_all(&mut self, all: BTreeMap<(Moment, u64), Waiting>, now: Moment) -> Vec<Delivery> {
        let answer = |waiting: Waiting| self.answer(waiting.request, now, waiting.rights, None);
        in_order(all).map(answer).collect()
    }

    /// Returns every held query at once with the old index and body.
    pub fn abandon(&mut self, now: Moment) -> Vec<Delivery> {
        let all = std::mem::take(&mut self.blocked);
        let old = |waiting: Waiting| {
            self.answer(waiting.request, now, waiting.rights, Some(waiting.above))
        };
        in_order(all).map(old).collect()
    }

    /// Closes every connection; or says nothing on them ever again.
    pub fn drop_all(&mut self, now: Moment, silently: bool) -> Vec<Delivery> {
        let lost = |Waiting { request, .. }| {
            if silently { unheard(request) } else { (now, request, Err(error(Kind::Connect))) }
        };
        in_order(std::mem::take(&mut self.blocked)).map(lost).collect()
    }

    /// What another server still shows when it lags: the state before this one.
    pub fn remember(&mut self) {
        self.before = Some(self.view(Rights::All));
    }

    fn answer(
        &mut self,
        request: Request,
        now: Moment,
        rights: Rights,
        index: Option<u64>,
    ) -> Delivery {
        if request.question == Question::Word {
            let frozen = self.kv.get(FREEZE).1.is_some();
            let word = rights.show(FREEZE.as_bytes()).then_some(frozen);
            return (now, request, Ok(Answer::Word(word)));
        }
        let rights = if rights == Rights::Revoked { Rights::All } else { rights };
        let mut shown = self.view(rights);
        let ask = request.ask();
        let fetched = matches!(ask, Ask::Fetch(_) | Ask::Narrow(..));
        if let (true, Lie::Lagging, Some(before)) = (fetched, self.lie, &self.before) {
            shown = before.clone();
        }
        let index = index.unwrap_or_else(|| self.lie.about(shown.index()));
        let snapshot = if index == shown.index() {
            shown
        } else {
            Arc::new(Snapshot::new(index, shown.entries().to_vec()).expect("distinct"))
        };
        let elapsed = now.since(request.sent);
        let date = Self::date(now);
        let size = if snapshot.keys() == 0 {
            0
        } else {
            snapshot.bytes() * 4 / 3 + 100 * snapshot.keys() as u64
        };
        let names = self.names(rights);
        let answer = match ask {
            Ask::Peek | Ask::Ring(_) => {
                let found = snapshot.keys() > 0;
                let bell = Bell { index, elapsed, size: 91, names, found };
                Answer::Bell(bell, (request.sent, date))
            }
            _ => {
                let mode = match ask {
                    Ask::Fetch(wanted) | Ask::Narrow(wanted, _) if index < wanted => Mode::Stale,
                    _ if request.question == Question::Evidence => Mode::Consistent,
                    _ => Mode::Default,
                };
                let filtered = matches!(rights, Rights::Some(_, true));
                let full = Full { index, elapsed, size };
                let (sent, answered) = (request.sent, now);
                Answer::Full(
                    full,
                    Box::new(Reading {
                        snapshot,
                        sent,
                        answered,
                        date,
                        mode,
                        filtered,
                        hides: false,
                        joint: None,
                    }),
                )
            }
        };
        let answer = match (request.question, answer) {
            (Question::Evidence, Answer::Full(_, reading)) => {
                let may_read = self.rights != Rights::None;
                Answer::Evidence(may_read.then(|| Candidate::from(&*reading)))
            }
            (_, answer) => answer,
        };
        let size = if matches!(answer, Answer::Bell(..)) { 91 } else { size };
        self.served.0 += 1;
        self.served.1 += size;
        let whose = if fetched { Whose::Any } else { Whose::Leader };
        (self.servers.send(request.from.pod, whose, size, now), request, Ok(answer))
    }

    fn names(&self, rights: Rights) -> u64 {
        let mut hasher = DefaultHasher::new();
        for name in self.kv.keys(PREFIX, b"/").iter().filter(|name| rights.show(name)) {
            name.hash(&mut hasher);
        }
        hasher.finish()
    }
}

// === impl Rights ===

impl Rights {
    fn show(self, key: &[u8]) -> bool {
        match self {
            Self::All | Self::Revoked => true,
            Self::None => false,
            Self::Some(share, _) => {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                hasher.finish() % 16 < u64::from(share)
            }
        }
    }
}

// === impl Lie ===

impl Lie {
    fn about(self, index: u64) -> u64 {
        match self {
            Self::Zero => 0,
            Self::Lower => index.saturating_sub(7),
            Self::Huge => index + (1 << 54),
            Self::None | Self::Early | Self::Lagging => index,
        }
    }
}

/// In the order they came, whenever they are due.
fn in_order(blocked: BTreeMap<(Moment, u64), Waiting>) -> impl Iterator<Item = Waiting> {
    let mut all: Vec<_> =
        blocked.into_iter().map(|((_, order), waiting)| (order, waiting)).collect();
    all.sort_unstable_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, waiting)| waiting)
}

fn error(kind: Kind) -> Error {
    Error::new(kind, "simulated".to_owned())
}
