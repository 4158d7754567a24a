//! What `seedcar diff` says, of a real Consul and a real volume.

use serde_json::{Value, json};

use crate::consul::{Consul, Kind};
use crate::rig::Pod;

#[test]
fn it_says_what_would_change_and_where_each_file_comes_from_and_no_value() {
    let consul = Consul::start(Kind::Real);
    for (key, value) in
        [("base/a", "1"), ("base/b", "1"), ("base/gone", "1"), ("app/b", "S3CRET"), ("app/c", "1")]
    {
        consul.put(key, value);
    }
    let config = json!({
        "sources": [{"name": "base", "prefix": "base"}, {"name": "app", "prefix": "app"}],
        "validate": {"files": [{"files": "*.json"}]},
    });
    let pod = Pod::configured(consul.addr(), &config);

    let said = pod.seedcar(&["diff", "--check"]);
    assert_eq!(said.code(), 75);
    let all = "+ a  from base\n+ b  from app over base\n+ c  from app\n+ gone  from base\n";
    assert_eq!(said.log, all);
    pod.init();
    let said = pod.seedcar(&["diff", "--check"]);
    assert_eq!((said.code(), said.log.as_str()), (0, ""));

    consul.put("app/c", "S3CRET");
    consul.delete("base/gone");
    consul.put("app/x.json", "{S3CRET");
    consul.txn_set(&[("app/../up", b"S3CRET")]);
    let said = pod.seedcar(&["diff"]);
    assert_eq!(said.code(), 0);
    let expected = "~ c  from app\n- gone\n+ x.json  from app\n\
                    ! \"app/../up\" of app is missing from an output (dot_segment)\n\
                    it would be held: x.json: is not JSON (line 1, column 2)\n";
    assert_eq!(said.log, expected);
    assert_eq!(pod.read("c").as_deref(), Some(&b"1"[..]), "nothing is published");
    let said = pod.seedcar(&["diff", "--all", "-o", "json"]);
    let value: Value = serde_json::from_str(&said.log).expect("JSON");
    let b = json!({"path": "b", "change": "same", "source": "app", "over": ["base"]});
    assert_eq!(value["files"][1], b);
    assert!(!said.log.contains("S3CRET"));
    consul.delete("app/x.json");
    let sidecar = pod.run(&[]);
    sidecar.shows("c", "S3CRET");
    assert_eq!(sidecar.status().sources["base"].overridden, 1);
    drop(sidecar);

    consul.kill();
    assert_eq!(pod.seedcar(&["diff"]).code(), 69);
}
