//! A cluster, a writer, and a sidecar at each server, at the client agent and at all servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use seedcar::model::health::Health;
use seedcar::status::Source;
use tempfile::TempDir;

use super::history::History;
use super::observer::{Observer, Pulse, Tree};
use super::writer::{PAD, PAD_BYTES, PREFIXES, Writer};
use crate::consul::Cluster;
use crate::ledger::Tally;
use crate::rig::{Pod, Sidecar};
use crate::stories::scene::requests_counted;
use crate::wait::{Curtain, eventually};

/// An election, a server that catches up, or a back-off, on a busy machine.
pub const HEALED: Duration = Duration::from_secs(60);
/// Between two writes.
const PACE: Duration = Duration::from_millis(60);
/// Requests of one sidecar in a second under the writer: it is woken at most ten times, and a large
/// prefix takes three questions each.
const REQUESTS_A_SECOND: f64 = 40.0;

/// What the sidecars' token may read.
pub const READER: &str =
    r#"key_prefix "small/" { policy = "read" } key_prefix "large/" { policy = "read" }"#;
/// The secret they start with.
pub const SECRET: &str = "72656164-6572-0000-0000-000000000001";

/// The cluster and the pods.
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    history: Arc<History>,
    files: TempDir,
}

/// A running scene, as a story sees it.
pub struct Play<'s> {
    /// The cluster.
    pub cluster: &'s Cluster,
    /// What was written.
    pub history: &'s History,
    /// The pods by name, with their sidecars.
    pub cast: &'s [Actor<'s>],
    /// The scene.
    pub scene: &'s Scene,
    writer: &'s Mutex<Writer>,
    tally: &'s Mutex<Tally>,
}

/// A pod and its sidecar.
pub struct Actor<'s> {
    /// Which servers it asks, and what for.
    pub name: String,
    /// The pod.
    pub pod: &'s Pod,
    /// Its sidecar.
    pub sidecar: Sidecar<'s>,
}

/// The stories' threads look at the same things; one that failed has said so.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Scene ===

impl Scene {
    /// Starts three servers and a client agent and gives the sidecars' token its policy.
    pub fn start() -> Self {
        let cluster = Cluster::start_with_acl(3);
        let files = TempDir::new().expect("a directory");
        let scene = Self { cluster, history: Arc::default(), files };
        scene.admit();
        scene
    }

    /// Makes policy, token and the key that makes one prefix large: also after a wipe.
    pub fn admit(&self) {
        self.cluster.set_policy("reader", READER);
        self.cluster.create_token(SECRET, &["reader"]);
        self.write_token(SECRET);
        self.pad();
    }

    /// Puts the key that makes one prefix large.
    pub fn pad(&self) {
        let target = format!("/v1/kv/{}/{PAD}", PREFIXES[1]);
        eventually("the large key is there", HEALED, || {
            let answer = self.cluster.ask(0, "PUT", &target, &[b'x'; PAD_BYTES]).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Replaces the sidecars' token file.
    pub fn write_token(&self, secret: &str) {
        let (new, file) = (self.files.path().join("new"), self.files.path().join("token"));
        std::fs::write(&new, secret).expect("a token file");
        std::fs::rename(new, file).expect("a token file");
    }

    /// A pod of this prefix with these servers' addresses, in this order.
    pub fn pod(&self, prefix: &str, servers: &[usize]) -> Pod {
        let addrs = self.cluster.addrs();
        let named = servers.iter().map(|position| addrs[*position].to_string());
        named.fold(self.bare(prefix), |pod, addr| pod.arg(&["--consul", &addr]))
    }

    fn bare(&self, prefix: &str) -> Pod {
        let token = self.files.path().join("token").display().to_string();
        Pod::bare().arg(&["--prefix", prefix, "--token-file", &token])
    }

    fn pods(&self) -> Vec<(String, Pod)> {
        let [small, large] = PREFIXES;
        let client = self.cluster.client().to_string();
        vec![
            ("small at 0".to_owned(), self.pod(small, &[0])),
            ("large at 1".to_owned(), self.pod(large, &[1])),
            ("small at 2".to_owned(), self.pod(small, &[2])),
            ("small at all".to_owned(), self.pod(small, &[0, 1, 2])),
            ("large at all".to_owned(), self.pod(large, &[2, 0, 1])),
            ("large at the client".to_owned(), self.bare(large).arg(&["--consul", &client])),
        ]
    }

    /// Plays a story under a writer and an observer, then sees that everything heals: each tree is
    /// Consul's content, each sidecar is fresh, and none has asked too often.
    pub fn play(&self, test: &'static str, args: &[&str], story: impl FnOnce(&Play<'_>)) {
        let writer = Mutex::new(Writer::new(&self.cluster, self.history.clone()));
        lock(&writer).fill();
        let tally = Mutex::new(Tally::of(test));
        let pods = self.pods();
        let started = Instant::now();
        let mut cast = Vec::new();
        for (name, pod) in &pods {
            pod.init();
            cast.push(Actor { name: name.clone(), pod, sidecar: pod.run(args) });
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let _curtain = Curtain(&over);
            threads.spawn(|| self.write(&writer, &over));
            threads.spawn(|| self.observe(&cast, &tally, &over));
            let play = Play {
                cluster: &self.cluster,
                history: &self.history,
                cast: &cast,
                scene: self,
                writer: &writer,
                tally: &tally,
            };
            story(&play);
            play.heals();
            play.asked_little(started);
        });
        drop(cast);
        tally.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    }

    fn write(&self, writer: &Mutex<Writer>, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            lock(writer).attempt();
            std::thread::sleep(PACE);
        }
    }

