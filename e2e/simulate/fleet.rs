//! A fleet on three servers, for a 2.4 MB prefix: at rest, after one change, after an outage and in a
//! rollout. The second's requests and bytes are written to `target/fleet-*.csv` and drawn to
//! `target/fleet-*.svg`.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::chart::{Panel, draw};
use super::consul::{Net, Rights};
use super::servers::{LEADER, SERVERS, Second};
use super::trouble::Trouble;
use super::world::World;
use crate::ledger::Tally;

/// Bytes of the prefix.
const PREFIX: usize = 2_400_000;
/// What a server sends in a second: eight cores of one that sends 160 MB a second with each, as measured
/// by `e2e/bench --fleet`, and a little more than a network of 10 Gbit/s carries.
const RATE: u64 = 1_250_000_000;
/// So many pods are started in a second.
const A_SECOND: u64 = 100;
/// How long nothing happens.
const REST: u64 = 300;
/// How long a change and a recovery are looked at.
const AFTER: u64 = 60;
/// How long Consul is gone.
const GONE: u64 = 60;

/// A fleet's run.
struct Run {
    pods: u64,
    world: World,
    seconds: Vec<[Second; SERVERS]>,
    phases: Vec<(&'static str, Range<usize>)>,
}

/// What came to whom in one phase.
struct Sum {
    /// Of all servers.
    answers: u64,
    bytes: u64,
    /// In the busiest second.
    most_answers: u64,
    most_bytes: u64,
    leaders_bytes: u64,
}

// === impl Run ===

impl Run {
    fn play(pods: u64) -> Self {
        let mut world = World::new(7, pods as usize, 20, PREFIX);
        world.env.consul.servers.rate = Some(RATE);
        let mut run = Self { pods, world, seconds: Vec::new(), phases: Vec::new() };
        let begun = run.world.env.now;
        run.world.env.consul.servers.begin(begun);
        run.phase("start", |run| run.replace_all());
        run.phase("rest", |run| run.pass(REST));
        run.phase("change", |run| {
            run.world.env.change_one();
            run.pass(AFTER);
        });
        run.phase("gone", |run| {
            Trouble::Net(Net::Refused).strike(&mut run.world);
            run.world.env.change_one();
            run.pass(GONE);
        });
        run.phase("back", |run| {
            Trouble::Net(Net::Up).strike(&mut run.world);
            run.pass(AFTER);
        });
        run.phase("rollout", |run| run.replace_all());
        run.seconds = run.world.env.consul.servers.seconds().to_vec();
        // A last second may have nothing.
        run.seconds.resize(run.phases.last().map_or(0, |(_, span)| span.end), Default::default());
        run
    }

    fn phase(&mut self, name: &'static str, play: impl FnOnce(&mut Self)) {
        let from = self.phases.last().map_or(0, |(_, span)| span.end);
        let begun = self.world.env.now;
        play(self);
        let took = self.world.env.now.since(begun).as_secs() as usize;
        self.phases.push((name, from..from + took));
    }

    fn pass(&mut self, seconds: u64) {
        let until = self.world.env.now + Duration::from_secs(seconds);
        self.world.run_until(until);
    }

    /// Puts new pods in the place of all, one after another; their volumes are empty.
    fn replace_all(&mut self) {
        let begun = self.world.env.now;
        for at in 0..self.pods {
            self.world
                .run_until(begun + Duration::from_secs(1).mul_f64(at as f64 / A_SECOND as f64));
            let World { env, pods } = &mut self.world;
            let pod = &mut pods[at as usize];
            pod.replace();
            pod.volumes.backups.clear();
            env.oracle.replaced(at as usize);
            pod.start(env);
        }
        self.world.run_until(begun + Duration::from_secs(self.pods / A_SECOND + 2));
    }

    fn sum(&self, name: &str) -> Sum {
        let span =
            self.phases.iter().find(|(known, _)| *known == name).map(|(_, span)| span.clone());
        let seconds = &self.seconds[span.expect("a phase")];
        let all = |second: &[Second; SERVERS], of: fn(&Second) -> u64| second.iter().map(of).sum();
        let total = |of| seconds.iter().map(|second| all(second, of)).sum();
        let most = |of| seconds.iter().map(|second| all(second, of)).max().unwrap_or(0);
        let (answers, bytes) = (|s: &Second| s.answers, |s: &Second| s.bytes);
        Sum {
            answers: total(answers),
            bytes: total(bytes),
            most_answers: most(answers),
            most_bytes: most(bytes),
            leaders_bytes: seconds.iter().map(|second| second[LEADER].bytes).sum(),
        }
    }

