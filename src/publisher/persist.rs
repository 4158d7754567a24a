//! What survives a restart in `.seedcar/`, and `status.json` for applications.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Setup;
use super::manifest::Manifest;
use super::volume::{self, Volume};
use crate::board::{Board, Source};
use crate::model::confirmation::{Confirmation, Mechanism, Origin, Published};
use crate::model::guard::Hold;
use crate::model::moment::{Moment, rfc3339};
use crate::model::reading::Marks;
use crate::model::snapshot::Digest;
use crate::sys;
use std::os::fd::AsFd;
use std::time::Duration;

const STATE: &str = "state.json";
const STATUS: &str = "status.json";
const ACCEPT: &str = "accept-";

/// A confirmation moves every half minute; the file follows at this pace.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// `.seedcar/state.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    /// Moments below are of this boot.
    boot: String,
    /// By source name.
    holds: BTreeMap<String, Hold>,
    /// What the fleet's key said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fleet_frozen: Option<bool>,
}

/// `.seedcar/status.json`: the truth about the files, for applications that want to look. Times are
/// RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusFile {
    /// Version of this format; 1.
    pub schema: u32,
    /// The generation's directory name; below `live/`, or `.seedcar/` in the plain layout.
    pub generation: Option<String>,
    /// `consul` or `backup`: the least trustworthy origin of the sources; `none` before the first
    /// generation.
    pub origin: Origin,
    /// When the content last changed.
    pub published: Option<String>,
    /// When Consul last confirmed all of it, by Consul's clock. The age of the data is now minus this.
    pub confirmed: Option<String>,
    /// Why an answer of Consul is being refused, if one is: `empty`, `shrunken`, ...
    pub held: Option<String>,
    /// By source name.
    pub sources: BTreeMap<String, StatusSource>,
}

/// One source's part of [`StatusFile`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusSource {
    /// Where its content came from.
    pub origin: Origin,
    /// Consul's index of it.
    pub index: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its keys.
    pub keys: usize,
    /// When Consul last confirmed it, by Consul's clock.
    pub confirmed: Option<String>,
    /// Why an answer is refused, if one is.
    pub held: Option<String>,
    /// The digest to accept, if it can be accepted.
    pub held_digest: Option<Digest>,
}

/// The writer of both files: it writes what changed.
pub struct Persist {
    kept: Kept,
    status: Option<StatusFile>,
    status_at: Moment,
    boot: String,
}

// === impl Persist ===

impl Persist {
    /// Reads what an earlier process left and puts it on the board.
    pub fn load(volume: &Volume, setup: &Setup, board: &Board) -> Self {
        let boot = sys::boot_id();
        let kept: Kept = volume
            .read_own(STATE)
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let same_boot = kept.boot == boot;
        board.update(|state| {
            for (source, (name, _)) in state.sources.iter_mut().zip(&setup.sources) {
                source.hold = kept.holds.get(name).map(|hold| Hold {
                    // A clock of another boot says nothing: the probation starts again.
                    since: if same_boot { hold.since } else { sys::now() },
                    ..*hold
                });
            }
        });
        let persist = Self { kept, status: None, status_at: Moment::default(), boot };
        read_accepts(volume, setup, board);
        persist
    }

    /// Writes what changed. A failure is not worth more than a line: both files are advice.
    pub fn save(&mut self, volume: &Volume, setup: &Setup, board: &Board) {
        if board.read(|s| s.sources.iter().any(|s| s.hold.is_some())) {
            read_accepts(volume, setup, board);
        }
        let kept = self.kept_now(setup, board);
        if kept != self.kept && write(volume, STATE, &kept) {
            self.kept = kept;
        }
        let status = status_now(setup, board);
        let now = sys::now();
        let due = match &self.status {
            None => true,
            Some(old) if *old == status => false,
            Some(old) => {
                !differs_in_time_only(old, &status) || now.since(self.status_at) > STATUS_EVERY
            }
        };
        if due && write(volume, STATUS, &status) {
            (self.status, self.status_at) = (Some(status), now);
        }
    }

    /// What the fleet's key said last to an earlier process.
    pub fn was_frozen(&self) -> Option<bool> {
        self.kept.fleet_frozen
    }

    fn kept_now(&self, setup: &Setup, board: &Board) -> Kept {
        let holds = board.read(|state| {
            let named = setup.sources.iter().zip(&state.sources);
            named.filter_map(|((name, _), s)| Some((name.clone(), s.hold?))).collect()
        });
        let fleet_frozen = board.read(|s| s.fleet_frozen).or(self.kept.fleet_frozen);
        Kept { schema: 1, boot: self.boot.clone(), holds, fleet_frozen }
    }
}

/// Removes the acceptance of a digest that has now been published: it was for this once.
pub fn consume_accept(volume: &Volume, board: &Board, digest: &Digest) {
    if board.read(|state| state.sources.iter().all(|s| !s.accepts(digest))) {
        return;
    }
    let hex = digest.hex();
    for accepted in accept_files(volume).iter().filter(|a| hex.starts_with(&*a.digest)) {
        let _ = volume::unlink(&volume.own, &accepted.file);
    }
    let spent = |accepted: &mut Vec<String>| accepted.retain(|a| !hex.starts_with(a.as_str()));
    board.update(|state| state.sources.iter_mut().for_each(|s| spent(&mut s.accepted)));
}

/// Puts what a person accepted on the board and has the mechanisms ask again.
fn read_accepts(volume: &Volume, setup: &Setup, board: &Board) {
    let accepted = accept_files(volume);
    let news = board.update(|state| {
        let named = setup.sources.iter().zip(&mut state.sources);
        named
            .map(|((name, _), source)| add_accepts(source, name, &accepted))
            .fold(false, |a, b| a | b)
    });
    if news {
        setup.pokes.iter().for_each(|poke| poke.notify_one());
    }
}

