//! The checklist of a correct Consul client: each rule a test that carries its number.
//!
//! What a Consul 1.8.7 can be made to do, a real one does; the rest is done by the embedded one,
//! which the conformance tests hold to the real one. Where a rule was decided differently for
//! seedcar, the test is of the rule as it was decided.

mod answers;
mod asking;
mod guards;
mod index;
mod keys;
mod lies;
mod pace;
mod raw;
mod seeding;
mod tokens;
mod transport;
mod values;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use serde_json::json;

use crate::consul::{Consul, Kind};
use crate::ledger::Proof;
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::eventually;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P2",
        test: "rules::index",
        shows: "rules 7-10, 12-15, 47, 70: what each index means, and that old bodies are never used",
        mutants: &["rules-early-is-quiet", "rules-back-is-news"],
    },
    Proof {
        promise: "P2",
        test: "rules::values",
        shows: "rules 38, 41, 42, 44, 45: values, names and flags as Consul has them",
        mutants: &["rules-short-flags"],
    },
    Proof {
        promise: "P3",
        test: "rules::guards",
        shows: "rules 1-3, 43, 52: what looks like a loss is held",
        mutants: &["rules-empty-is-fine", "rules-shrink-is-fine"],
    },
    Proof {
        promise: "P3",
        test: "rules::tokens",
        shows: "rules 1, 4-6, 63, 64: what a token may not see is not gone",
        mutants: &["rules-hidden-is-empty"],
    },
    Proof {
        promise: "P3",
        test: "rules::answers",
        shows: "rules 23-32, 65: answers that are none change no file and no index",
        mutants: &["rules-cut-body", "rules-follow-redirects", "rules-garbage-is-empty"],
    },
    Proof {
        promise: "P7",
        test: "rules::deadlines",
        shows: "rules 16, 21, 22, 53, 54, 62: a change arrives whatever the watch waits for",
        mutants: &["rules-no-deadline", "rules-impatient"],
    },
    Proof {
        promise: "P8",
        test: "rules::freshness",
        shows: "rules 48, 67: only the moment of asking counts, and only answers of the store",
        mutants: &["rules-confirmed-when-answered"],
    },
    Proof {
        promise: "P9",
        test: "rules::seeding",
        shows: "rules 15, 49-51: leader, any server, backup, in this order and in time",
        mutants: &["rules-stale-only-when-slow"],
    },
    Proof {
        promise: "P11",
        test: "rules::transport",
        shows: "rule 68: certificates that rotate",
        mutants: &["rules-certificates-once"],
    },
    Proof {
        promise: "P12",
        test: "rules::keys",
        shows: "rules 33-37, 39, 40, 46, 69: prefixes and keys that are hostile or only odd",
        mutants: &["rules-no-slash", "rules-dot-segment", "rules-percent"],
    },
    Proof {
        promise: "P13",
        test: "rules::pace",
        shows: "rules 11, 17-20, 55-61, 66: how often and how dearly Consul is asked",
        mutants: &["rules-no-bucket", "rules-same-instant"],
    },
];

/// Rules that ask for nothing here, with the reason.
const DOES_NOT_APPLY: &[(u32, &str)] = &[];

/// So many rules has the list.
const RULES: u32 = 70;

#[test]
fn each_rule_is_a_test_or_has_a_reason_and_not_both() {
    let tested = tested();
    let excused: BTreeSet<u32> = DOES_NOT_APPLY.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(excused.len(), DOES_NOT_APPLY.len(), "a rule has two reasons");
    assert!(DOES_NOT_APPLY.iter().all(|(_, reason)| !reason.is_empty()));
    let both: Vec<_> = tested.intersection(&excused).collect();
    assert!(both.is_empty(), "tested and excused: {both:?}");
    let all: BTreeSet<u32> = tested.union(&excused).copied().collect();
    let missing: Vec<_> = (1..=RULES).filter(|rule| !all.contains(rule)).collect();
    assert!(missing.is_empty(), "neither tested nor excused: {missing:?}");
    assert_eq!(all.len() as u32, RULES, "there is no rule 0, nor one above {RULES}: {all:?}");
}

