//! A sidecar lives through each fault of the table: one Consul, and for each case a proxy, a pod and
//! a prefix of its own, all at the same time, because most of it is waiting.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seedcar::model::health::Health;

use super::cases::{Case, Elsewhere, Pace, Shows, quick, slow};
use super::proxy::Proxy;
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, nightly};
use crate::rig::{Pod, Sidecar};
use crate::stories::measured;
use crate::wait::eventually;

const TOKEN: &str = "canary-token-41fd06";
const VALUE: &str = "canary-value-b7702e";
/// Fifty processes start at the same time, on a machine that others use.
const STARTED: Duration = Duration::from_secs(90);
/// The longest that naming a fault may take after the window.
const NAMED: Duration = Duration::from_secs(30);
/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Resident memory in MiB, of a debug build that may hold 256 KiB of content: 17 at rest, and what two
/// mechanisms hold of an element or a list of names while it grows. Of 10 GB it would be more within a
/// second.
const MEMORY: u64 = 80;

/// Names of the table, one for each way to go wrong.
const KINDS: [&str; 9] = [
    "closed inside a chunk",
    "half of it, called whole",
    "307",
    "400 with the request",
    "404",
    "500 No cluster leader",
    "503, after 3 s",
    "an index as asked, and early",
    "an endless value",
];

/// How much a prefix holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Some bytes: the watch blocks on the content.
    Small,
    /// More than 64 KiB: it blocks on the doorbell.
    Large,
}

/// One case in progress.
struct Trial<'a> {
    case: &'a Case,
    size: Size,
    prefix: String,
    consul: &'a Consul,
    proxy: Proxy,
    tally: &'a Mutex<Tally>,
}

/// Quick enough to be tried on each planted bug.
#[test]
fn one_of_each_kind_is_endured() {
    let elsewhere = Elsewhere::listen();
    let tally = Tally::of("faults::endured::one_of_each_kind_is_endured");
    let mut cases = quick(&elsewhere);
    cases.retain(|case| KINDS.contains(&case.name.as_str()));
    assert_eq!(cases.len(), KINDS.len());
    endure(&cases, Size::Small, Duration::from_secs(5), tally, &elsewhere);
}

#[test]
fn each_fault_is_endured() {
    let elsewhere = Elsewhere::listen();
    let tally = Tally::of("faults::endured::each_fault_is_endured");
    let cases = quick(&elsewhere);
    endure(&cases, Size::Small, Duration::from_secs(8), tally, &elsewhere);
}

#[test]
fn each_fault_is_endured_by_the_doorbell() {
    let elsewhere = Elsewhere::listen();
    let tally = Tally::of("faults::endured::each_fault_is_endured_by_the_doorbell");
    let mut cases = quick(&elsewhere);
    cases.retain(|case| !case.content_only);
    // What is particular about the doorbell in every run, and nightly the rest.
    let mut number = 0;
    cases.retain(|case| {
        number += 1;
        nightly() || case.pace == Pace::Rhythm || number % 4 == 0
    });
    endure(&cases, Size::Large, Duration::from_secs(8), tally, &elsewhere);
}

#[test]
fn patience_has_an_end() {
    let elsewhere = Elsewhere::listen();
    let tally = Tally::of("faults::endured::patience_has_an_end");
    // A plain question is given up after 15 s.
    endure(&slow(), Size::Small, Duration::from_secs(16), tally, &elsewhere);
}

fn endure(cases: &[Case], size: Size, window: Duration, tally: Tally, elsewhere: &Elsewhere) {
    let consul = Consul::start(Kind::Real);
    let tally = Mutex::new(tally);
    std::thread::scope(|scope| {
        for (number, case) in cases.iter().enumerate() {
            let (consul, tally) = (&consul, &tally);
            let run = move || {
                let prefix = format!("c{number}");
                let proxy = Proxy::start(consul.addr());
                Trial { case, size, prefix, consul, proxy, tally }.run(window);
            };
            let thread = std::thread::Builder::new().name(case.name.clone());
            thread.spawn_scoped(scope, run).expect("a thread");
        }
    });
    let mut tally = tally.into_inner().expect("no case panicked");
    tally.check(!elsewhere.was_visited(), || "a redirect was followed".to_owned());
    tally.finish();
}

