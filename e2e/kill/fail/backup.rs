//! Writing a backup: one sidecar lives through all of it.

use super::super::backup::{backed_up, keeper, recorded};
use super::super::scene::Scene;
use super::super::strace::{Call, Inject, Point, Tracer, is_gone, waits};
use super::{each, injected};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::eventually;

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::backup::each_call_fails_once");
    let (scene, calls) = recorded();
    let sidecar = scene.run();
    backed_up(&scene);
    let keeper = (&sidecar, keeper(&sidecar));
    each(&scene, &calls, 4, &mut tally, |point, error, tally| {
        fail_at(&scene, keeper, point, error, tally)
    });
    tally.finish();
}

/// Whatever fails, it is backed up a moment later, and until then there is the older backup.
fn fail_at(
    scene: &Scene,
    (sidecar, tid): (&Sidecar<'_>, i32),
    point: &Point,
    error: &'static str,
    tally: &mut Tally,
) -> Vec<Call> {
    let before = Told::by(sidecar);
    let tracer = Tracer::attach(tid, Some((point, Inject::Fail(error))));
    scene.change();
    let number = scene.number();
    let mut wrong = None;
    eventually(&format!("{point} {error}: it is backed up after all"), SOON, || {
        assert!(!is_gone(tid), "{point} {error}: the keeper died");
        let found = scene.backed_up();
        if !found.as_ref().is_ok_and(|n| [number - 1, number].contains(n)) {
            wrong.get_or_insert(found.clone());
        }
        // Counted when all else is done.
        let over = Told::by(sidecar).written > before.written;
        let up = sidecar.source().mechanisms["backup"].up;
        (over && found == Ok(number) && up && waits(tid)).then_some(())
    });
    let calls = tracer.detach();
    if let Some(failed) = injected(&calls) {
        let what = format!("{error} of {}", failed.line);
        tally.check(wrong.is_none(), || format!("{what}: the newest backup is {wrong:?}"));
        before.judge(&Told::by(sidecar), failed, &what, tally);
        tally.check(scene.seen() == Ok(number), || format!("{what}: the files are not there"));
    }
    calls
}

/// Without these there is no new backup.
fn must_count(failed: &Call) -> bool {
    let line = &failed.line;
    match &*failed.point.call {
        "openat" => line.contains("O_CREAT"),
        // The directory is forced to the disk before older backups go, too: that is tidying up.
        "write" | "fsync" => line.contains(".seedcar-tmp-"),
        "renameat2" => true,
        _ => false,
    }
}

/// What a sidecar has said of its backups so far.
struct Told {
    written: f64,
    errors: f64,
    /// Lines of the log.
    failed: usize,
    untidy: usize,
}

// === impl Told ===

impl Told {
    fn by(sidecar: &Sidecar<'_>) -> Self {
        let count = |result: &str| {
            let series =
                format!("seedcar_backup_writes_total{{result=\"{result}\",source=\"default\"}}");
            sidecar.metric(&series).unwrap_or(0.0)
        };
        let lines = |event| sidecar.events(event).len();
        Self {
            written: count("written"),
            errors: count("error"),
            failed: lines("backup_failed"),
            untidy: lines("backup_untidy"),
        }
    }

    /// What failed was said once, and counted as what it was.
    fn judge(&self, after: &Self, failed: &Call, what: &str, tally: &mut Tally) {
        let written = after.written - self.written;
        tally.check(written == 1.0, || format!("{what}: {written} counted as written"));
        if must_count(failed) {
            let counted = after.errors - self.errors;
            tally.check(counted == 1.0, || format!("{what}: counted {counted}"));
            let told = after.failed > self.failed;
            tally.check(told, || format!("{what}: nobody is told"));
        }
        if failed.point.call == "unlinkat" {
            let told = after.untidy > self.untidy;
            tally.check(told, || format!("{what}: nobody is told"));
        }
    }
}