/// Whether there was one that the source did not know of.
fn add_accepts(source: &mut Source, name: &str, accepted: &[Accepted]) -> bool {
    let mine = accepted.iter().filter(|a| a.source.as_ref().is_none_or(|only| only == name));
    let before = source.accepted.len();
    for accepted in mine {
        if !source.accepted.contains(&accepted.digest) {
            source.accepted.push(accepted.digest.clone());
        }
    }
    source.accepted.len() > before
}

/// Records a person's acceptance of the content with this digest (or these first digits of it, eight
/// at least), for one source or for whichever holds it: a file that the publisher finds, and removes
/// once the content is published.
pub fn accept(volume: &std::path::Path, digest: &str, source: Option<&str>) -> volume::Result<()> {
    let only = source.map(|name| format!("@{name}")).unwrap_or_default();
    let name = format!("{ACCEPT}{}{only}", digest.to_ascii_lowercase());
    volume::mark_own(volume, &name)
}

/// Whether this can be a digest or the first digits of one.
pub fn is_digest_prefix(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Puts a generation adopted at `now`, in this `boot`, on the board.
pub fn adopt(board: &Board, manifest: &Manifest, boot: &str, now: Moment) {
    board.update(|state| {
        for (source, part) in state.sources.iter_mut().zip(&manifest.sources) {
            let same_boot = part.boot == boot;
            let when = if same_boot { part.confirmed_boottime } else { Moment::default() };
            let date = part.confirmed.parse().map_or(0, |t: jiff::Timestamp| t.as_second());
            source.published = Some(Published {
                snapshot: None,
                digest: part.digest,
                index: part.index,
                keys: part.keys,
                bytes: part.bytes,
                origin: part.origin,
                stale: part.stale,
                marks: Marks { sent: when, answered: when, index: part.index },
                date,
                at: now,
            });
            source.confirmed = (part.origin == Origin::Consul && !part.stale && same_boot)
                .then_some(Confirmation { digest: part.digest, when, date, how: Mechanism::Seed });
        }
        state.generation = Some(manifest.generation.clone());
        (state.seeded, state.adopted) = (true, true);
        state.seeded_at.get_or_insert(now);
    });
}

fn write<T: Serialize>(volume: &Volume, name: &str, value: &T) -> bool {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data");
    text.push(b'\n');
    match volume.write_own(name, &text) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(event = "persist_failed", name, %error, "cannot write in .seedcar");
            false
        }
    }
}

/// A person's acceptance.
struct Accepted {
    file: String,
    /// The digest, or its first digits.
    digest: String,
    /// The only source it is for.
    source: Option<String>,
}

/// What a person has accepted. The names are ours, whatever else lies there is not.
fn accept_files(volume: &Volume) -> Vec<Accepted> {
    let entries = volume::entries(volume.own.as_fd()).unwrap_or_default();
    let accepted = entries.into_iter().filter_map(|(file, _)| {
        let rest = file.strip_prefix(ACCEPT)?;
        let (digest, source) = match rest.split_once('@') {
            Some((digest, source)) => (digest.to_owned(), Some(source.to_owned())),
            None => (rest.to_owned(), None),
        };
        is_digest_prefix(&digest).then_some(Accepted { file, digest, source })
    });
    accepted.collect()
}

/// The state of the board as `status.json` tells it.
fn status_now(setup: &Setup, board: &Board) -> StatusFile {
    board.read(|state| {
        let sources: BTreeMap<_, _> = setup
            .sources
            .iter()
            .zip(&state.sources)
            .filter_map(|((name, _), source)| Some((name.clone(), status_source(source)?)))
            .collect();
        let all = || state.sources.iter().map(|s| s.published.as_ref());
        let origin = if !all().all(|p| p.is_some()) {
            Origin::None
        } else if all().flatten().any(|p| p.origin == Origin::Backup) {
            Origin::Backup
        } else {
            Origin::Consul
        };
        let confirmed: Option<Vec<i64>> = state.sources.iter().map(confirmed_date).collect();
        let hold = state.sources.iter().find_map(|s| s.hold);
        StatusFile {
            schema: 1,
            generation: state.generation.clone(),
            origin,
            published: all()
                .flatten()
                .map(|p| p.at)
                .max()
                .map(|at| rfc3339(sys::wall_of(at) as i64)),
            confirmed: confirmed.and_then(|dates| dates.into_iter().min()).map(rfc3339),
            held: hold.map(|hold| hold.reason.word().to_owned()),
            sources,
        }
    })
}

fn status_source(source: &Source) -> Option<StatusSource> {
    let published = source.published.as_ref()?;
    Some(StatusSource {
        origin: published.origin,
        index: published.index,
        digest: published.digest,
        keys: published.keys,
        confirmed: confirmed_date(source).map(rfc3339),
        held: source.hold.map(|hold| hold.reason.word().to_owned()),
        held_digest: source.hold.and_then(|hold| hold.digest),
    })
}

/// Consul's clock when it last confirmed the content; for a backup, when it was confirmed then.
fn confirmed_date(source: &Source) -> Option<i64> {
    let published = source.published.as_ref()?;
    let confirmed = source.confirmed.filter(|c| c.digest == published.digest);
    confirmed.map(|c| c.date).or((published.origin == Origin::Backup).then_some(published.date))
}

fn differs_in_time_only(a: &StatusFile, b: &StatusFile) -> bool {
    let timeless = |s: &StatusFile| {
        let mut s = s.clone();
        (s.confirmed, s.published) = (None, None);
        s.sources.values_mut().for_each(|source| source.confirmed = None);
        s
    };
    timeless(a) == timeless(b)
}
