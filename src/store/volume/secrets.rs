//! Secrets as a volume. A file is packed with gzip and lies under its own name among the keys of a
//! Secret; one that finds no room in any of them lies in parts, `NAME.1of3` and so on, and is there
//! once all its parts are.
//!
//! Several files share a Secret and every change of one is atomic, so that a file of one part is
//! there or not. Replicas write without locks: a new file goes in only if its Secret is still as it
//! was when we looked; else we look again, and mostly find that another has written what we would
//! have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{BUFFER, Content, Opened};
use crate::kubernetes::secrets::{Change, Secret};
use crate::kubernetes::{self, Api, Kind};
use crate::store::{Damage, Error, name};

/// What is put into one Secret at most, in bytes. Kubernetes takes 1 MiB of values
/// (`MaxSecretSize`); names are counted here too.
const ROOM: usize = 1_000_000;

/// No byte of deflate stands for more than this many.
const DENSEST: u64 = 1032;

/// Named Secrets, one by one. Kubernetes has them, and the store's tests have them in memory.
pub(in crate::store) trait Shelf: Send {
    /// How many there are.
    fn count(&self) -> usize;
    /// The version of one.
    fn version(&self, at: usize) -> Result<String, kubernetes::Error>;
    /// One, read from where it is stored.
    fn secret(&self, at: usize) -> Result<Secret, kubernetes::Error>;
    /// Changes one.
    fn change(&self, at: usize, change: &Change) -> Result<(), kubernetes::Error>;
}

/// Secrets of this pod's namespace.
pub(in crate::store) struct InCluster {
    api: Api,
    names: Vec<String>,
}

/// Secrets as a volume.
pub(in crate::store) struct Secrets {
    state: Mutex<State>,
}

struct State {
    shelf: Box<dyn Shelf>,
    read: Vec<Slot>,
    /// Why a Secret took no change: it is read, and as good as full.
    fixed: BTreeMap<usize, kubernetes::Error>,
    /// Files that have no lasting name yet, packed.
    held: BTreeMap<String, Vec<u8>>,
}

/// What is known of one Secret.
#[derive(Clone, Debug)]
enum Slot {
    /// Nothing, or nothing any more: it was changed.
    Unread,
    /// What it was when it was last read.
    Read(Arc<Secret>),
    /// It is not there, or not for us. The others are used without it.
    Shut(kubernetes::Error),
}

/// Where a file's parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    /// Which Secret.
    at: usize,
    /// Which key of it.
    key: String,
}

/// The packed bytes of a file.
pub(in crate::store) struct Parts(Vec<(Arc<Secret>, String)>);

// === impl InCluster ===

impl InCluster {
    pub(in crate::store) fn new(names: &[String]) -> Result<Self, kubernetes::Error> {
        Ok(Self { api: Api::in_cluster()?, names: names.to_vec() })
    }
}

impl Shelf for InCluster {
    fn count(&self) -> usize {
        self.names.len()
    }

    fn version(&self, at: usize) -> Result<String, kubernetes::Error> {
        self.api.secret_version(&self.names[at])
    }

    fn secret(&self, at: usize) -> Result<Secret, kubernetes::Error> {
        self.api.secret(&self.names[at])
    }

    fn change(&self, at: usize, change: &Change) -> Result<(), kubernetes::Error> {
        self.api.change_secret(&self.names[at], change)
    }
}

// === impl Secrets ===

impl Secrets {
    pub(super) fn new(shelf: Box<dyn Shelf>) -> Self {
        let read = vec![Slot::Unread; shelf.count()];
        let (fixed, held) = (BTreeMap::new(), BTreeMap::new());
        Self { state: Mutex::new(State { shelf, read, fixed, held }) }
    }

