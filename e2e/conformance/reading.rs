//! Questions that read and are answered at once.

use super::{Asker, Question};

/// The table.
pub const QUESTIONS: &[Question] = &[
    Question {
        name: "a store in which nothing was ever written",
        ask: |a| {
            a.consul.restart_empty();
            a.get("x");
            a.get("?recurse");
            a.at("GET", "/v1/kv/?keys", b"");
            a.at("GET", "/v1/kv/?recurse", b"");
        },
    },
    Question {
        name: "a single key",
        ask: |a| {
            a.set("a", "1");
            a.get("a");
            a.get("a?raw");
        },
    },
    Question {
        name: "a missing key and a missing prefix",
        ask: |a| {
            a.set("a", "1");
            a.get("none");
            a.get("none?raw");
            a.get("none?recurse");
            a.get("none?keys");
            a.get("none?keys&separator=/");
        },
    },
    Question {
        name: "the root",
        ask: |a| {
            a.at("GET", "/v1/kv/", b"");
            a.at("GET", "/v1/kv/?raw", b"");
            a.at("GET", "/v1/kv/?separator=/", b"");
            a.at("GET", "/v1/kv", b"");
            a.set("a", "1");
            a.set("b/c", "2");
            a.at("GET", "/v1/kv/?keys", b"");
            a.at("GET", "/v1/kv/?keys&separator=/", b"");
            a.at("GET", "/v1/kv/?recurse", b"");
        },
    },
    Question {
        name: "an empty root",
        ask: |a| {
            a.at("GET", "/v1/kv/?keys", b"");
            a.at("GET", "/v1/kv/?recurse", b"");
        },
    },
    Question { name: "a list with a folder marker and an empty value", ask: a_tree_listed },
    Question {
        name: "an empty value, raw",
        ask: |a| {
            a.set("empty", "");
            a.set("dir/", "");
            a.get("empty?raw");
            a.get("dir/?raw");
            a.get("dir/");
        },
    },
    Question { name: "separators", ask: separators },
    Question {
        name: "switches that are there with any value",
        ask: |a| {
            a.set("k/a", "1");
            a.set("k/b", "2");
            for query in ["recurse=false", "keys=false", "recurse&keys", "recurse&raw"] {
                a.get(&format!("k/?{query}"));
            }
        },
    },
    Question {
        name: "a byte prefix that cuts a name",
        ask: |a| {
            a.set("ab/1", "1");
            a.set("abc/1", "2");
            a.get("ab?recurse");
            a.get("ab/?recurse");
            a.get("a?keys&separator=/");
        },
    },
    Question {
        name: "the order of keys",
        ask: |a| {
            for key in ["b", "a/z", "a", "a-b", "a/", "A", "a.b", "%C3%BC", "~"] {
                a.set(key, "v");
            }
            a.get("?keys");
            a.get("?recurse");
        },
    },
    Question {
        name: "indexes without a wait",
        ask: |a| {
            a.set("a", "1");
            a.get("a?index=0");
            a.get("a?index=1");
            a.get("a?index=");
            a.get("a?index=&wait=");
            a.get("a?index=01&wait=1s");
            a.get("a?wait=10s");
        },
    },
    Question {
        name: "indexes that are none",
        ask: |a| {
            a.set("a", "1");
            for index in ["abc", "-1", "+1", "%2B1", "0x1", "1.5", "18446744073709551616", "%20"] {
                a.get(&format!("a?index={index}"));
            }
        },
    },
    Question {
        name: "the greatest index there is",
        ask: |a| {
            a.set("a", "1");
            a.get("a?index=18446744073709551615&wait=10ms");
        },
    },
    Question {
        name: "waits that are none",
        ask: |a| {
            a.set("a", "1");
            for wait in ["30", "1m30", "s", "abc", "1d", "-", "1s1"] {
                a.get(&format!("a?index=1&wait={wait}"));
            }
            a.get("a?wait=x&index=x");
        },
    },
    Question {
        name: "waits in every unit",
        ask: |a| {
            a.set("a", "1");
            for wait in ["1ns", "1us", "1ms", "1s", "1m", "1h", "1h1m1.5s", ".5s", "0", "-5s"] {
                a.get(&format!("a?index=1&wait={wait}"));
            }
        },
    },
    Question {
        name: "consistency modes",
        ask: |a| {
            a.set("a", "1");
            for mode in ["stale", "consistent", "leader", "cached", "stale&max_stale=1s"] {
                a.get(&format!("a?{mode}"));
            }
            a.get("a?stale&consistent");
            a.get("a?cached&consistent");
            a.get("a?stale&consistent&index=x");
            a.put("a?stale&consistent", "2");
        },
    },
    Question {
        name: "other parameters",
        ask: |a| {
            a.set("a", "1");
            for other in ["dc=dc1", "dc=nowhere", "ns=default", "partition=x", "token=any", "x;y"] {
                a.get(&format!("a?{other}"));
            }
            a.get("a?index=%zz");
        },
    },
    Question {
        name: "methods that are not for keys",
        ask: |a| {
            a.set("a", "1");
            let target = a.target("a");
            for method in ["HEAD", "POST", "OPTIONS", "PATCH"] {
                a.at(method, &target, b"");
            }
        },
    },
    Question {
        name: "methods that are not for other paths",
        ask: |a| {
            a.at("GET", "/v1/txn", b"");
            a.at("POST", "/v1/status/leader", b"");
            a.at("POST", "/v1/snapshot", b"");
            a.at("POST", "/v1/session/create", b"");
            a.at("PUT", "/v1/internal/acl/authorize", b"[]");
        },
    },
    Question {
        name: "unclean paths",
        ask: |a| {
            for rest in ["a//b", "./a", "../a", "%2e%2e/a", "%2Fa", "x%2F%2Fy", "a/..", "a/.", "/"]
            {
                a.get(rest);
                a.put(rest, "v");
                a.delete(rest);
            }
            a.get("a//b?recurse&x=1");
            a.get("a%20b//c");
            a.at("GET", "/v1/kv//a", b"");
            a.at("GET", "/v1/kv/..", b"");
            a.at("GET", "/v1/kv?keys", b"");
        },
    },
    Question {
        name: "names that no URL may say",
        ask: |a| {
            for name in ["a%00", "a%0A", "a%09", "a%7F", "a%E2%80%8D", "a%C2%A0", "a%E2%80%A8"] {
                a.get(name);
                a.put(name, "v");
            }
        },
    },
    Question {
        name: "a broken escape",
        ask: |a| {
            // Only the status: Go answers below HTTP's own level.
            for name in ["a%zz", "a%"] {
                let status = a.send("GET", &a.target(name), b"").status;
                a.note(&format!("{name}: {status}"));
            }
        },
    },
    Question {
        name: "paths that are not there",
        ask: |a| {
            a.at("GET", "/v1/nope", b"");
            a.at("GET", "/v1/kvx", b"");
            a.at("PUT", "/v1/nope", b"v");
        },
    },
    Question {
        name: "the leader",
        ask: |a| {
            let leader = a.send("GET", "/v1/status/leader", b"");
            let named = leader.json().and_then(|said| Some(!said.as_str()?.is_empty()));
            a.note(&format!("{} {named:?}", leader.status));
        },
    },
    Question {
        name: "a value of every byte",
        ask: |a| {
            let value: Vec<u8> = (0..=255).collect();
            let target = a.target("bytes");
            a.at("PUT", &target, &value);
            a.get("bytes");
            let same = a.send("GET", &format!("{target}?raw"), b"").body == value;
            a.note(&format!("the same bytes: {same}"));
        },
    },
    Question {
        name: "a list of many keys",
        ask: |a| {
            for key in 0..150 {
                a.set(&format!("many/{key:03}"), &"x".repeat(key));
            }
            a.get("many/?recurse");
            a.get("many/?keys");
            a.get("many/?keys&separator=/");
        },
    },
];

fn a_tree_listed(a: &mut Asker) {
    a.set("k/a", "x");
    a.set("k/b/c", "y");
    a.set("k/b/d", "z");
    a.set("k/", "");
    a.set("k/e", "");
    for query in ["?recurse", "?keys", "?recurse&separator=/", "/?recurse", "b?recurse"] {
        a.get(&format!("k/{query}"));
    }
    a.get("k?keys&separator=/");
}

fn separators(a: &mut Asker) {
    for key in ["k/a", "k/b/c", "k/b/d", "k/bb", "k/e/f/g", "k"] {
        a.set(key, "v");
    }
    for separator in ["/", "", "b", "/d", "zz", "%2F", "k"] {
        a.get(&format!("k/?keys&separator={separator}"));
    }
    a.get("k/?keys&seperator=/");
    a.get("k/?keys&separator=b&seperator=/");
    a.get("k?keys&separator=/");
    a.get("?keys&separator=/");
}
