//! `seedcar demo` ends well only if every act was checked, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::consul::{Consul, Kind};

const ACTS: [&str; 7] = [
    "A prefix in Consul becomes a directory of files",
    "A change arrives",
    "The watch is cut off",
    "Somebody empties the prefix",
    "Consul is killed",
    "The pod is restarted while Consul is dead",
    "Consul comes back",
];

#[test]
fn it_plays_on_the_embedded_consul() {
    assert_played(&demo(&[]));
}

#[test]
fn it_plays_on_a_real_consul_and_deletes_its_prefix() {
    let consul = Consul::start(Kind::Real);
    consul.put("theirs", "untouched");
    assert_played(&demo(&["--consul", &consul.addr().to_string()]));
    let keys = consul.ask("GET", "/v1/kv/?keys", b"").expect("Consul answers").text();
    assert_eq!(keys.split_whitespace().collect::<String>(), "[\"theirs\"]");
}

#[test]
fn a_play_that_cannot_be_checked_does_not_end_well() {
    let port = crate::wait::free_port();
    let ended = demo(&["--consul", &format!("127.0.0.1:{port}")]);
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn keep_stays_up_until_interrupted_and_cleans_up() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    let mut child = command.args(["demo", "--keep"]).stdout(Stdio::piped()).spawn().expect("start");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut scratch = None;
    for line in lines {
        if let Some(path) = line.trim().strip_prefix("cat ") {
            assert_eq!(std::fs::read_to_string(path).expect("readable"), "good to see you");
            scratch = path.split("/volume/").next().map(str::to_owned);
        }
        if line.trim().starts_with("ls ") {
            kill_process(Pid::from_child(&child), Signal::INT).expect("kill");
        }
    }
    assert!(child.wait().expect("wait").success());
    let scratch = scratch.expect("the address of a file");
    assert!(!std::path::Path::new(&scratch).exists(), "{scratch}");
}

fn demo(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    command.arg("demo").args(args).env_remove("CONSUL_HTTP_TOKEN");
    command.output().expect("run the demo")
}

#[track_caller]
fn assert_played(ended: &Output) {
    let said = String::from_utf8_lossy(&ended.stdout);
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{err}");
    for act in ACTS {
        assert!(said.contains(act), "{act} is missing:\n{said}");
    }
    assert!(said.matches("   ok ").count() >= 20, "{said}");
}