    /// The names of complete files, and of incomplete ones as if they were being written.
    pub(super) fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let mut state = self.state();
        state.look()?;
        Ok(state.files().into_keys().filter(|name| wanted(name)).collect())
    }

    pub(in crate::store) fn count(&self) -> usize {
        self.state().read.len()
    }

    /// Why one of them could not be read at the last look, when others could: what is in it is
    /// missing from everything that is said here.
    pub(super) fn unread(&self) -> Option<kubernetes::Error> {
        let shut =
            |slot: &Slot| if let Slot::Shut(error) = slot { Some(error.clone()) } else { None };
        self.state().read.iter().find_map(shut)
    }

    pub(super) fn open_file(&self, name: &str) -> Result<Opened, Damage> {
        let mut state = self.state();
        state.read_all().map_err(|error| {
            Damage::Unreadable(match error.kind() {
                Kind::Denied | Kind::Token => io::ErrorKind::PermissionDenied,
                Kind::Missing | Kind::NotInPod => io::ErrorKind::NotFound,
                Kind::Conflict | Kind::Refused | Kind::Other => io::ErrorKind::TimedOut,
            })
        })?;
        let placed = state.files().remove(name).ok_or(Damage::Gone)?;
        let part = |p: Placed| Some((state.read[p.at].secret()?.clone(), p.key));
        let parts = Parts(placed.into_iter().filter_map(part).collect());
        let modified = name::time(name).map_or(UNIX_EPOCH, SystemTime::from);
        Ok(Opened { size: parts.size(), modified, content: Content::Packed(parts) })
    }

    /// Keeps a packed file until it gets its name.
    pub(super) fn hold(&self, name: &str, packed: Vec<u8>) {
        self.state().held.insert(name.to_owned(), packed);
    }

    /// A file that is held comes into the Secrets; one that is there gets another name.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut state = self.state();
        match state.held.remove(from) {
            Some(packed) => state.add(to, &packed),
            None => state.relabel(from, to),
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state();
        if state.held.remove(name).is_some() {
            return Ok(());
        }
        state.read_all()?;
        for Placed { at, key } in state.files().remove(name).unwrap_or_default() {
            state.change(at, &Change { remove: vec![key], ..Change::default() })?;
        }
        Ok(())
    }

    /// Why one of them took no change, when others could.
    pub(super) fn fixed(&self) -> Option<kubernetes::Error> {
        self.state().fixed.values().next().cloned()
    }

    /// Which of these files, as few from the first on as will do, are in the way of a new one: with them
    /// gone it has room. Where it has none with all of them gone: how much there would be then.
    pub(in crate::store) fn in_the_way(
        &self,
        mut files: Vec<String>,
        name: &str,
        bytes: usize,
    ) -> Result<Vec<String>, usize> {
        let state = self.state();
        let all = state.files();
        let parts = |file: &String| all.get(file).map_or(&[][..], Vec::as_slice);
        files.retain(|file| parts(file).iter().all(|part| !state.fixed.contains_key(&part.at)));
        let mut taken = state.taken();
        for count in 0..=files.len() {
            if place(&free(&taken), name, bytes).is_some() {
                files.truncate(count);
                return Ok(files);
            }
            for Placed { at, key } in files.get(count).map_or(&[][..], parts) {
                taken[*at] -= state.read[*at].secret().map_or(0, |secret| size(secret, key));
            }
        }
        Err(free(&taken).iter().sum())
    }

    /// Removes files, each Secret's at once and only if it still is what it was when it was last
    /// looked at: two replicas that look at the same moment must not both make room for one file. What
    /// is left of one that has begun to go goes in any case: it is no file any more.
    pub(in crate::store) fn remove_as_seen(&self, files: &[String]) -> Result<(), Error> {
        let mut state = self.state();
        let all = state.files();
        let mut going: BTreeMap<usize, Vec<(&str, &str)>> = BTreeMap::new();
        for file in files {
            for Placed { at, key } in all.get(file).into_iter().flatten() {
                going.entry(*at).or_default().push((file, key));
            }
        }
        let (mut begun, mut outcome) = (BTreeSet::new(), Ok(()));
        for (at, parts) in going {
            let keys = |begun: &BTreeSet<&str>, all: bool| -> Vec<String> {
                let going = parts.iter().filter(|(file, _)| all || begun.contains(file));
                going.map(|(_, key)| (*key).to_owned()).collect()
            };
            let version = state.read[at].secret().map(|secret| secret.version.clone());
            let change = Change { version, set: Vec::new(), remove: keys(&begun, true) };
            if outcome.is_ok() {
                outcome = state.change(at, &change);
                if outcome.is_ok() {
                    begun.extend(parts.iter().map(|(file, _)| *file));
                    continue;
                }
            }
            let rest = keys(&begun, false);
            if !rest.is_empty() {
                let _ = state.change(at, &Change { remove: rest, ..Change::default() });
            }
        }
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Reads what has changed since it was last read.
    fn look(&mut self) -> Result<(), kubernetes::Error> {
        for (at, slot) in self.read.iter_mut().enumerate() {
            let is_current = match slot {
                Slot::Read(secret) => match self.shelf.version(at) {
                    Ok(version) => version == secret.version,
                    Err(error) if error.is_of_one_object() => false,
                    Err(error) => return Err(error),
                },
                Slot::Unread | Slot::Shut(_) => false,
            };
            if !is_current {
                *slot = Slot::Unread;
            }
        }
        self.read_all()
    }

    /// Reads what has not been read since we changed it. An error only when none of them can be.
    fn read_all(&mut self) -> Result<(), kubernetes::Error> {
        for (at, slot) in self.read.iter_mut().enumerate() {
            if let Slot::Unread = slot {
                *slot = match self.shelf.secret(at) {
                    Ok(secret) => Slot::Read(Arc::new(secret)),
                    Err(error) if error.is_of_one_object() => Slot::Shut(error),
                    Err(error) => return Err(error),
                };
            }
        }
        match self.read.first() {
            Some(Slot::Shut(first)) if self.read.iter().all(|s| s.secret().is_none()) => {
                Err(first.clone())
            }
            _ => Ok(()),
        }
    }

    /// How many bytes are in each Secret. One that cannot be read or changed is as good as full.
    fn taken(&self) -> Vec<usize> {
        let taken = |secret: &Arc<Secret>| secret.data.keys().map(|key| size(secret, key)).sum();
        let open = |at: &usize| self.read[*at].secret().filter(|_| !self.fixed.contains_key(at));
        (0..self.read.len()).map(|at| open(&at).map_or(ROOM, taken)).collect()
    }

    /// All files by name, each with its parts in order.
    fn files(&self) -> BTreeMap<String, Vec<Placed>> {
        let mut found: BTreeMap<(&str, usize), BTreeMap<usize, Placed>> = BTreeMap::new();
        for (at, slot) in self.read.iter().enumerate() {
            for key in slot.secret().into_iter().flat_map(|s| s.data.keys()) {
                let (name, part, parts) = split(key);
                let placed = Placed { at, key: key.clone() };
                found.entry((name, parts)).or_default().insert(part, placed);
            }
        }
        let mut files: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
        for ((name, parts), placed) in found {
            let complete = placed.len() == parts;
            let name = if complete { name.to_owned() } else { name::unfinished(name) };
            files.entry(name).or_default().extend(placed.into_values());
        }
        files
    }

    fn add(&mut self, name: &str, packed: &[u8]) -> Result<(), Error> {
        self.read_all()?;
        let free = free(&self.taken());
        let Some(pieces) = place(&free, name, packed.len()) else {
            let (needed, room) = (packed.len(), free.iter().sum());
            return Err(Error::Crowded { needed, room, secrets: free.len(), newer: 0 });
        };
        let parts = pieces.len();
        let mut rest = packed;
        let mut done = Vec::new();
        for (part, (at, length)) in (1..).zip(pieces) {
            let (piece, after) = rest.split_at(length);
            rest = after;
            let key = join(name, part, parts);
            let version = self.read[at].secret().map(|secret| secret.version.clone());
            let set = vec![(key.clone(), piece.to_vec())];
            let error = self.change(at, &Change { version, set, remove: Vec::new() }).err();
            let is_there = if error.is_some() { self.holds(at, &key, piece) } else { Some(true) };
            if let (Some(error), Some(false) | None) = (error, is_there) {
                // A file that may be whole stays: another replica may count on it already.
                let may_be_whole = is_there.is_none() && part == parts;
                if !may_be_whole {
                    done.push(Placed { at, key });
                    self.take_back(done);
                }
                return Err(error);
            }
            done.push(Placed { at, key });
        }
        Ok(())
    }

    /// Whether this is in a Secret now: of a change that was refused the first answer may have been
    /// lost, and been a yes. The name is random, so that nobody else's is there. `None` when it cannot be
    /// read.
    fn holds(&mut self, at: usize, key: &str, piece: &[u8]) -> Option<bool> {
        let secret = self.shelf.secret(at).ok()?;
        let holds = secret.data.get(key).is_some_and(|bytes| bytes == piece);
        self.read[at] = Slot::Read(Arc::new(secret));
        Some(holds)
    }

    /// Removes the first parts of a file whose later ones did not come. Best effort: what stays is
    /// swept when it has been at rest.
    fn take_back(&mut self, parts: Vec<Placed>) {
        for Placed { at, key } in parts {
            let _ = self.change(at, &Change { remove: vec![key], ..Change::default() });
        }
    }

    fn relabel(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.read_all()?;
        let placed = self.files().remove(from).unwrap_or_default();
        let parts = placed.len();
        for (part, Placed { at, key }) in (1..).zip(placed) {
            self.read_all()?;
            let bytes = self.read[at].secret().and_then(|secret| secret.data.get(&key));
            let Some(bytes) = bytes.cloned() else { continue };
            let set = vec![(join(to, part, parts), bytes)];
            self.change(at, &Change { set, remove: vec![key], version: None })?;
        }
        Ok(())
    }

    /// What was read before says nothing after this, also when it failed: it may have been done.
    fn change(&mut self, at: usize, change: &Change) -> Result<(), Error> {
        self.read[at] = Slot::Unread;
        self.shelf.change(at, change).map_err(|error| match error.kind() {
            Kind::Conflict => Error::Overtaken,
            Kind::Denied | Kind::Missing | Kind::Refused => {
                self.fixed.insert(at, error);
                // To be done in another one; where there is none, this is the reason.
                Error::Overtaken
            }
            _ => error.into(),
        })
    }
}

