//! The publisher alone, without the pause that it makes between two publishes.

use std::path::Path;
use std::sync::Arc;

use seedcar::board::Board;
use seedcar::model::confirmation::{Mechanism, Origin};
use seedcar::model::key::{Prefix, PrefixRules};
use seedcar::model::layout::Layout;
use seedcar::model::offer::{Content, Offer};
use seedcar::model::reading::Marks;
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::publisher::{Inbox, Publisher, Setup};
use seedcar::supervise::Pulse;
use seedcar::sys;

/// What is published.
pub const KEYS: [&str; 6] = ["a", "db/host", "db/port", "db/deep/er/still", "x/y", "z"];

/// The value of a key in a round.
pub fn value(key: &str, round: u64) -> String {
    format!("{round} {key}")
}

fn content(round: u64) -> Content {
    let entry = |key: &&str| {
        let value = value(key, round);
        Arc::new(Entry::new(&format!("p/{key}"), value.as_bytes(), 0, 1, round))
    };
    let snapshot = Snapshot::new(round, KEYS.iter().map(entry).collect()).expect("distinct");
    let now = sys::now();
    Content {
        snapshot: Arc::new(snapshot),
        origin: Origin::Consul,
        stale: false,
        marks: Marks { sent: now, answered: now, index: round },
        date: 1_700_000_000,
        how: Mechanism::Watch,
        judged: None,
    }
}

/// Opens the volume, publishes once, ends. Whether that worked.
pub fn publish(volume: &Path, round: u64) -> bool {
    let prefix = Prefix::parse("p", PrefixRules::default()).expect("a prefix");
    let sources = vec![("default".to_owned(), prefix)];
    let outputs = vec![seedcar::model::output::Output::tree(vec![0])];
    let setup = Setup {
        path: volume.to_owned(),
        layout: Layout::Links,
        sources,
        atomic: Vec::new(),
        outputs,
        control: false,
        tells: false,
        validate: None,
        pokes: Vec::new(),
    };
    let board = Arc::new(Board::new(1));
    let Ok(publisher) = Publisher::open(setup, board.clone(), Arc::default()) else {
        return false;
    };
    let inbox = Inbox::new(1);
    inbox.put(0, Offer::accept(content(round)));
    inbox.slots.close();
    publisher.run(&inbox, &Pulse::default());
    board.read(|state| state.sources[0].published.as_ref().is_some_and(|p| p.index == round))
}
