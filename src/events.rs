//! Kubernetes Events: the few moments that a person looking at a pod wants to see. A leaf that only
//! reads the board; what it cannot tell is lost, and nothing else changes.

use std::time::Duration;

use crate::board::{Board, Source, State};
use crate::config::Pod;
use crate::kubernetes::events::Event;
use crate::kubernetes::{Api, Error};
use crate::model::confirmation::Origin;
use crate::model::guard::{Hold, Reason};
use crate::model::moment::rfc3339;
use crate::model::snapshot::Digest;
use crate::supervise::Pulse;
use crate::sys;

/// The longest sleep; a change on the board ends it.
const IDLE: Duration = Duration::from_secs(60);
/// After Events were made, before others are: what comes and goes within it is not worth one.
const PAUSE: Duration = Duration::from_secs(30);

/// What is told of, and of whom.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The pod.
    pub pod: Pod,
    /// The sources' names.
    pub sources: Vec<String>,
}

/// The state of a source as far as it has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    from_backup: bool,
    /// With the content, for that is what `seedcar accept` wants to be told.
    held: Option<(Reason, Option<Digest>)>,
}

/// Tells of changes until the board is closed. What was there when the volume was adopted has been
/// told by whoever made it so.
pub fn run(setup: &Setup, board: &Board, pulse: &Pulse) {
    let mut told: Option<Vec<Told>> = None;
    let mut seen = 0;
    while !board.read(|state| state.closed) {
        pulse.tick(IDLE * 5);
        let fresh = board.read(|state| news(setup, &mut told, state));
        if !fresh.is_empty() {
            tell(setup, &fresh);
            let until = sys::now() + PAUSE;
            while sys::now() < until && !board.read(|state| state.closed) {
                seen = board.wait(seen, until.since(sys::now()));
            }
            // What came meanwhile has been waited for already.
            continue;
        }
        seen = board.wait(seen, IDLE);
    }
}

/// Tells of what is the case now: for an init container, which ends, and starts again until it has
/// filled the volume. Only the first of them is heard.
pub fn tell_now(setup: &Setup, board: &Board) {
    let mut told = Some(vec![Told::default(); setup.sources.len()]);
    let mut fresh = board.read(|state| news(setup, &mut told, state));
    fresh.iter_mut().for_each(|event| event.again = false);
    if !fresh.is_empty() {
        tell(setup, &fresh);
    }
}

fn tell(setup: &Setup, events: &[Event]) {
    if let Err(error) = post(&setup.pod, events) {
        tracing::warn!(event = "events_failed", %error, "cannot tell Kubernetes; nothing else changes");
    }
}

/// A connection for the occasion: hours may pass until the next.
fn post(pod: &Pod, events: &[Event]) -> Result<(), Error> {
    let api = Api::in_cluster()?;
    events.iter().try_for_each(|event| api.post_event(pod, event))
}

/// What has changed since it was told. Nothing before it is known whether something was adopted.
fn news(setup: &Setup, told: &mut Option<Vec<Told>>, state: &State) -> Vec<Event> {
    if told.is_none() && !state.opened {
        return Vec::new();
    }
    // Everything is told of what this process filled, nothing of what it adopted.
    let first = |source| if state.adopted { Told::of(source) } else { Told::default() };
    let before = told.get_or_insert_with(|| state.sources.iter().map(first).collect());
    let mut events = Vec::new();
    for ((name, source), before) in setup.sources.iter().zip(&state.sources).zip(before) {
        let now = Told::of(source);
        events.extend(one(name, source, *before, now));
        *before = now;
    }
    events
}

fn one(name: &str, source: &Source, before: Told, now: Told) -> Vec<Event> {
    let mut events = Vec::new();
    let mut event = |warning, reason, message: String| {
        let message = format!("source {name}: {message}");
        events.push(Event { warning, reason, message, at: sys::wall_seconds(), again: true });
    };
    if now.from_backup && !before.from_backup {
        event(true, "SeededFromBackup", seeded(source));
    }
    if let Some(hold) = source.hold.filter(|_| now.held != before.held) {
        event(true, "AnswerHeld", held(&hold, source.published.is_some()));
    }
    let better = before.from_backup || before.held.is_some();
    if better && now == Told::default() {
        event(false, "Recovered", "Consul confirms what the application reads".to_owned());
    }
    events
}

fn seeded(source: &Source) -> String {
    let backup = source
        .backup
        .as_ref()
        .map(|b| format!(" of {} keys, confirmed at {}", b.keys, rfc3339(b.confirmed)));
    let backup = backup.unwrap_or_default();
    format!("Consul gave no answer to use; the application reads the backup{backup}")
}