// === impl Slot ===

impl Slot {
    fn secret(&self) -> Option<&Arc<Secret>> {
        if let Self::Read(secret) = self { Some(secret) } else { None }
    }
}

// === impl Parts ===

impl Parts {
    /// The packed bytes, one part after the other.
    pub(super) fn reader(&self) -> Box<dyn Read + '_> {
        let empty: Box<dyn Read> = Box::new(io::empty());
        self.slices().fold(empty, |before, part| Box::new(before.chain(part)))
    }

    /// The size before it was packed, as gzip says it in its last four bytes (RFC 1952). A claim, as
    /// the size of any file is: what does not fit it is refused. 0 where it cannot be true: then the
    /// end is not the end, and the file is cut short.
    fn size(&self) -> u64 {
        let mut last = [0; 4];
        let end = self.slices().flatten().rev().take(4);
        for (to, byte) in last.iter_mut().rev().zip(end) {
            *to = *byte;
        }
        let size = u64::from(u32::from_le_bytes(last));
        let packed: usize = self.slices().map(<[u8]>::len).sum();
        if size > packed as u64 * DENSEST { 0 } else { size }
    }

    fn slices(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.iter().map(|(secret, key)| secret.data.get(key).map_or(&[][..], Vec::as_slice))
    }
}

/// Packs what `content` writes, in large pieces.
pub(super) fn pack<W: Write>(
    to: W,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let to = io::BufWriter::with_capacity(BUFFER, to);
    let mut packing = GzEncoder::new(to, Compression::default());
    content(&mut packing)?;
    packing.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
}