    fn observe(&self, cast: &[Actor<'_>], tally: &Mutex<Tally>, over: &AtomicBool) {
        let mut observers = Vec::new();
        for Actor { name, pod, sidecar } in cast {
            observers.push((Observer::new(name, pod), Pulse::new(name, sidecar.addr())));
        }
        while !over.load(Ordering::Relaxed) {
            for (observer, pulse) in &mut observers {
                observer.look(&self.history, tally);
                pulse.feel(tally);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

// === impl Play ===

impl Play<'_> {
    /// Halts the writer at an acknowledged state for as long as this is kept.
    pub fn halt(&self) -> MutexGuard<'_, Writer> {
        let mut writer = lock(self.writer);
        writer.settle();
        writer
    }

    /// A fault was injected.
    pub fn fault(&self) {
        lock(self.tally).case();
    }

    /// A claim of the story holds, or does not.
    pub fn check(&self, held: bool, text: impl FnOnce() -> String) {
        lock(self.tally).check(held, text);
    }

    /// Looks at a pod that is none of the cast.
    pub fn look(&self, observer: &mut Observer<'_>) {
        observer.look(self.history, self.tally);
    }

    /// Waits until so many more writes were acknowledged.
    #[track_caller]
    pub fn wait_written(&self, more: u64) {
        let before = lock(self.writer).acknowledged;
        eventually("the writer goes on", HEALED, || {
            (lock(self.writer).acknowledged >= before + more).then_some(())
        });
    }

    /// Waits until each of these sidecars' status is so.
    #[track_caller]
    pub fn until(&self, who: &str, what: &str, is: impl Fn(&Source) -> bool) {
        for actor in self.cast.iter().filter(|actor| actor.name.contains(who)) {
            eventually(&format!("{}: {what}", actor.name), HEALED, || {
                is(&actor.sidecar.source()).then_some(())
            });
        }
        self.fault();
    }

    /// Waits, with the writer halted, until each tree is Consul's content and each sidecar fresh.
    #[track_caller]
    pub fn heals(&self) {
        self.heals_within(HEALED);
    }

    /// The same within a time that is promised.
    #[track_caller]
    pub fn heals_within(&self, within: Duration) {
        self.heals_halted(&self.halt(), within);
    }

    /// The same for who has halted the writer.
    #[track_caller]
    pub fn heals_halted(&self, _writer: &MutexGuard<'_, Writer>, within: Duration) {
        let begun = Instant::now();
        let (last, files) = self.history.last();
        for Actor { name, pod, sidecar } in self.cast {
            let left = within.saturating_sub(begun.elapsed());
            eventually(&format!("{name} has what Consul has"), left, || {
                let tree = Tree::read(pod)?;
                (tree.files == files).then_some(())
            });
            eventually(&format!("{name} is fresh"), HEALED, || {
                (sidecar.status().state == Health::Fresh).then_some(())
            });
            self.check(sidecar.source().held.is_none(), || format!("{name} holds something"));
        }
        lock(self.tally).cases(self.cast.len() as u64);
        assert_eq!(self.history.last().0, last, "the writer was halted");
    }

    fn asked_little(&self, started: Instant) {
        for Actor { name, sidecar, .. } in self.cast {
            let rate = requests_counted(sidecar) / started.elapsed().as_secs_f64();
            self.check(rate < REQUESTS_A_SECOND, || format!("{name}: {rate:.0} requests a second"));
        }
    }
}