/// The numbers in the names of the tests below this folder.
fn tested() -> BTreeSet<u32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/rules");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("e2e/rules").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a source file");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[test]") {
            let number = pair[1].strip_prefix("fn rule_").and_then(|name| name.split('_').next());
            found.insert(number.and_then(|n| n.parse().ok()).expect("each test has a number"));
        }
    }
    found
}

/// A real Consul for rules that keep to prefixes of their own. It ends with the last of those that
/// run at the same time.
fn shared() -> Arc<Consul> {
    static SHARED: Mutex<Weak<Consul>> = Mutex::new(Weak::new());
    of(&SHARED, || Consul::start_real(json!({"limits": {"kv_max_value_size": 4 << 20}})))
}

/// The same, with ACLs that deny by default.
fn shared_acl() -> Arc<Consul> {
    static SHARED: Mutex<Weak<Consul>> = Mutex::new(Weak::new());
    of(&SHARED, Consul::start_with_acl)
}

fn of(shared: &Mutex<Weak<Consul>>, start: impl FnOnce() -> Consul) -> Arc<Consul> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let consul = Arc::new(start());
        *shared = Arc::downgrade(&consul);
        consul
    })
}

/// A pod of this prefix, filled from Consul.
fn filled(consul: &Consul, prefix: &str) -> Pod {
    let pod = Pod::new(consul.addr(), prefix);
    pod.init();
    pod
}

/// An embedded Consul with these keys under `app/`, and a pod filled from it.
fn embedded(keys: &[(&str, &str)]) -> (Consul, Pod) {
    let consul = Consul::start(Kind::Embedded);
    for (key, value) in keys {
        consul.put(&format!("app/{key}"), value);
    }
    let pod = filled(&consul, "app");
    (consul, pod)
}

/// An embedded Consul whose prefix is watched by its doorbell: 100 KiB under few names.
fn embedded_large() -> (Consul, Pod) {
    let consul = Consul::start(Kind::Embedded);
    let value = "x".repeat(1024);
    for n in 0..100 {
        consul.kv().put(&format!("app/{}/{n}", n % 4), value.as_str());
    }
    let pod = filled(&consul, "app");
    (consul, pod)
}

/// One question that the embedded Consul was asked.
struct Asked {
    target: String,
    at: Instant,
}

/// What a mechanism (`watch`, `heartbeat`, `seed`) has asked the embedded Consul so far.
fn asked_by(consul: &Consul, mechanism: &str) -> Vec<Asked> {
    let by = format!("({mechanism})");
    let all = consul.requests().all().into_iter().filter(|r| r.agent.contains(&by));
    all.map(|r| Asked { target: r.target, at: r.at }).collect()
}

/// Waits until the watch has a question under way at the prefix's present index.
#[track_caller]
fn until_blocked(consul: &Consul) {
    let at = format!("index={}&", consul.index("app/"));
    eventually("the watch blocks", SOON, || {
        asked_by(consul, "watch").last()?.target.contains(&at).then_some(())
    });
}

/// How many requests of the watch ended so.
fn outcome(sidecar: &Sidecar<'_>, word: &str) -> f64 {
    let series = format!("seedcar_consul_requests_total{{mechanism=\"watch\",outcome=\"{word}\"}}");
    sidecar.metric(&series).unwrap_or(0.0)
}

/// How many blocking queries ended so.
fn watched(sidecar: &Sidecar<'_>, word: &str) -> f64 {
    let series = format!("seedcar_watch_requests_total{{result=\"{word}\",source=\"default\"}}");
    sidecar.metric(&series).unwrap_or(0.0)
}

/// Waits until this sidecar has published so many generations; there must be no more.
#[track_caller]
fn until_published(sidecar: &Sidecar<'_>, count: usize) {
    eventually("it is published", SOON, || (published(sidecar) >= count).then_some(()));
    assert_eq!(published(sidecar), count, "generations");
}

/// How many generations this sidecar has published.
fn published(sidecar: &Sidecar<'_>) -> usize {
    sidecar.events("published").len()
}

/// A file's content as text.
fn text(pod: &Pod, path: &str) -> Option<String> {
    pod.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
