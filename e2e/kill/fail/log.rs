//! A log that nobody can write: its disk is full, its reader is gone.

use std::fs::File;
use std::process::Stdio;

use super::super::scene::Scene;
use crate::consul::http::request;
use crate::ledger::Tally;
use crate::rig::SOON;
use crate::wait::{free_port, within};

#[test]
fn a_full_log_stops_nothing() {
    let mut tally = Tally::of("kill::fail::log::a_full_log_stops_nothing");
    let scene = Scene::new();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"));
    let init = scene.pod.command(&["init"]).stdout(full()).stderr(full()).status();
    tally.check(init.is_ok_and(|status| status.success()), || "init failed".to_owned());

    let port = free_port();
    let mut command = scene.pod.command(&["run", "--http", &format!("127.0.0.1:{port}")]);
    let mut sidecar = command.stdout(full()).stderr(full()).spawn().expect("start seedcar");
    for _ in 0..3 {
        scene.change();
        let published = within(SOON, || scene.is_published());
        tally.check(published, || format!("{} is not published", scene.number()));
        if !published {
            break;
        }
    }
    let addr = ([127, 0, 0, 1], port).into();
    let alive = request(addr, "GET", "/livez", &[], b"").is_ok_and(|answer| answer.status == 200);
    tally.check(alive, || "not alive".to_owned());
    sidecar.kill().expect("kill seedcar");
    sidecar.wait().expect("wait for seedcar");

    scene.pod.wipe_volume();
    scene.consul.kill();
    let arguments = ["init", "--no-backup", "--seed-timeout", "1s"];
    let init = scene.pod.command(&arguments).stdout(full()).stderr(full()).status();
    let code = init.expect("run seedcar").code();
    tally.check(code == Some(69), || format!("without Consul: exit {code:?}"));
    tally.finish();
}