/// What may still be put into each Secret.
fn free(taken: &[usize]) -> Vec<usize> {
    taken.iter().map(|taken| ROOM.saturating_sub(*taken)).collect()
}

/// What one key of a Secret takes.
fn size(secret: &Secret, key: &str) -> usize {
    key.len() + secret.data.get(key).map_or(0, Vec::len)
}

/// Which Secrets take how much of a file: one as a whole if it can, and the one that it fills best;
/// else the emptiest first.
fn place(free: &[usize], name: &str, bytes: usize) -> Option<Vec<(usize, usize)>> {
    let key = name.len() + ".100of100".len();
    let room = |at: &usize| free[*at].saturating_sub(key);
    let whole = (0..free.len()).filter(|at| room(at) >= bytes).min_by_key(room);
    if let Some(at) = whole {
        return Some(vec![(at, bytes)]);
    }
    let mut emptiest: Vec<usize> = (0..free.len()).filter(|at| room(at) > 0).collect();
    emptiest.sort_by_key(|at| std::cmp::Reverse(room(at)));
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for at in emptiest {
        let length = rest.min(room(&at));
        rest -= length;
        pieces.push((at, length));
        if rest == 0 {
            return Some(pieces);
        }
    }
    None
}

/// The key of a part, counted from 1.
fn join(name: &str, part: usize, parts: usize) -> String {
    if parts == 1 { name.to_owned() } else { format!("{name}.{part}of{parts}") }
}

/// What a key says: the file, the part, and how many there are.
fn split(key: &str) -> (&str, usize, usize) {
    let said = key.rsplit_once('.').and_then(|(name, end)| {
        let (part, parts) = end.split_once("of")?;
        let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
        (1..=parts).contains(&part).then_some((name, part, parts))
    });
    said.unwrap_or((key, 1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_its_part() {
        for (part, parts) in [(1, 1), (1, 2), (2, 2), (7, 100)] {
            assert_eq!(split(&join("a.backup", part, parts)), ("a.backup", part, parts));
        }
        for other in ["a.backup", "a.0of2", "a.3of2", "a.xof2", "of", ".1of"] {
            assert_eq!(split(other), (other, 1, 1));
        }
    }

    #[test]
    fn a_file_stays_whole_where_it_can() {
        let key = 9 + 4;
        let fits = |free: &[usize], bytes| place(free, "name", bytes);
        assert_eq!(fits(&[100 + key, 50 + key, 60 + key], 50), Some(vec![(1, 50)]));
        assert_eq!(fits(&[100 + key, 40 + key, 60 + key], 50), Some(vec![(2, 50)]));
        assert_eq!(fits(&[10 + key, 40 + key, 3], 50), Some(vec![(1, 40), (0, 10)]));
        assert_eq!(fits(&[10 + key, 40 + key, 3], 45), Some(vec![(1, 40), (0, 5)]));
        assert_eq!(fits(&[10 + key, 40 + key, key], 51), None);
        assert_eq!(fits(&[], 1), None);
    }
}
