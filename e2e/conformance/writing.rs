//! Questions that write, and what the indexes are afterwards.

use super::{Asker, Question};

/// The table.
pub const QUESTIONS: &[Question] = &[
    Question {
        name: "the same value again",
        ask: |a| {
            a.put("a", "1");
            a.get("a");
            a.put("a", "1");
            a.get("a");
            a.put("a?flags=0", "1");
            a.get("?recurse");
        },
    },
    Question {
        name: "another value, and flags alone",
        ask: |a| {
            a.put("a", "1");
            a.put("a", "2");
            a.get("a");
            a.put("a?flags=7", "2");
            a.get("a");
            a.put("a", "2");
            a.get("a");
        },
    },
    Question {
        name: "flags over the whole range",
        ask: |a| {
            for flags in ["42", "18446744073709551615", "0"] {
                a.put(&format!("a?flags={flags}"), "v");
                a.get("a");
            }
            for flags in ["18446744073709551616", "abc", "-1", ""] {
                a.put(&format!("a?flags={flags}"), "v");
            }
        },
    },
    Question {
        name: "no name",
        ask: |a| {
            a.at("PUT", "/v1/kv/", b"v");
            a.at("DELETE", "/v1/kv/", b"");
        },
    },
    Question { name: "check and set", ask: check_and_set },
    Question { name: "check and delete", ask: check_and_delete },
    Question {
        name: "parameters that exclude each other",
        ask: |a| {
            a.put("a?cas=0&acquire=q", "v");
            a.put("a?release=x&cas=%3C", "v");
            a.delete("k/?recurse&cas=1");
            a.put("a?recurse", "v");
        },
    },
    Question {
        name: "deleting what is not there",
        ask: |a| {
            a.set("a", "1");
            a.delete("none");
            a.delete("none/?recurse");
            a.get("?recurse");
            a.get("none/?recurse");
        },
    },
    Question { name: "tombstones of single deletes", ask: single_tombstones },
    Question { name: "tombstones of recursive deletes", ask: tree_tombstones },
    Question {
        name: "deleting the root",
        ask: |a| {
            a.set("a", "1");
            a.at("DELETE", "/v1/kv/?recurse", b"");
            a.get("?recurse");
            a.get("a");
            a.at("GET", "/v1/kv/?keys", b"");
            a.set("b", "1");
            a.get("a?recurse");
        },
    },
    Question {
        name: "a deleted key that comes back",
        ask: |a| {
            a.set("k/a", "1");
            a.get("k/a");
            a.delete("k/a");
            a.get("k/a");
            a.set("k/a", "1");
            a.get("k/a");
            a.get("k/?recurse");
        },
    },
    Question {
        name: "indexes of sibling prefixes",
        ask: |a| {
            a.set("x/1", "1");
            a.set("xx/1", "1");
            a.set("y/1", "1");
            for rest in ["x?recurse", "x/?recurse", "xx?keys", "y/?recurse", "?recurse", "z?keys"] {
                a.get(rest);
            }
        },
    },
    Question { name: "odd names in a URL", ask: odd_names },
    Question {
        name: "bytes that are no UTF-8",
        ask: |a| {
            a.put("a%FF%FE", "v");
            a.get("a%FF%FE");
            a.get("a?keys");
        },
    },
    Question { name: "a value at and above the limit", ask: value_limit },
    Question { name: "a transaction that writes", ask: writing_txn },
    Question { name: "a transaction that reads", ask: reading_txn },
    Question { name: "transactions that fail", ask: failing_txns },
    Question {
        name: "a transaction is all or nothing",
        ask: |a| {
            a.txn(r#"[{"KV":{"Verb":"set","Key":"~a"}},{"KV":{"Verb":"get","Key":"~none"}}]"#);
            a.get("?recurse");
        },
    },
    Question {
        name: "a transaction over one key twice",
        ask: |a| {
            a.txn(concat!(
                r#"[{"KV":{"Verb":"set","Key":"~a","Value":"MQ=="}},"#,
                r#"{"KV":{"Verb":"set","Key":"~a","Value":"Mg=="}},"#,
                r#"{"KV":{"Verb":"get","Key":"~a"}},"#,
                r#"{"KV":{"Verb":"delete-tree","Key":"~"}}]"#
            ));
            a.get("?recurse");
        },
    },
    Question { name: "a transaction of too many operations", ask: large_txns },
    Question { name: "a transaction that is too long", ask: long_txn },
    Question {
        name: "bodies that are no transaction",
        ask: |a| {
            for body in
                ["{}", "nope", "", "[{\"KV\":{\"Flags\":-1}}]", "[{\"KV\":{\"Value\":\"!\"}}]"]
            {
                let answer = a.send("PUT", "/v1/txn", body.as_bytes());
                // What follows is in Go's words.
                let start = answer.text().starts_with("Failed to parse body: ");
                a.note(&format!("{body}: {} {start}", answer.status));
            }
            a.txn("[]");
            a.txn("[{}]");
            a.txn("null");
        },
    },
    Question {
        name: "names that only a transaction can store",
        ask: |a| {
            let names = "x//y x/../z x/. .. <&> \\u2028 \\u0000 \\n \\t \\u200d \\\" \\\\";
            for name in names.split(' ') {
                let op = r#"[{"KV":{"Verb":"set","Key":"~?","Value":"dg=="}}]"#;
                a.txn(&op.replace('?', name));
            }
            a.get("?recurse");
            a.get("?keys");
            a.get("?keys&separator=/");
        },
    },
    Question { name: "a lock taken and given back", ask: locks },
    Question { name: "a write to a locked key", ask: write_to_locked },
    Question {
        name: "locks that cannot be had",
        ask: |a| {
            a.put("a?acquire=", "v");
            a.put("a?acquire=short", "v");
            a.put("a?acquire=00000000-0000-0000-0000-000000000000", "v");
            a.put("a?release=short", "v");
            let (one, two) = (a.session(), a.session());
            a.quietly("PUT", &format!("a?acquire={one}"), "v");
            a.put(&format!("a?acquire={two}"), "w");
            a.put(&format!("a?release={two}"), "w");
            a.get("a");
        },
    },
    Question {
        name: "a session that ends",
        ask: |a| {
            let id = a.session();
            a.put(&format!("a?acquire={id}"), "v");
            a.get("a");
            a.at("PUT", &format!("/v1/session/destroy/{id}"), b"");
            a.get("a");
            a.put(&format!("a?acquire={id}"), "v");
        },
    },
    Question { name: "a snapshot given back", ask: restore },
];

fn current(a: &Asker, key: &str) -> u64 {
    let answer = a.quietly("GET", key, "").json().expect("no JSON");
    answer[0]["ModifyIndex"].as_u64().expect("no index")
}

fn check_and_set(a: &mut Asker) {
    a.put("a?cas=0", "1");
    a.put("a?cas=0", "2");
    a.put("new?cas=1", "2");
    a.get("?recurse");
    let index = current(a, "a");
    a.call(&format!("cas={index}"), "cas=<current>");
    a.put(&format!("a?cas={index}"), "3");
    a.put(&format!("a?cas={index}"), "4");
    a.get("?recurse");
    let index = current(a, "a");
    a.call(&format!("cas={index}"), "cas=<current>");
    a.put(&format!("a?cas={index}"), "3");
    a.get("?recurse");
    a.put("a?cas=abc", "5");
    a.put("a?cas=", "5");
}

fn check_and_delete(a: &mut Asker) {
    a.set("a", "1");
    a.delete("none?cas=3");
    a.delete("a?cas=0");
    a.delete("a?cas=1");
    a.get("?recurse");
    let index = current(a, "a");
    a.call(&format!("cas={index}"), "cas=<current>");
    a.delete(&format!("a?cas={index}"));
    a.get("?recurse");
    a.delete("a?cas=abc");
}

fn single_tombstones(a: &mut Asker) {
    for key in ["k/a", "k/b", "k/c/d"] {
        a.set(key, "v");
    }
    a.delete("k/b");
    for rest in ["k/?recurse", "k/b?recurse", "k/b", "k/c/?recurse", "k/c/?keys"] {
        a.get(rest);
    }
    a.set("elsewhere", "v");
    a.get("k/b?recurse");
    a.get("k/b");
    a.delete("k/a");
    a.delete("k/c/d");
    a.set("elsewhere", "w");
    for rest in ["k/?recurse", "k/?keys&separator=/", "k/c/?recurse", "k/c/x?recurse"] {
        a.get(rest);
    }
}

fn tree_tombstones(a: &mut Asker) {
    for key in ["k/a", "k/c/d", "k/c/e", "other"] {
        a.set(key, "v");
    }
    a.delete("k/?recurse");
    a.set("other", "w");
    for rest in ["k/?recurse", "k?recurse", "k/c/?recurse", "k/a", "k/a?recurse", "?recurse"] {
        a.get(rest);
    }
    a.delete("k/?recurse");
    a.get("k/?recurse");
    a.set("k/a", "v");
    a.get("k/?recurse");
}

fn odd_names(a: &mut Asker) {
    for name in [
        "a%2Fb",
        "a%252Fb",
        "a+b",
        "a%20b",
        "%C3%BC",
        "a%3F%23%25%5C",
        ";&=:",
        "%3C%3E%22*~",
        "x/",
        "%F0%9F%98%80",
        "a.json",
        "...",
        "a/.../b",
        "%EF%BF%BD",
        "a,b@c!d$e'(f)",
    ] {
        a.put(name, "v");
        a.get(name);
    }
    a.get("?keys");
    a.get("?recurse");
    a.get("?keys&separator=/");
}

fn value_limit(a: &mut Asker) {
    let limit = 512 * 1024;
    let target = a.target("big");
    a.at("PUT", &target, &vec![b'x'; limit]);
    a.at("PUT", &target, &vec![b'x'; limit + 1]);
    let length = a.send("GET", &format!("{target}?raw"), b"").body.len();
    a.note(&format!("stored: {length}"));
}

fn writing_txn(a: &mut Asker) {
    a.set("t/a", "1");
    a.set("t/b", "1");
    a.txn(concat!(
        r#"[{"KV":{"Verb":"set","Key":"~t/c","Value":"eA==","Flags":18446744073709551615}},"#,
        r#"{"KV":{"Verb":"get","Key":"~t/a"}},{"KV":{"Verb":"get-tree","Key":"~t/"}},"#,
        r#"{"KV":{"Verb":"delete","Key":"~t/b"}},{"KV":{"Verb":"set","Key":"~t/a","Value":"MQ=="}},"#,
        r#"{"KV":{"Verb":"check-not-exists","Key":"~t/b"}}]"#
    ));
    a.get("t/?recurse");
    let index = current(a, "t/a");
    a.txn(&format!(r#"[{{"KV":{{"Verb":"check-index","Key":"~t/a","Index":{index}}}}}]"#));
    let op = |verb| format!(r#"[{{"KV":{{"Verb":"{verb}","Key":"~t/a","Index":{index}}}}}]"#);
    a.txn(&op("cas"));
    a.txn(&op("delete-cas").replace(&index.to_string(), &current(a, "t/a").to_string()));
    a.txn(r#"[{"KV":{"Verb":"delete-cas","Key":"~none","Index":3}}]"#);
    a.txn(r#"[{"kv":{"verb":"set","key":"~lower","value":"dg==","FLAGS":3}}]"#);
    a.txn(r#"[{"KV":{"Verb":"delete-tree","Key":"~t/"}}]"#);
    a.get("?recurse");
    a.get("t/?recurse");
}

fn reading_txn(a: &mut Asker) {
    a.set("t/a", "1");
    a.set("t/b", "2");
    a.txn(r#"[{"KV":{"Verb":"get","Key":"~t/a"}}]"#);
    a.txn(r#"[{"KV":{"Verb":"get-tree","Key":"~t/"}},{"KV":{"Verb":"get","Key":"~t/b"}}]"#);
    a.txn(r#"[{"KV":{"Verb":"get-tree","Key":"~none/"}}]"#);
    a.txn(r#"[{"KV":{"Verb":"check-not-exists","Key":"~none"}}]"#);
    let ops = r#"[{"KV":{"Verb":"get","Key":"~t/a"}}]"#.replace('~', &a.prefix);
    a.at("PUT", "/v1/txn?stale", ops.as_bytes());
}

fn failing_txns(a: &mut Asker) {
    a.set("t/a", "1");
    for op in [
        r#"{"Verb":"get","Key":"~none"}"#,
        r#"{"Verb":"get-tree","Key":""}"#,
        r#"{"Verb":"set","Key":""}"#,
        r#"{"Verb":"bogus","Key":"~t/a"}"#,
        r#"{"Verb":"cas","Key":"~t/a","Index":1}"#,
        r#"{"Verb":"cas","Key":"~none","Index":1}"#,
        r#"{"Verb":"check-index","Key":"~t/a","Index":3}"#,
        r#"{"Verb":"check-index","Key":"~none","Index":3}"#,
        r#"{"Verb":"check-not-exists","Key":"~t/a"}"#,
        r#"{"Verb":"delete-cas","Key":"~t/a","Index":3}"#,
    ] {
        a.txn(&format!(r#"[{{"KV":{op}}}]"#));
    }
    a.txn(concat!(
        r#"[{"KV":{"Verb":"cas","Key":"~t/a","Index":1}},{"KV":{"Verb":"set","Key":"~x"}},"#,
        r#"{"KV":{"Verb":"get","Key":"~<none>"}}]"#
    ));
    a.get("?recurse");
}

fn large_txns(a: &mut Asker) {
    for count in [64, 65] {
        let op = |at| format!(r#"{{"KV":{{"Verb":"set","Key":"~{at}","Value":"dg=="}}}}"#);
        let ops: Vec<String> = (0..count).map(op).collect();
        a.txn(&format!("[{}]", ops.join(",")));
    }
    a.get("?keys");
}

fn long_txn(a: &mut Asker) {
    let value = "A".repeat(600_000);
    // Without the prefix, whose length is in the answer.
    let ops = format!(r#"[{{"KV":{{"Verb":"set","Key":"x","Value":"{value}"}}}}]"#);
    a.txn(&ops);
    a.at("GET", "/v1/kv/?keys", b"");
}

fn locks(a: &mut Asker) {
    let id = a.session();
    a.set("a", "v");
    for _ in 0..2 {
        a.put(&format!("a?acquire={id}"), "v");
        a.get("a");
        a.put(&format!("a?acquire={id}"), "v");
        a.get("a");
        a.put(&format!("a?release={id}"), "v");
        a.get("a");
    }
    a.put(&format!("new?acquire={id}"), "v");
    a.get("?recurse");
}

fn write_to_locked(a: &mut Asker) {
    let id = a.session();
    a.put(&format!("a?acquire={id}"), "v");
    a.get("a");
    a.put("a", "v");
    a.get("a");
    a.put("a", "v");
    a.get("a");
    a.put(&format!("a?acquire={id}"), "v");
    a.put(&format!("a?release={id}"), "w");
    a.get("a");
}

fn restore(a: &mut Asker) {
    a.set("k/a", "1");
    a.set("k/gone", "1");
    a.delete("k/gone");
    let snapshot = a.consul.snapshot();
    a.get("k/?recurse");
    a.set("k/a", "2");
    a.set("k/b", "1");
    a.get("k/?recurse");
    a.consul.restore(&snapshot);
    a.get("k/?recurse");
    a.get("k/gone");
    a.get("none");
    a.set("k/c", "1");
    a.get("k/?recurse");
    a.at("PUT", "/v1/kv/k", b"v");
}
