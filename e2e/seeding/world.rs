//! A Consul in each state, and a pod for each case.

use std::collections::HashMap;
use std::process::Command;

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::confirmation::Origin;
use seedcar::publisher::manifest::Manifest;

use super::{Backups, Case, Consul, Volume, backups};
use crate::consul::{Consul as Server, Kind};
use crate::rig::{Mount, Pod};

/// Keys of a whole prefix, and what is left of it where most are lost.
pub const KEYS: usize = 20;
pub const FEW: usize = 3;

/// The most keys that the pods take.
const MOST: usize = 30;

/// Everything that the cases share.
pub struct World {
    servers: HashMap<usize, Server>,
    filled: Pod,
}

/// What a volume holds: who wrote it, where it says it is from, how many keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub by: Option<String>,
    pub origin: Option<Origin>,
    pub keys: usize,
}

/// A whole prefix; its key `by` says who wrote it.
pub fn keys(by: &str) -> Vec<(String, String)> {
    let numbered = (1..KEYS).map(|n| (format!("k{n:02}"), format!("value {n}")));
    [("by".to_owned(), by.to_owned())].into_iter().chain(numbered).collect()
}

// === impl World ===

impl World {
    /// Starts the servers and fills one volume.
    pub fn new() -> Self {
        let server = Server::start(Kind::Embedded);
        put(&server, &keys("kept"));
        let filled = Pod::new(server.addr(), "app");
        filled.init();
        let servers = Consul::ALL.map(|state| (state as usize, serve(state)));
        Self { servers: servers.into(), filled }
    }

    /// The pod of a case, ready to be seeded.
    pub fn pod(&self, case: &Case) -> Pod {
        let server = &self.servers[&(case.consul as usize)];
        let mut pod = Pod::new(server.addr(), "app").arg(&["--max-keys", &MOST.to_string()]);
        backups::make(&pod.backup(), case.backups);
        match case.backups {
            Backups::Off => pod = pod.arg(&["--no-backup"]),
            Backups::Hung => pod.mount_backup(Mount::Silent),
            _ => {}
        }
        match case.volume {
            Volume::Empty => {}
            Volume::Missing => std::fs::remove_dir(pod.volume()).expect("remove the volume"),
            Volume::Filled => self.fill(&pod),
            Volume::Tampered => {
                self.fill(&pod);
                let file = pod.live().join("..data/by");
                std::fs::remove_file(&file).expect("remove a file");
                std::fs::write(&file, "somebody").expect("write a file");
            }
        }
        pod
    }

    fn fill(&self, pod: &Pod) {
        let from = format!("{}/.", self.filled.volume().display());
        let copied = Command::new("cp").arg("-a").arg(from).arg(pod.volume()).status();
        assert!(copied.expect("cp").success());
    }
}

fn put(server: &Server, keys: &[(String, String)]) {
    for (key, value) in keys {
        server.put(&format!("app/{key}"), value);
    }
}

/// A server in this state.
fn serve(state: Consul) -> Server {
    let server = Server::start(Kind::Embedded);
    let all = keys("consul");
    match state {
        Consul::Empty => server.put("other/a", "1"),
        Consul::Shrunken => put(&server, &all[..FEW]),
        _ => put(&server, &all),
    }
    if state == Consul::TooLarge {
        (KEYS..=MOST + 1).for_each(|n| server.put(&format!("app/more{n}"), "1"));
    }
    if state == Consul::Refused {
        server.kill();
    } else if let Some((requests, fault)) = fault(state) {
        server.faults().add(requests, fault);
    }
    server
}

fn fault(state: Consul) -> Option<(Requests, Fault)> {
    let away = vec![("Location".to_owned(), "http://127.0.0.1:1/".to_owned())];
    let fault = match state {
        Consul::Silent => Fault::NeverAnswer,
        Consul::StaleOnly => {
            return Some((Requests::all().without("stale"), Fault::NeverAnswer));
        }
        Consul::NoLeader => Fault::no_leader(),
        Consul::Denied => Fault::denied(),
        Consul::BadRequest => Fault::status(400, "Invalid key name"),
        Consul::Redirected => Fault::Answer { status: 301, headers: away, body: Vec::new() },
        Consul::Busy => Fault::too_many_requests(7),
        Consul::Garbage => Fault::Body(b"<html>".to_vec()),
        Consul::NoIndex => Fault::NoIndex,
        Consul::CutBody => Fault::CutBody(100),
        Consul::Up | Consul::Refused | Consul::Empty | Consul::Shrunken | Consul::TooLarge => {
            return None;
        }
    };
    Some((Requests::all(), fault))
}

// === impl Found ===

impl Found {
    /// Looks.
    pub fn in_volume(pod: &Pod) -> Self {
        let manifest = pod.read("..data/..manifest.json");
        let manifest = manifest.and_then(|text| Manifest::parse(&text));
        Self {
            by: pod.read("by").map(|text| String::from_utf8_lossy(&text).into_owned()),
            origin: manifest.map(|m| m.sources[0].origin),
            keys: pod.tree().len(),
        }
    }

    /// What a case begins with.
    pub fn before(case: &Case) -> Self {
        let filled =
            |by: &str| Self { by: Some(by.to_owned()), origin: Some(Origin::Consul), keys: KEYS };
        match case.volume {
            Volume::Empty | Volume::Missing => Self::default(),
            Volume::Filled => filled("kept"),
            Volume::Tampered => filled("somebody"),
        }
    }
}
