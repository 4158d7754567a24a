//! The writer: publishes as fast as it can, and is killed.
//!
//! The sidecar leaves a gap between publishes; here its own steps are taken without one, on a volume
//! that is opened and swept as the sidecar does it.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::process::{Signal, set_parent_process_death_signal};
use seedcar::model::key::{Prefix, PrefixRules};
use seedcar::model::layout::Layout;
use seedcar::model::plan::Plan;
use seedcar::model::plan::difference::Difference;
use seedcar::model::snapshot::{Entry, Snapshot};
use seedcar::publisher::generation::{self, Generation, Old};
use seedcar::publisher::manifest::Manifest;
use seedcar::publisher::names;
use seedcar::publisher::plain;
use seedcar::publisher::volume::{self, Volume};

use super::file::{self, NAMES};

/// Names the volume to the process that is started as a writer.
const VOLUME: &str = "SEEDCAR_E2E_WRITER";
/// Names the layout to it, where it is the plain one.
const PLAIN: &str = "SEEDCAR_E2E_WRITER_PLAIN";

/// The current one and those that the publisher keeps beside it until it makes the next.
const GENERATIONS: usize = 3;

/// A writing process.
pub struct Writer(Child);

/// Nothing but the other process's main function: without the variable it has nothing to do.
#[test]
fn publishes_for_ever() {
    let Some(volume) = std::env::var_os(VOLUME) else {
        return;
    };
    let path = Path::new(&volume);
    let layout = match std::env::var_os(PLAIN) {
        Some(_) => Layout::Plain,
        None => Layout::Links,
    };
    let known = std::fs::read(path.join(layout.home()).join("..data/a")).ok();
    let first = known.and_then(|bytes| file::number(&bytes)).unwrap_or(0) + 1;
    let volume = Volume::open(path, layout).expect("a volume");
    let earlier = generation::earlier(&volume).expect("a list");
    generation::sweep(&volume, &earlier).expect("a sweep");
    let mut kept = VecDeque::from(earlier);
    kept.extend(volume.current().expect("a link"));
    let mut previous = None;
    for number in first.. {
        previous = Some(publish(&volume, number, previous.as_ref()));
        kept.extend(previous.as_ref().map(|generation| generation.name.clone()));
        while kept.len() > GENERATIONS {
            let oldest = kept.pop_front().expect("not empty");
            volume::remove_tree(volume.home(), &oldest).expect("a removal");
        }
    }
}

/// One publish, in the steps of the publisher.
fn publish(volume: &Volume, number: u64, previous: Option<&Generation>) -> Generation {
    let prefix = Prefix::parse("p", PrefixRules::default()).expect("a prefix");
    let value = file::content(number);
    let entry = |name: &&str| Entry::new(&format!("p/{name}"), &value, 0, number, number);
    let entries = NAMES.iter().map(|name| Arc::new(entry(name))).collect();
    let snapshot = Snapshot::new(number, entries).expect("no key twice");
    let plan = Plan::tree(&[(&prefix, &snapshot)]);
    let name = format!("..2026_01_01_00_00_00.{number}-{:x}", fastrand::u64(..));
    let manifest = Manifest {
        schema: 1,
        generation: name.clone(),
        published: String::new(),
        tree: plan.tree_digest(),
        outputs: None,
        sources: Vec::new(),
    };
    let difference = Difference::between(previous.and_then(|p| p.plan.as_ref()), &plan);
    let old = Old { difference: &difference, previous, spare: None };
    let built = generation::build(volume, &name, &plan, &manifest, &old).expect("a generation");
    if volume.layout == Layout::Plain {
        plain::reconcile(volume, built.fd.as_fd()).expect("files");
    }
    generation::swap(volume, &name).expect("a swap");
    if volume.layout == Layout::Links {
        names::link(volume, &plan.top_names(), &mut None).expect("names");
    }
    Generation { name, fd: built.fd, plan: Some(plan) }
}

// === impl Writer ===

impl Writer {
    /// Starts one.
    pub fn start(volume: &Path, layout: Layout) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args(["readers::writer::publishes_for_ever", "--exact"]).env(VOLUME, volume);
        if layout == Layout::Plain {
            command.env(PLAIN, "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A reader of a torn file dies of SIGBUS, and nobody is left to drop this.
        let with_us = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
        // SAFETY: between fork and exec this makes one system call and allocates nothing.
        unsafe { command.pre_exec(with_us) };
        Self(command.spawn().expect("start a writer"))
    }

    /// Whether it still writes. It ends by itself only where it fails.
    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.kill();
    }
}
