//! The same of a plain tree, whose files come one by one: nobody is told of a change before all of it is
//! there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{scope, sleep};
use std::time::Duration;

use seedcar::model::layout::Layout;
use serde_json::{Value, json};

use super::super::points::{changes, chosen};
use super::super::publish;
use super::super::scene::{Scene, is_all_in, number_in};
use super::super::strace::Call;
use super::{held_up, swap};
use crate::hooks::service::Service;
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::{Curtain, within};

/// Far shorter than a call is held up.
const PAUSE: Duration = Duration::from_millis(2);

/// By who was told: how often, and what was not there then.
type Told = BTreeMap<&'static str, (u64, Vec<String>)>;

#[test]
fn nobody_is_told_of_what_is_not_all_there() {
    let mut tally = Tally::of("kill::hook::plain::nobody_is_told_of_what_is_not_all_there");
    let told = Arc::new(Mutex::new(Told::new()));
    let (hears, volume) = (told.clone(), Arc::new(OnceLock::<PathBuf>::new()));
    let at = volume.clone();
    let service = Service::start(move |body: &Value| {
        if let (Some(volume), Some(name)) = (at.get(), body["generation"].as_str()) {
            note(&hears, "the hook", volume, name);
        }
    });
    let scene = Scene::made(Layout::Plain, &json!({"hook": {"url": service.url}}));
    volume.set(scene.pod.volume().to_owned()).expect("set once");
    scene.pod.init();
    let calls = publish::record(&scene);
    let swap = calls[swap(&calls)].point.clone();
    // Each that puts a file in its place, and the one that others know the end by.
    let shows = |call: &Call| call.point == swap || call.line.contains("\"..plain_tmp\"");
    let (over, looked_at) = (AtomicBool::new(false), scene.pod.volume());
    scope(|threads| {
        let curtain = Curtain(&over);
        let looker = threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                look(looked_at, &told);
                sleep(PAUSE);
            }
        });
        let held = calls.iter().filter(|call| changes(call) && scene.touches(call));
        for call in chosen(held, |call| shows(call) && is_rename(call), 2) {
            let sidecar = held_up(&scene, &call.point);
            let is_told = || {
                let heard = service.heard().pop().map(|(_, body)| body["generation"].clone());
                heard == scene.current().map(Value::from)
            };
            tally.check(within(SOON, is_told), || format!("held up at {}: untold", call.point));
            sidecar.crash();
        }
        drop(curtain);
        looker.join().expect("it looks");
    });
    let told = told.lock().expect("whole");
    for who in ["the hook", "..data", "status.json"] {
        let (count, early) = told.get(who).cloned().unwrap_or_default();
        tally.check(count > 0, || format!("{who} is told of nothing"));
        tally.check(early.is_empty(), || format!("{who} is told too early: {early:?}"));
    }
    tally.finish();
}

fn is_rename(call: &Call) -> bool {
    call.point.call.starts_with("rename")
}

/// What exec and applications look at.
fn look(volume: &Path, told: &Mutex<Told>) {
    let link = fs::read_link(volume.join(Layout::Plain.home()).join("..data")).ok();
    let status = fs::read(volume.join(".seedcar/status.json")).unwrap_or_default();
    let status: Value = serde_json::from_slice(&status).unwrap_or_default();
    if let Some(name) = link {
        note(told, "..data", volume, &name.to_string_lossy());
    }
    if let Some(name) = status["generation"].as_str() {
        note(told, "status.json", volume, name);
    }
}

/// A generation that is gone is an older one.
fn note(told: &Mutex<Told>, who: &'static str, volume: &Path, name: &str) {
    let Some(number) = number_in(&volume.join(Layout::Plain.home()).join(name)) else { return };
    let is_early = !is_all_in(&volume.join("live"), number);
    let mut told = told.lock().expect("whole");
    let (count, early) = told.entry(who).or_default();
    *count += 1;
    if is_early && early.len() < 5 {
        early.push(format!("{name}, content {number}"));
    }
}