    /// The figures and their picture.
    fn write(&self) {
        let mut csv = String::from(
            "second,leader requests,leader bytes,followers requests,followers bytes\n",
        );
        for (at, second) in self.seconds.iter().enumerate() {
            let (led, followed) = sides(second);
            let _ = writeln!(
                csv,
                "{at},{},{},{},{}",
                led.answers, led.bytes, followed.answers, followed.bytes
            );
        }
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let file = |end: &str| target.join(format!("fleet-{}.{end}", self.pods));
        fs::write(file("csv"), csv).expect("a table");
        let line = |of: &dyn Fn((Second, Second)) -> u64| -> Vec<u64> {
            self.seconds.iter().map(|second| of(sides(second))).collect()
        };
        let requests = format!("{} pods: requests a second", self.pods);
        let megabytes = format!("{} pods: MB a second", self.pods);
        let panels = [
            Panel {
                what: &requests,
                lines: vec![
                    ("both followers", line(&|(_, followed)| followed.answers)),
                    ("leader", line(&|(led, _)| led.answers)),
                ],
            },
            Panel {
                what: &megabytes,
                lines: vec![
                    ("both followers", line(&|(_, followed)| followed.bytes / 1_000_000)),
                    ("leader", line(&|(led, _)| led.bytes / 1_000_000)),
                ],
            },
        ];
        draw(&file("svg"), 0, &panels).expect("a picture");
    }
}

/// The leader, and the followers together.
fn sides(second: &[Second; SERVERS]) -> (Second, Second) {
    let mut followed = Second::default();
    for (_, server) in second.iter().enumerate().filter(|(at, _)| *at != LEADER) {
        followed.answers += server.answers;
        followed.bytes += server.bytes;
    }
    (second[LEADER], followed)
}

#[test]
fn fleet() {
    let mut tally = Tally::of("simulate::fleet");
    for pods in [1_000, 10_000] {
        let begun = Instant::now();
        let mut run = Run::play(pods);
        judge(&mut run, &mut tally);
        run.write();
        for (name, span) in &run.phases {
            let sum = run.sum(name);
            crate::stories::measured(&format!(
                "{pods} pods, {name}, {} s: {} answers, {} in the busiest second; {:.1} MB, {:.1} in the busiest second, {:.1} the leader's",
                span.len(),
                sum.answers,
                sum.most_answers,
                sum.bytes as f64 / 1e6,
                sum.most_bytes as f64 / 1e6,
                sum.leaders_bytes as f64 / 1e6,
            ));
        }
        let took = begun.elapsed().as_secs_f64();
        crate::stories::measured(&format!("{pods} pods: {took:.1} s for {} s", run.seconds.len()));
    }
    tally.finish();
}

fn judge(run: &mut Run, tally: &mut Tally) {
    let pods = run.pods;
    let view = run.world.env.consul.view(Rights::All);
    let body = view.bytes() * 4 / 3 + 100 * view.keys() as u64;
    let current = run
        .world
        .pods
        .iter()
        .filter(|pod| pod.shows().is_some_and(|(digest, _)| digest == view.digest()));
    let current = current.count() as u64;
    tally.cases(pods);
    tally.check(current == pods, || format!("{pods} pods: only {current} are current"));
    let mut at_most = |what: &str, value: u64, most: u64| {
        tally.check(value <= most, || format!("{pods} pods, {what}: {value}, allowed are {most}"));
    };
    // Each asks once in a wait, and reads everything once in fifteen minutes.
    let rest = run.sum("rest");
    let a_second = pods / 30;
    at_most("requests at rest", rest.answers, a_second * REST * 11 / 10);
    at_most("requests in a second at rest", rest.most_answers, a_second * 4);
    at_most("bytes at rest", rest.bytes, pods * body * REST / 900 * 3 / 2 + pods * 91 * 20);
    // A body each, and two questions of the doorbell besides those at rest.
    let change = run.sum("change");
    at_most("requests after a change", change.answers, pods * 3 + a_second * AFTER * 2);
    at_most("bytes after a change", change.bytes, pods * body * 23 / 20);
    at_most("the leader's bytes after a change", change.leaders_bytes, change.bytes * 2 / 5);
    // The same, spread by back-off and by the five seconds of those that find a change.
    let back = run.sum("back");
    at_most("requests in a second after an outage", back.most_answers, pods);
    at_most("bytes after an outage", back.bytes, pods * body * 23 / 20);
    at_most("bytes in a second after an outage", back.most_bytes, pods * body * 3 / 10);
    at_most("the leader's bytes after an outage", back.leaders_bytes, back.bytes * 2 / 5);
    // As fast as pods are started.
    let rollout = run.sum("rollout");
    at_most("bytes in a rollout", rollout.bytes, pods * body * 23 / 20);
    at_most("bytes in a second of a rollout", rollout.most_bytes, A_SECOND * body * 3 / 2);
    let violations = std::mem::take(&mut run.world.env.oracle.violations);
    tally.check(violations.is_empty(), || format!("{pods} pods: {violations:?}"));
}
