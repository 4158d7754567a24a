//! A publish: one sidecar lives through all of it.

use std::collections::BTreeSet;

use seedcar::model::layout::Layout;

use super::super::publish::{prepared, record};
use super::super::scene::Scene;
use super::super::strace::{Call, Inject, Point, Tracer, is_gone, waits};
use super::{each, injected, kind};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::{eventually, within};

#[test]
fn each_call_fails_once() {
    let mut tally = Tally::of("kill::fail::publish::each_call_fails_once");
    fail_everywhere(&Scene::new(), &mut tally);
    tally.finish();
}

#[test]
fn each_call_fails_once_in_the_plain_layout() {
    let mut tally = Tally::of("kill::fail::publish::each_call_fails_once_in_the_plain_layout");
    fail_everywhere(&Scene::of(Layout::Plain), &mut tally);
    tally.finish();
}

fn fail_everywhere(scene: &Scene, tally: &mut Tally) {
    scene.pod.init();
    let calls = record(scene);
    let (sidecar, tid) = prepared(scene);
    let mut shown = scene.generations();
    each(scene, &calls, 4, tally, |point, error, tally| {
        let before = errors(&sidecar, error);
        let tracer = Tracer::attach(tid, Some((point, Inject::Fail(error))));
        scene.change();
        publishes(scene, tid, &format!("{point} {error}"), tally);
        let calls = tracer.detach();
        shown.extend(scene.current());
        let Some(failed) = injected(&calls) else { return calls };
        let counted = errors(&sidecar, error) - before;
        let what = format!("{error} of {}", failed.line);
        let well = !must_count(failed) || counted == 1.0;
        tally.check(well, || format!("{what}: counted {counted}"));
        settles(scene, &sidecar, &shown, &what, tally);
        calls
    });
    scene.only_one_generation_stays(tally);
}

#[test]
fn each_call_fails_until_the_fault_is_gone() {
    let mut tally = Tally::of("kill::fail::publish::each_call_fails_until_the_fault_is_gone");
    let calls = ["mkdirat", "openat", "write", "fchmod", "symlinkat", "renameat", "unlinkat"];
    fail_for_long(&Scene::new(), &calls, &mut tally);
    tally.finish();
}

/// What is not made visible in the end is taken back; for that names have to be removed.
#[test]
fn each_call_fails_until_the_fault_is_gone_in_the_plain_layout() {
    let mut tally = Tally::of(
        "kill::fail::publish::each_call_fails_until_the_fault_is_gone_in_the_plain_layout",
    );
    let calls = ["mkdirat", "openat", "write", "fchmod", "symlinkat", "renameat"];
    fail_for_long(&Scene::of(Layout::Plain), &calls, &mut tally);
    tally.finish();
}

fn fail_for_long(scene: &Scene, calls: &[&str], tally: &mut Tally) {
    scene.pod.init();
    let (sidecar, tid) = prepared(scene);
    let mut shown = scene.generations();
    for (at, call) in calls.iter().enumerate() {
        if tally.is_broken() {
            break;
        }
        let error = super::ERRORS[at % super::ERRORS.len()];
        let what = format!("{call} always {error}");
        let before = errors(&sidecar, error);
        let point = Point { call: (*call).to_owned(), nth: 1 };
        let tracer = Tracer::attach(tid, Some((&point, Inject::FailFrom(error))));
        scene.change();
        let number = scene.number();
        eventually(&format!("{what}: it is counted again and again"), SOON, || {
            (errors(&sidecar, error) >= before + 2.0).then_some(())
        });
        // In the plain layout each try changes files, and takes that back.
        let old = within(SOON, || scene.seen() == Ok(number - 1));
        tally.check(old, || format!("{what}: readers see {:?}", scene.seen()));
        tally.check(sidecar.get("/livez").0 == 200, || format!("{what}: not alive"));
        let told = sidecar.status().volume_error.map(|e| e.kind);
        tally.check(told.as_deref() == Some(kind(error)), || format!("{what}: told {told:?}"));
        tracer.detach();
        publishes(scene, tid, &what, tally);
        shown.extend(scene.current());
        settles(scene, &sidecar, &shown, &what, tally);
    }
    scene.only_one_generation_stays(tally);
}

/// Waits until the new content is there. Until then readers see the old one.
fn publishes(scene: &Scene, tid: i32, what: &str, tally: &mut Tally) {
    let number = scene.number();
    let mut wrong = None;
    eventually(&format!("{what}: it is published after all"), SOON, || {
        let seen = scene.seen_inside();
        if !seen.as_ref().is_ok_and(|n| [number - 1, number].contains(n)) {
            wrong.get_or_insert(seen);
        }
        assert!(!is_gone(tid), "{what}: the publisher died");
        (scene.is_published() && waits(tid)).then_some(())
    });
    tally.check(wrong.is_none(), || format!("{what}: readers see {wrong:?}"));
}

/// Everything is as after any publish: no word of an error, each name there, no generation that never
/// was shown.
fn settles(
    scene: &Scene,
    sidecar: &Sidecar<'_>,
    shown: &BTreeSet<String>,
    what: &str,
    tally: &mut Tally,
) {
    let mut state = (Vec::new(), None);
    let settled = || {
        state = (scene.left_over(scene.number(), shown), sidecar.status().volume_error);
        state.0.is_empty() && state.1.is_none()
    };
    let settled = within(SOON, settled);
    let (left, error) = state;
    tally.check(settled, || format!("{what}: left {left:?}, says {:?}", error.map(|e| e.text)));
    let seen = scene.seen();
    tally.check(seen == Ok(scene.number()), || format!("{what}: readers see {seen:?}"));
}

/// Without these there is no new generation.
fn must_count(failed: &Call) -> bool {
    let line = &failed.line;
    let inside = line.contains("/..2") && !line.contains("unlinkat");
    let swap = line.contains("\"..data_tmp\"") || line.contains("\"..plain_tmp\"");
    match &*failed.point.call {
        "mkdirat" | "fchmod" => true,
        "write" => inside,
        "openat" => inside && line.contains("O_CREAT"),
        "symlinkat" | "renameat" => swap,
        "linkat" => line.contains("\"..plain_tmp\""),
        _ => false,
    }
}

fn errors(sidecar: &Sidecar<'_>, error: &str) -> f64 {
    let series = format!("seedcar_publish_errors_total{{kind=\"{}\"}}", kind(error));
    sidecar.metric(&series).unwrap_or(0.0)
}
