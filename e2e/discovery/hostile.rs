//! Whoever may register a service may write anything.

use serde_json::{Value, json};

use super::scene::{register_on, remove_node};
use crate::consul::{Consul, Kind};
use crate::rig::{Pod, SOON};
use crate::stories::scene::stopped;
use crate::wait::eventually;

/// Texts that end a line, a string, a path or a program's patience.
const ODD: &[&str] = &[
    "a;\nserver evil:1",
    "\"},{\"id\":\"evil\"",
    "../../etc/passwd",
    "\u{0}\u{7f}\u{2028}\u{202e}é 😀",
    "%2F%00",
    "{}",
    "<!--&amp;-->",
    " ",
];

#[test]
fn no_instance_can_write_a_line_of_its_own() {
    let consul = Consul::start(Kind::Real);
    register_on(&consul, "good", &json!({"ID": "good", "Service": "web", "Port": 80}));
    let sources = json!([
        {"name": "web", "service": {"name": "web", "file": "web.json"}},
        {"name": "lines", "service": {"name": "web", "line": "server {};"}},
    ]);
    let pod = Pod::configured(consul.addr(), &json!({"sources": sources}));
    pod.init();
    let sidecar = pod.run(&["--heartbeat", "1h"]);
    for (n, odd) in ODD.iter().enumerate() {
        let service = json!({
            "ID": odd, "Service": "web", "Address": odd, "Port": 80, "Tags": [odd, "a"],
            "Meta": {"key": odd},
        });
        register_on(&consul, &format!("n{n}"), &service);
    }
    register_on(&consul, "six", &json!({"ID": "6", "Service": "web", "Address": "fd00::1"}));
    let all = eventually("all of them in JSON", SOON, || {
        let all: Vec<Value> = serde_json::from_slice(&pod.read("web.json")?).ok()?;
        (all.len() == ODD.len() + 2).then_some(all)
    });
    for (n, odd) in ODD.iter().enumerate() {
        let found = all.iter().find(|i| i["node"] == format!("n{n}")).expect("its node");
        assert_eq!((&found["id"], &found["meta"]["key"]), (&json!(odd), &json!(odd)));
        assert!(found["tags"].as_array().expect("tags").contains(&json!(odd)));
    }
    sidecar.shows("lines.txt", "server 10.0.0.9:80;\nserver [fd00::1];\n");
    let skipped = eventually("they are named", SOON, || {
        let source = sidecar.status().sources.remove("lines")?;
        (source.skipped_total == ODD.len()).then_some(source.skipped)
    });
    assert!(skipped.values().all(|why| why == "not_an_address"), "{skipped:?}");
    (0..ODD.len()).for_each(|n| remove_node(&consul, &format!("n{n}")));
    eventually("they are gone", SOON, || {
        let all: Vec<Value> = serde_json::from_slice(&pod.read("web.json")?).ok()?;
        (all.len() == 2).then_some(())
    });
    stopped(sidecar);
}
