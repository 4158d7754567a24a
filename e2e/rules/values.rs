//! Values, names and flags are in the files and the backup as Consul has them.

use seedcar::demo::server::{Fault, Requests};
use seedcar::model::guard::Reason;

use crate::ledger::Tally;
use crate::rig::Pod;
use crate::rules::{embedded, filled, shared, until_blocked};
use crate::stories::content::names;
use crate::stories::scene::{stopped, until_held, watching};

const GROUP: &str = "rules::values";

#[test]
fn rule_38_no_value_is_an_empty_file() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    consul.put("r38/empty", "");
    consul.put("r38/full", "1");
    let pod = filled(&consul, "r38");
    tally.check(pod.read("empty").as_deref() == Some(b""), || "no empty file".to_owned());
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    consul.put("r38/full", "");
    sidecar.shows("full", "");
    tally.case();
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_41_names_that_only_look_alike_are_files_of_their_own() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    // Case, and one letter in its composed and its decomposed form.
    let alike = ["Key", "key", "KEY", "caf\u{e9}", "cafe\u{301}", "\u{ff21}", "A"];
    for name in alike {
        consul.txn_set(&[(&format!("r41/{name}"), name.as_bytes())]);
    }
    let pod = filled(&consul, "r41");
    for name in alike {
        tally.check(pod.read(name).as_deref() == Some(name.as_bytes()), || name.to_owned());
    }
    tally.check(names(&pod).len() == alike.len(), || format!("{:?}", names(&pod)));
    tally.finish();
}

#[test]
fn rule_42_a_value_may_be_larger_than_consuls_usual_limit_and_the_sum_has_one() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    let large: Vec<u8> = (0..2_u32 << 20).map(|n| (n * 31 + n / 251) as u8).collect();
    consul.put("r42/large", &large);
    let pod = filled(&consul, "r42");
    tally.check(pod.read("large").as_deref() == Some(&large), || "not the value".to_owned());
    let sidecar = watching(&pod, &["--max-bytes", "3Mi", "--no-heartbeat"]);
    consul.put("r42/more", &large);
    until_held(&sidecar, &pod, Reason::TooLarge);
    tally.check(names(&pod) == ["large"], || format!("{:?}", names(&pod)));
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_44_flags_are_whole() {
    let mut tally = Tally::of(GROUP);
    let consul = shared();
    let flags = [0, 1, 1 << 53, (1 << 53) + 1, 1 << 63, u64::MAX];
    for (n, flag) in flags.iter().enumerate() {
        consul.put_flags(&format!("r44/{n}"), "1", *flag);
    }
    let pod = Pod::new(consul.addr(), "r44").arg(&["--backup-delay", "0s"]);
    pod.init();
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    sidecar.until("there is a backup", |s| s.backup.is_some());
    let exported = pod.seedcar(&["backup", "export"]).log;
    let exported: serde_json::Value = serde_json::from_str(&exported).expect("JSON");
    for (n, flag) in flags.iter().enumerate() {
        tally.check(exported[n]["flags"] == *flag, || exported[n].to_string());
    }
    stopped(sidecar);
    tally.finish();
}

#[test]
fn rule_45_fields_that_are_unknown_or_in_another_order_do_no_harm() {
    let mut tally = Tally::of(GROUP);
    let (consul, pod) = embedded(&[("a", "1")]);
    let sidecar = watching(&pod, &["--no-heartbeat"]);
    for (n, body) in [
        r#"[{"Value":"Mg==","Key":"app/a"}]"#,
        r#"[{"Namespace":"team","Partition":"p","Key":"app/a","Value":"Mw==","ModifyIndex":9}]"#,
        r#"[{"New":{"deep":[1,{"Key":"no"}],"s":"}]\""},"Value":"NA==","Flags":0,"Key":"app/a"}]"#,
    ]
    .iter()
    .enumerate()
    {
        until_blocked(&consul);
        // The question under way is answered as it is; the one after it with this body.
        let next = Requests::from_agent("watch").times(1);
        consul.faults().add(next, Fault::Body((*body).into()));
        consul.put("app/wake", n.to_string());
        sidecar.shows("wake", n.to_string());
        consul.put("app/wake", "again");
        sidecar.shows("a", (n + 2).to_string());
        tally.case();
        consul.put("app/a", format!("back {n}"));
        sidecar.shows("a", format!("back {n}"));
    }
    stopped(sidecar);
    tally.finish();
}
