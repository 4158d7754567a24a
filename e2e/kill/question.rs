//! A publish that others are asked about, killed: before, while and after they have the question.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::points::{Reach, changes, chosen, shortest};
use super::publish;
use super::scene::Scene;
use super::strace::{Call, Inject, Point, Tracer, is_gone, waits};
use crate::hooks::service::{SILENT, Service};
use crate::ledger::Tally;
use crate::rig::{SOON, Sidecar};
use crate::wait::{eventually, within};

/// What a service answers that lets nothing through.
const REFUSES: u16 = 422;

/// The scene, and who is asked.
struct Asked {
    scene: Scene,
    service: Service,
    /// Readers saw what was asked about.
    late: Arc<AtomicBool>,
}

#[test]
fn a_publish_that_is_asked_about_killed_at_every_call() {
    let name = "kill::question::a_publish_that_is_asked_about_killed_at_every_call";
    let mut tally = Tally::of(name);
    let asked = Asked::new();
    let calls = publish::record(&asked.scene);
    let mut reach = Reach::default();
    for call in chosen(calls.iter().filter(|call| asked.scene.touches(call)), is_rename, 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || publish::kill_at(&asked.scene, &call.point, &mut tally));
    }
    reach.judge(&mut tally);
    let late = asked.late.load(Ordering::SeqCst);
    tally.check(!late, || "asked about what readers saw already".to_owned());
    tally.finish();
}

#[test]
fn a_refused_publish_killed_at_every_call() {
    let mut tally = Tally::of("kill::question::a_refused_publish_killed_at_every_call");
    let asked = Asked::new();
    let calls = shortest(|| asked.refuse(None).0);
    let mut reach = Reach::default();
    let tried = calls.iter().filter(|call| asked.scene.touches(call));
    for call in chosen(tried, |call| is_rename(call) || call.point.call == "unlinkat", 4) {
        if tally.is_broken() {
            break;
        }
        reach.point(&call.point, || {
            let (calls, dead) = asked.refuse(Some(&call.point));
            if dead {
                let last = calls.last().map_or("nothing", |call| &call.line);
                asked.stays_refused(&format!("{} at {last}", call.point), &mut tally);
            }
            dead
        });
    }
    reach.judge(&mut tally);
    tally.finish();
}

#[test]
fn killed_while_it_is_out() {
    let mut tally = Tally::of("kill::question::killed_while_it_is_out");
    // A service has it.
    let asked = Asked::new();
    let sidecar = asked.scene.run();
    asked.service.answers(SILENT);
    let heard = asked.service.heard().len();
    asked.scene.change();
    eventually("it is asked", SOON, || (asked.service.heard().len() > heard).then_some(()));
    sidecar.crash();
    asked.service.answers(200);
    next_run_asks_again(&asked.scene, "a service has the question", &mut tally);
    // A command has it, until the test says so.
    let scratch = TempDir::new().expect("a directory");
    let (pid, go) = (scratch.path().join("pid"), scratch.path().join("go"));
    let script = format!(
        "test -e {go} || {{ echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 1000; }}",
        go = go.display(),
        pid = pid.display(),
    );
    let command = ["/bin/sh", "-c", &script];
    let scene = Scene::configured(&json!({"validate": {"command": command, "timeout": "60s"}}));
    fs::write(&go, "").expect("written");
    scene.pod.init();
    let sidecar = scene.run();
    fs::remove_file(&go).expect("removed");
    scene.change();
    let asked = eventually("it is asked", SOON, || fs::read_to_string(&pid).ok());
    sidecar.crash();
    let stat = format!("/proc/{}/stat", asked.trim());
    let is_over = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    tally.check(within(SOON, is_over), || "the command is left behind".to_owned());
    fs::write(&go, "").expect("written");
    next_run_asks_again(&scene, "a command has the question", &mut tally);
    tally.finish();
}

/// Readers see the old content, until the next run has asked anew.
fn next_run_asks_again(scene: &Scene, when: &str, tally: &mut Tally) {
    let (seen, number) = (scene.seen(), scene.number());
    tally.check(seen == Ok(number - 1), || format!("killed while {when}: {seen:?}"));
    let sidecar = scene.run();
    scene.only_one_generation_stays(tally);
    sidecar.crash();
}

fn is_rename(call: &Call) -> bool {
    changes(call) && call.point.call.starts_with("rename")
}

// === impl Asked ===

impl Asked {
    /// Content 1 is published.
    fn new() -> Self {
        let late = Arc::new(AtomicBool::new(false));
        let live = Arc::new(OnceLock::<PathBuf>::new());
        let (is_late, at) = (late.clone(), live.clone());
        let service = Service::start(move |body: &Value| {
            let visible = at.get().and_then(|live| fs::read_link(live.join("..data")).ok());
            let visible = visible.and_then(|name| name.into_os_string().into_string().ok());
            let same = visible.is_some() && visible.as_deref() == body["generation"].as_str();
            is_late.fetch_or(same, Ordering::SeqCst);
        });
        let scene = Scene::configured(&json!({"validate": {"url": service.url}}));
        live.set(scene.pod.live()).expect("set once");
        scene.pod.init();
        Self { scene, service, late }
    }

    /// A change that is refused; what the publisher called, and whether it was killed.
    fn refuse(&self, point: Option<&Point>) -> (Vec<Call>, bool) {
        self.service.answers(200);
        let (sidecar, tid) = publish::prepared(&self.scene);
        self.service.answers(REFUSES);
        let tracer = Tracer::attach(tid, point.map(|point| (point, Inject::Kill)));
        self.scene.change();
        let dead = eventually("it is killed, or has refused", SOON, || {
            let refused = !is_gone(tid) && is_refused(&sidecar) && waits(tid);
            (is_gone(tid) || refused).then(|| is_gone(tid))
        });
        let calls = if dead { tracer.ended() } else { tracer.detach() };
        sidecar.crash();
        (calls, dead)
    }

    /// The old content is there before and after the next run has had it refused again.
    fn stays_refused(&self, what: &str, tally: &mut Tally) {
        let old = self.scene.number() - 1;
        let stays = |when: &str, tally: &mut Tally| {
            let seen = self.scene.seen();
            tally.check(seen == Ok(old), || format!("{what}, {when}: readers see {seen:?}"));
        };
        stays("after the kill", tally);
        let sidecar = self.scene.pod.run(&[]);
        let refused = within(SOON, || is_refused(&sidecar));
        tally.check(refused, || format!("{what}: then not refused: {}", sidecar.log()));
        stays("after the next run", tally);
        sidecar.crash();
    }
}

fn is_refused(sidecar: &Sidecar<'_>) -> bool {
    sidecar.try_status().is_some_and(|status| status.invalid.is_some())
}
