//! The writer: publishes as fast as it can, each time as a process of its own would, and is killed.
//!
//! The sidecar leaves a gap between publishes. A publisher that is opened anew has none before its
//! first, so that opening one for each generation gives hundreds a second, and a restart with every one.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use seedcar::board::Board;
use seedcar::metrics::Metrics;
use seedcar::model::confirmation::{Mechanism, Origin};
use seedcar::model::key::{Prefix, PrefixRules};
use seedcar::model::offer::{Content, Offer};
use seedcar::model::reading::Marks;
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::publisher::{Inbox, Publisher, Setup};
use seedcar::supervise::Pulse;
use seedcar::sys;

use super::file::{self, NAMES};

/// Names the volume to the process that is started as a writer.
const VOLUME: &str = "SEEDCAR_E2E_WRITER";

/// A writing process.
pub struct Writer(Child);

/// Nothing but the other process's main function: without the variable it has nothing to do.
#[test]
fn publishes_for_ever() {
    let Some(volume) = std::env::var_os(VOLUME) else {
        return;
    };
    let volume = Path::new(&volume);
    let known = std::fs::read(volume.join("live/..data/a")).ok();
    let mut number = known.and_then(|bytes| file::number(&bytes)).unwrap_or(0);
    loop {
        number += 1;
        publish(volume, number);
    }
}

/// One publish, from the opening of the volume to the end of older generations.
pub fn publish(volume: &Path, number: u64) {
    let prefix = Prefix::parse("p", PrefixRules::default()).expect("a prefix");
    let sources = vec![("default".to_owned(), prefix)];
    let setup = Setup { path: volume.to_owned(), sources, pokes: Vec::new() };
    let board = Arc::new(Board::new(1));
    let publisher = Publisher::open(setup, board, Arc::new(Metrics::default())).expect("a volume");
    let inbox = Inbox::new(1);
    inbox.put(0, Offer::accept(content(number)));
    inbox.slots.close();
    publisher.run(&inbox, &Pulse::default());
}

fn content(number: u64) -> Content {
    let value = file::content(number);
    let entry = |name: &&str| Entry::new(&format!("p/{name}"), &value, 0, number, number);
    let entries = NAMES.iter().map(|name| Arc::new(entry(name))).collect();
    let now = sys::now();
    Content {
        snapshot: Arc::new(Snapshot::new(number, entries).expect("no key twice")),
        origin: Origin::Consul,
        stale: false,
        marks: Marks { sent: now, answered: now, index: number },
        date: 1_700_000_000,
        how: Mechanism::Watch,
    }
}

// === impl Writer ===

impl Writer {
    /// Starts one.
    pub fn start(volume: &Path) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args(["readers::writer::publishes_for_ever", "--exact"]).env(VOLUME, volume);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("start a writer"))
    }

    /// Whether it still writes. It ends by itself only where it fails.
    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
