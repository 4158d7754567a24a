//! Writing a backup: one sidecar lives through all of it.

use super::super::backup::{backed_up, keeper, recorded};
use super::super::strace::{Call, Inject, Tracer, is_gone, waits};
use super::{cases, injected};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::eventually;

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::backup::each_call_fails_once");
    let (scene, calls) = recorded();
    let sidecar = scene.run();
    backed_up(&scene);
    let tid = keeper(&sidecar);
    for (point, error) in cases(&scene, &calls, 2) {
        if tally.is_broken() {
            break;
        }
        let (before, untidy) = (errors(&sidecar), sidecar.events("backup_untidy").len());
        let tracer = Tracer::attach(tid, Some((&point, Inject::Fail(error))));
        scene.change();
        let number = scene.number();
        let mut wrong = None;
        eventually(&format!("{point} {error}: it is backed up after all"), SOON, || {
            assert!(!is_gone(tid), "{point} {error}: the keeper died");
            let found = scene.backed_up();
            if !found.as_ref().is_ok_and(|n| [number - 1, number].contains(n)) {
                wrong.get_or_insert(found.clone());
            }
            let up = sidecar.source().mechanisms["backup"].up;
            (found == Ok(number) && up && waits(tid)).then_some(())
        });
        let calls = tracer.detach();
        let Some(failed) = injected(&calls) else {
            continue;
        };
        let what = format!("{error} of {}", failed.line);
        tally.check(wrong.is_none(), || format!("{what}: the newest backup is {wrong:?}"));
        let counted = errors(&sidecar) - before;
        tally.check(!must_count(failed) || counted == 1.0, || format!("{what}: counted {counted}"));
        if failed.point.call == "unlinkat" {
            let told = sidecar.events("backup_untidy").len() > untidy;
            tally.check(told, || format!("{what}: nobody is told"));
        }
        tally.check(scene.seen() == Ok(number), || format!("{what}: the files are not there"));
    }
    tally.finish();
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

fn errors(sidecar: &Sidecar<'_>) -> f64 {
    let series = "seedcar_backup_writes_total{result=\"error\",source=\"default\"}";
    sidecar.metric(series).unwrap_or(0.0)
}