fn held(hold: &Hold, has_files: bool) -> String {
    let accept = match hold.digest {
        Some(digest) => format!("; `seedcar accept {}` lets it through", digest.short()),
        None => String::new(),
    };
    let (reason, keys, baseline) = (hold.reason.word(), hold.keys, hold.baseline_keys);
    let application =
        if has_files { "keeps reading what it has" } else { "waits for its first configuration" };
    format!(
        "an answer of Consul is held ({reason}: {keys} keys instead of {baseline}); the application {application}{accept}"
    )
}

// === impl Told ===

impl Told {
    fn of(source: &Source) -> Self {
        let published = source.published.as_ref();
        Self {
            from_backup: published.is_some_and(|p| p.origin == Origin::Backup),
            held: source.hold.map(|hold| (hold.reason, hold.digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::confirmation::Published;
    use crate::model::moment::Moment;
    use crate::model::reading::Marks;
    use crate::model::snapshot::Snapshot;

    fn setup() -> Setup {
        let pod = Pod { name: "web-0".into(), uid: "7".into() };
        Setup { pod, sources: vec!["default".into()] }
    }

    fn published(origin: Origin) -> Option<Published> {
        let empty = Snapshot::empty(3);
        Some(Published {
            digest: empty.digest(),
            keys: 0,
            bytes: 0,
            index: 3,
            origin,
            stale: false,
            date: 0,
            at: Moment(1),
            marks: Marks { sent: Moment(1), answered: Moment(1), index: 3 },
            snapshot: None,
        })
    }

    fn hold(reason: Reason) -> Option<Hold> {
        let digest = Some(Snapshot::empty(3).digest());
        Some(Hold { reason, digest, keys: 0, baseline_keys: 12, since: Moment(1) })
    }

    fn reasons(told: &mut Option<Vec<Told>>, state: &State) -> Vec<&'static str> {
        news(&setup(), told, state).iter().map(|event| event.reason).collect()
    }

    #[test]
    fn each_change_is_told_once() {
        let mut state = State { sources: vec![Source::default()], ..State::default() };
        let mut told = None;
        state.sources[0].hold = hold(Reason::Empty);
        assert!(reasons(&mut told, &state).is_empty(), "something may be there");
        state.opened = true;
        assert_eq!(reasons(&mut told, &state), ["AnswerHeld"], "also before there are files");
        state.sources[0].hold = None;
        assert_eq!(reasons(&mut told, &state), ["Recovered"]);
        state.seeded = true;
        state.sources[0].published = published(Origin::Backup);
        assert_eq!(reasons(&mut told, &state), ["SeededFromBackup"]);
        assert!(reasons(&mut told, &state).is_empty());
        state.sources[0].hold = hold(Reason::Empty);
        assert_eq!(reasons(&mut told, &state), ["AnswerHeld"]);
        state.sources[0].hold = hold(Reason::Shrunken);
        assert_eq!(reasons(&mut told, &state), ["AnswerHeld"]);
        let other = Some(Digest::from_bytes([7; 32]));
        state.sources[0].hold = hold(Reason::Shrunken).map(|h| Hold { digest: other, ..h });
        assert_eq!(reasons(&mut told, &state), ["AnswerHeld"], "another one to accept");
        assert!(reasons(&mut told, &state).is_empty());
        state.sources[0].published = published(Origin::Consul);
        assert!(reasons(&mut told, &state).is_empty(), "it is held still");
        state.sources[0].hold = None;
        assert_eq!(reasons(&mut told, &state), ["Recovered"]);
        assert!(reasons(&mut told, &state).is_empty());
    }

    #[test]
    fn what_was_adopted_has_been_told_and_its_end_has_not() {
        let mut state = State {
            sources: vec![Source::default()],
            opened: true,
            seeded: true,
            adopted: true,
            ..State::default()
        };
        state.sources[0].published = published(Origin::Backup);
        state.sources[0].hold = hold(Reason::Empty);
        let mut told = None;
        assert!(reasons(&mut told, &state).is_empty());
        state.sources[0].published = published(Origin::Consul);
        state.sources[0].hold = None;
        assert_eq!(reasons(&mut told, &state), ["Recovered"]);
    }

    #[test]
    fn a_message_says_what_and_what_to_do() {
        let mut state = State { sources: vec![Source::default()], ..State::default() };
        state.sources[0].hold = hold(Reason::Empty);
        let mut told = Some(vec![Told::default()]);
        let event = news(&setup(), &mut told, &state).remove(0);
        let short = Snapshot::empty(3).digest().short().to_string();
        let what = ["source default: ", "empty: 0 keys instead of 12", "waits for its first"];
        for part in what.into_iter().chain(["seedcar accept ", &short]) {
            assert!(event.message.contains(part), "{}", event.message);
        }
        assert!(event.warning);
        state.sources[0].published = published(Origin::Backup);
        let mut told = Some(vec![Told::default()]);
        let event = news(&setup(), &mut told, &state).remove(1);
        assert!(event.message.contains("keeps reading what it has"), "{}", event.message);
    }
}