// === impl Trial ===

impl Trial<'_> {
    fn run(&self, window: Duration) {
        self.fill();
        let pod = Pod::new(self.proxy.addr(), &self.prefix)
            .env("CONSUL_HTTP_TOKEN", TOKEN)
            .arg(&["--log-level", "debug", "--backup-delay", "0s", "--seed-timeout", "90s"])
            .arg(&["--max-bytes", "256Ki", "--max-keys", "100"]);
        pod.init();
        let sidecar = pod.run(&["--wait", "1s", "--heartbeat", "1s"]);
        eventually("it works and is backed up", STARTED, || {
            let source = sidecar.source();
            let up = ["watch", "heartbeat"].iter().all(|m| source.mechanisms[*m].up);
            (up && source.backup.is_some()).then_some(())
        });
        self.proxy.take_log();
        self.proxy.set(self.case.fault.clone());
        let begun = Instant::now();
        self.brings_changes_meanwhile(&sidecar, &pod);
        self.stays_whole(&sidecar, &pod, window);
        let asked = self.asks_seldom(begun.elapsed());
        self.is_named(&sidecar);
        let mib = self.is_bounded(&sidecar);
        let healed = self.heals(&sidecar, &pod);
        measured(&format!(
            "faults: {} ({:?}): asked {} and {} times, {mib} MiB; a change after {:.1} s, well after {:.1} s",
            self.case.name,
            self.size,
            asked.0,
            asked.1,
            healed[0].as_secs_f64(),
            healed[1].as_secs_f64(),
        ));
        self.keeps_secrets(&sidecar);
    }

    fn fill(&self) {
        let prefix = &self.prefix;
        self.consul.put(&format!("{prefix}/a"), VALUE);
        self.consul.put(&format!("{prefix}/f/b"), "");
        if self.size == Size::Large {
            for n in 0..9 {
                self.consul.put(&format!("{prefix}/f/k{n}"), vec![b'x'; 8000]);
            }
        }
    }

    fn check(&self, held: bool, what: impl FnOnce() -> String) {
        let text = || format!("{} ({:?}): {}", self.case.name, self.size, what());
        self.tally.lock().expect("no check panics").check(held, text);
    }

    /// An odd index spoils no content.
    fn brings_changes_meanwhile(&self, sidecar: &Sidecar<'_>, pod: &Pod) {
        if matches!(self.case.shows, Shows::Distrusted | Shows::Nothing) {
            self.arrives(sidecar, pod, "meanwhile");
        }
    }

    /// For the whole window, and until the fault is named: on a busy machine that takes a while.
    fn stays_whole(&self, sidecar: &Sidecar<'_>, pod: &Pod, window: Duration) {
        let (files, backups) = (pod.tree(), pod.backups());
        let begun = Instant::now();
        let mut worst = None;
        while begun.elapsed() < window
            || (begun.elapsed() < window + NAMED && !self.missing(sidecar).is_empty())
        {
            let probes = ["/livez", "/readyz"].map(|probe| sidecar.get(probe).0);
            if pod.tree() != files || probes != [200, 200] {
                worst = worst.or(Some((begun.elapsed(), probes)));
            }
            std::thread::sleep(LOOK);
        }
        self.check(worst.is_none(), || format!("not whole or not well: {worst:?}"));
        if self.case.is_an_outage() {
            self.check(pod.backups() == backups, || "a backup was written".to_owned());
        }
    }

    fn is_named(&self, sidecar: &Sidecar<'_>) {
        let missing = self.missing(sidecar);
        self.check(missing.is_empty(), || {
            let (reason, metrics) = (sidecar.status().reason, sidecar.get("/metrics").1);
            let lines = metrics.lines().filter(|l| l.starts_with("seedcar_consul_requests"));
            format!("{missing:?} in {reason:?} and {:?}", lines.collect::<Vec<_>>())
        });
    }

    /// What status, reason and metrics do not say of the fault and of each mechanism.
    fn missing(&self, sidecar: &Sidecar<'_>) -> Vec<String> {
        let status = sidecar.status();
        let says = |words: &[&str]| {
            status.reason.split("; ").any(|part| words.iter().all(|word| part.contains(word)))
        };
        let mut wanted = vec![("degraded".to_owned(), status.state == Health::Degraded)];
        match self.case.shows {
            Shows::Failed(outcome, words) => {
                for mechanism in ["watch", "heartbeat"] {
                    let series = format!(
                        "seedcar_consul_requests_total{{mechanism=\"{mechanism}\",outcome=\"{outcome}\"}}"
                    );
                    let down = format!("{mechanism} down");
                    wanted.push((down.clone(), says(&[&down, words])));
                    wanted.push((series.clone(), sidecar.metric(&series) >= Some(1.0)));
                }
            }
            Shows::Held(held) => {
                wanted.push(("the hold".to_owned(), says(&[&format!("held ({})", held.word())])));
            }
            Shows::Distrusted => {
                let series =
                    "seedcar_watch_requests_total{result=\"index_reset\",source=\"default\"}";
                wanted = vec![(series.to_owned(), sidecar.metric(series) >= Some(1.0))];
            }
            Shows::Nothing => wanted.clear(),
        }
        wanted.into_iter().filter(|(_, said)| !said).map(|(what, _)| what).collect()
    }

    fn asks_seldom(&self, window: Duration) -> (usize, usize) {
        let log = self.proxy.take_log();
        let of = |name: &str| log.iter().filter(|l| l.agent().contains(name)).count();
        let asked = (of("(watch)"), of("(heartbeat)"));
        let most = self.case.pace.at_most(window);
        for (mechanism, count) in [("watch", asked.0), ("heartbeat", asked.1)] {
            self.check(count <= most, || format!("{mechanism} asked {count} times, not {most}"));
            self.check(count > 0, || format!("{mechanism} gave up"));
        }
        asked
    }

    /// The most memory that it ever had, in MiB.
    fn is_bounded(&self, sidecar: &Sidecar<'_>) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.pid()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let mib = kib >> 10;
        self.check(mib <= MEMORY, || format!("{mib} MiB resident"));
        mib
    }

    /// After the fault a change arrives, both mechanisms work, and the backup follows.
    fn heals(&self, sidecar: &Sidecar<'_>, pod: &Pod) -> [Duration; 2] {
        self.proxy.lift();
        let begun = Instant::now();
        let arrived = self.arrives(sidecar, pod, "afterwards");
        let well = within(self.case.pace.heals_within(), || {
            let status = sidecar.status();
            let source = &status.sources["default"];
            let up = ["watch", "heartbeat"].iter().all(|m| source.mechanisms[*m].up);
            let backed_up = source.backup.as_ref().map(|b| &b.digest) == source.digest.as_ref();
            up && backed_up && status.state == Health::Fresh
        });
        self.check(well, || format!("not well again: {}", sidecar.status().reason));
        [arrived, begun.elapsed()]
    }

    fn arrives(&self, sidecar: &Sidecar<'_>, pod: &Pod, when: &str) -> Duration {
        let begun = Instant::now();
        let value = format!("{VALUE} {when}");
        self.consul.put(&format!("{}/a", self.prefix), &value);
        let arrived = within(self.case.pace.heals_within(), || {
            pod.read("a").is_some_and(|read| read == value.as_bytes())
        });
        self.check(arrived, || format!("no change {when}: {}", sidecar.status().reason));
        begun.elapsed()
    }

    fn keeps_secrets(&self, sidecar: &Sidecar<'_>) {
        let mut said = BTreeMap::from([("the log", sidecar.log())]);
        for path in ["/status", "/metrics"] {
            said.insert(path, sidecar.get(path).1);
        }
        for secret in [TOKEN, VALUE] {
            let encoded = STANDARD.encode(secret);
            for (place, text) in &said {
                let hidden =
                    !text.contains(secret) && !text.contains(encoded.trim_end_matches('='));
                self.check(hidden, || format!("{secret} in {place}"));
            }
        }
    }
}

/// Whether it is so within the time. Looked at seldom: fifty others look, too.
fn within(time: Duration, mut is: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if is() {
            return true;
        }
        if begun.elapsed() > time {
            return false;
        }
        std::thread::sleep(LOOK / 5);
    }
}
