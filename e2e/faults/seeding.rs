//! `init` under each fault: without a backup it says why and touches nothing, with one it uses that.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::cases::{Case, Elsewhere, quick, slow};
use super::proxy::Proxy;
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, nightly};
use crate::rig::{Ended, Pod};

/// What `init` is given, and what a machine with fifty others at work may add.
const TIMEOUT: &str = "8s";
const AT_MOST: Duration = Duration::from_secs(8 + 30);

#[test]
fn init_says_why_or_takes_the_backup() {
    let elsewhere = Elsewhere::listen();
    let consul = Consul::start(Kind::Real);
    let tally = Mutex::new(Tally::of("faults::seeding::init_says_why_or_takes_the_backup"));
    let mut cases = quick(&elsewhere);
    cases.extend(slow());
    // Every second in an ordinary run.
    let mut number = 0;
    cases.retain(|_| {
        number += 1;
        nightly() || number % 2 == 0
    });
    std::thread::scope(|scope| {
        for (number, case) in cases.iter().enumerate() {
            let (consul, tally) = (&consul, &tally);
            let prefix = format!("c{number}");
            let thread = std::thread::Builder::new().name(case.name.clone());
            let run = move || seed(consul, case, &prefix, tally);
            thread.spawn_scoped(scope, run).expect("a thread");
        }
    });
    let mut tally = tally.into_inner().expect("no case panicked");
    tally.check(!elsewhere.was_visited(), || "a redirect was followed".to_owned());
    tally.finish();
}

fn seed(consul: &Consul, case: &Case, prefix: &str, tally: &Mutex<Tally>) {
    let check = |held: bool, what: &str, ended: &Ended| {
        let text = || format!("{}: {what}: {}\n{}", case.name, ended.err, ended.log);
        tally.lock().expect("no check panics").check(held, text);
    };
    consul.put(&format!("{prefix}/a"), "1");
    let proxy = Proxy::start(consul.addr());
    let pod = Pod::new(proxy.addr(), prefix)
        .env("CONSUL_HTTP_TOKEN", "canary-token-41fd06")
        .arg(&["--max-bytes", "256Ki", "--max-keys", "100", "--backup-delay", "0s"]);

    proxy.set(case.fault.clone());
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", TIMEOUT]);
    check(begun.elapsed() < AT_MOST, "it took too long", &ended);
    check(ended.code() == case.exit(), &format!("exit {}", ended.code()), &ended);
    let seeded = case.exit() == 0;
    check(pod.read("a").is_some() == seeded, "the file", &ended);
    check(seeded || ended.err.lines().count() == 1, "not one line", &ended);
    check(
        !(ended.err + &ended.log).contains("canary-token"),
        "the token is shown",
        &Ended { status: ended.status, log: String::new(), err: String::new() },
    );

    proxy.lift();
    pod.wipe_volume();
    pod.seedcar(&["init", "--seed-timeout", "60s"]);
    let sidecar = pod.run(&[]);
    crate::wait::eventually("there is a backup", Duration::from_secs(60), || {
        sidecar.source().backup.map(drop)
    });
    sidecar.stop();
    pod.wipe_volume();
    proxy.set(case.fault.clone());
    let begun = Instant::now();
    let ended = pod.seedcar(&["init", "--seed-timeout", TIMEOUT]);
    check(begun.elapsed() < AT_MOST, "with a backup it took too long", &ended);
    check(ended.code() == 0, "it does not use the backup", &ended);
    check(pod.read("a").as_deref() == Some(b"1"), "the file of the backup", &ended);
    let told = ended.events("seeded_from_backup").len();
    check(told == usize::from(!seeded), "where it is from is not told", &ended);
}
