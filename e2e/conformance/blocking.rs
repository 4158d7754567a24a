//! Questions that block: what wakes them, what does not, and what they say when the wait is over.

use super::{Asker, Question};

/// What may happen while a query is blocked.
type Event = fn(&Asker);

/// The table.
pub const QUESTIONS: &[Question] = &[
    // A prefix that has keys.
    Question { name: "a value changes", ask: |a| on_tree(a, |a| a.set("p/b", "2")) },
    Question { name: "nothing happens", ask: |a| on_tree(a, |_| ()) },
    Question {
        name: "only flags change",
        ask: |a| on_tree(a, |a| drop(a.quietly("PUT", "p/b?flags=9", "1"))),
    },
    Question { name: "a key appears", ask: |a| on_tree(a, |a| a.set("p/new/deep", "1")) },
    Question {
        name: "a key is deleted",
        ask: |a| on_tree(a, |a| drop(a.quietly("DELETE", "p/b", ""))),
    },
    Question {
        name: "a sub-tree is deleted",
        ask: |a| on_tree(a, |a| drop(a.quietly("DELETE", "p/c/?recurse", ""))),
    },
    Question {
        name: "everything is deleted",
        ask: |a| on_tree(a, |a| drop(a.quietly("DELETE", "p/?recurse", ""))),
    },
    Question { name: "the same value is written", ask: |a| on_tree(a, |a| a.set("p/b", "1")) },
    Question {
        name: "a missing key is deleted",
        ask: |a| on_tree(a, |a| drop(a.quietly("DELETE", "p/none", ""))),
    },
    Question {
        name: "a check-and-set fails",
        ask: |a| on_tree(a, |a| drop(a.quietly("PUT", "p/b?cas=1", "2"))),
    },
    Question { name: "a stranger is written", ask: |a| on_tree(a, |a| a.set("q/1", "1")) },
    Question { name: "a sibling by name is written", ask: |a| on_tree(a, |a| a.set("px/1", "1")) },
    Question { name: "the folder's own name is written", ask: |a| on_tree(a, |a| a.set("p", "1")) },
    Question {
        name: "a transaction writes two keys",
        ask: |a| on_tree(a, |a| a.consul.txn_set(&[(&a.key("p/b"), b"2"), (&a.key("q"), b"2")])),
    },
    Question {
        name: "a deep value changes under ?keys",
        ask: |a| {
            tree(a);
            a.blocked("p/?keys", |a| a.set("p/c/d", "2"));
            a.blocked("p/?keys&separator=/", |a| a.set("p/c/d", "3"));
        },
    },
    Question {
        name: "a sibling by name is written, without the slash",
        ask: |a| {
            tree(a);
            a.blocked("p?recurse", |a| a.set("px/1", "1"));
        },
    },
    Question {
        name: "several writes before the question",
        ask: |a| {
            tree(a);
            let index = a.consul.index(&a.key("p/"));
            for value in ["2", "3", "4"] {
                a.set("p/b", value);
            }
            a.blocked_at(index, "p/?recurse", |_| ());
        },
    },
    Question {
        name: "two writes after the question",
        ask: |a| {
            tree(a);
            // Which of the two it sees is a matter of time; that it ends is not.
            a.blocked("p/b?raw", |a| {
                a.set("p/b", "2");
                a.set("q", "2");
            });
        },
    },
    Question {
        name: "an index that is too high",
        ask: |a| {
            tree(a);
            let index = a.consul.index(&a.key("p/")) + 1_000_000;
            a.call(&index.to_string(), "<too high>");
            a.blocked_at(index, "p/?recurse", |a| a.set("p/b", "2"));
        },
    },
    // A lock.
    Question { name: "a lock is taken and given back", ask: locked },
    Question { name: "a session with a lock ends", ask: session_ends },
    Question { name: "a locked key is written", ask: locked_is_written },
    // A prefix that has lost its keys.
    Question { name: "an emptied prefix, and a stranger appears", ask: emptied },
    Question {
        name: "an emptied prefix, and a key comes back",
        ask: |a| {
            tree(a);
            a.quietly("DELETE", "p/?recurse", "");
            a.blocked("p/?recurse", |a| a.set("p/b", "1"));
            a.blocked("p/c/?recurse", |a| a.set("p/c/d", "1"));
        },
    },
    // A prefix that never was.
    Question {
        name: "a missing prefix, and a new stranger",
        ask: |a| {
            a.set("z/1", "1");
            a.blocked("m/?recurse", |a| a.set("new", "1"));
            a.blocked("m/?recurse", |a| a.set("newer", "1"));
            a.blocked("m/?keys", |a| a.set("z/2", "1"));
        },
    },
    Question {
        name: "a missing prefix, and a stranger changes",
        ask: |a| {
            a.set("z/1", "1");
            a.set("z/2", "1");
            a.set("o/1", "1");
            a.blocked("m/?recurse", |a| a.set("z/1", "2"));
            a.blocked("z/3/?recurse", |a| a.set("z/1", "3"));
            a.blocked("z/3/?recurse", |a| a.set("o/1", "2"));
        },
    },
    Question { name: "a missing prefix among neighbours", ask: neighbours },
    Question { name: "a missing prefix, and a neighbour goes", ask: neighbour_goes },
    Question {
        name: "a missing prefix, and the next call",
        ask: |a| {
            a.set("z/1", "1");
            let index = a.consul.index(&a.key("m/"));
            a.set("z/1", "2");
            a.blocked_at(index, "m/?recurse", |_| ());
        },
    },
    Question {
        name: "a missing prefix that appears",
        ask: |a| {
            a.set("z/1", "1");
            a.blocked("m/?recurse", |a| a.set("m/1", "1"));
            a.blocked("n?keys", |a| a.set("n/1", "1"));
        },
    },
    Question {
        name: "nothing at all in the store",
        ask: |a| {
            a.blocked("m/?recurse", |_| ());
            a.blocked("m/?recurse", |a| drop(a.send("PUT", "/v1/kv/x", b"v")));
        },
    },
    // Single keys.
    Question {
        name: "a single key and its neighbours",
        ask: |a| {
            a.set("a", "1");
            a.blocked("a", |a| a.set("ab", "1"));
            a.blocked("a", |a| a.set("ab", "2"));
            a.blocked("a", |a| a.set("a/b", "2"));
            a.blocked("a", |a| a.set("a", "2"));
            a.blocked("a", |a| drop(a.quietly("DELETE", "a", "")));
        },
    },
    Question {
        name: "a single missing key and its neighbours",
        ask: |a| {
            a.set("a", "1");
            a.set("b", "1");
            a.blocked("ab", |a| a.set("a", "2"));
            a.blocked("ab", |a| a.set("ac", "1"));
            a.blocked("ab", |a| a.set("b", "2"));
            a.blocked("ab", |a| a.set("abc", "2"));
            a.blocked("ab", |a| a.set("ab", "2"));
        },
    },
    Question {
        name: "a single key that goes with its tree",
        ask: |a| {
            tree(a);
            a.blocked("p/b", |a| drop(a.quietly("DELETE", "p/?recurse", "")));
        },
    },
    // The root.
    Question {
        name: "the root, and anything is written",
        ask: |a| {
            a.set("a", "1");
            a.blocked_on("/v1/kv/?recurse", |a| a.set("b", "1"));
            a.blocked_on("/v1/kv/?keys&separator=/", |a| a.set("b", "2"));
            a.blocked_on("/v1/kv/?keys", |a| drop(a.quietly("DELETE", "b", "")));
            a.blocked_on("/v1/kv/?keys", |a| a.set("a", "1"));
        },
    },
    // The server.
    Question { name: "a snapshot is given back", ask: restored },
    Question {
        name: "the server is killed, and comes back with its data",
        ask: |a| {
            tree(a);
            a.blocked("p/?recurse", |a| a.consul.kill());
            a.consul.restart();
            a.get("p/?recurse");
        },
    },
    Question {
        name: "the server is frozen, asked, and thawed",
        ask: |a| {
            tree(a);
            let index = a.consul.index(&a.key("p/")) - 1;
            a.consul.freeze();
            a.blocked_at(index, "p/?recurse", |a| a.consul.thaw());
        },
    },
    Question {
        name: "the server is replaced by an empty one",
        ask: |a| {
            tree(a);
            a.consul.restart_empty();
            a.get("p/?recurse");
            a.at("GET", "/v1/kv/?keys", b"");
            a.set("p/new", "1");
            a.get("p/?recurse");
        },
    },
];

// === impl Asker ===

impl Asker<'_> {
    fn key(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }
}

fn tree(a: &Asker) {
    for key in ["p/a", "p/b", "p/c/d", "p/c/e", "other"] {
        a.set(key, "1");
    }
}

fn on_tree(a: &mut Asker, event: Event) {
    tree(a);
    a.blocked("p/?recurse", event);
    a.get("p/?recurse");
}

fn locked(a: &mut Asker) {
    tree(a);
    let id = a.session();
    a.blocked("p/?recurse", |a| drop(a.quietly("PUT", &format!("p/b?acquire={id}"), "1")));
    a.blocked("p/?recurse", |a| drop(a.quietly("PUT", &format!("p/b?acquire={id}"), "1")));
    a.blocked("p/?recurse", |a| drop(a.quietly("PUT", &format!("p/b?release={id}"), "1")));
    a.blocked("p/?recurse", |a| drop(a.quietly("PUT", &format!("p/b?release={id}"), "1")));
}

fn session_ends(a: &mut Asker) {
    tree(a);
    let id = a.session();
    a.quietly("PUT", &format!("p/b?acquire={id}"), "1");
    let target = format!("/v1/session/destroy/{id}");
    a.blocked("p/?recurse", |a| drop(a.send("PUT", &target, b"")));
}

fn locked_is_written(a: &mut Asker) {
    tree(a);
    let id = a.session();
    a.quietly("PUT", &format!("p/b?acquire={id}"), "1");
    a.blocked("p/?recurse", |a| a.set("p/b", "1"));
    a.blocked("p/?recurse", |a| a.set("p/b", "1"));
}

fn emptied(a: &mut Asker) {
    tree(a);
    a.quietly("DELETE", "p/?recurse", "");
    a.blocked("p/?recurse", |a| a.set("stranger", "1"));
    a.blocked("p/?recurse", |a| a.set("p", "1"));
    let index = a.consul.index(&a.key("p/"));
    a.set("other", "2");
    a.blocked_at(index, "p/?recurse", |_| ());
}

fn neighbours(a: &mut Asker) {
    for key in ["abc/1", "abc/2", "abd/1", "x"] {
        a.set(key, "1");
    }
    a.blocked("abe/?recurse", |a| a.set("abc/1", "2"));
    a.blocked("abc/3/?recurse", |a| a.set("abd/1", "2"));
    a.blocked("abc/3/?recurse", |a| a.set("abc/2", "2"));
    a.blocked("abcd/?recurse", |a| a.set("abc/2", "3"));
    a.blocked("abcd/?recurse", |a| a.set("abd/1", "3"));
    a.blocked("abcd/?recurse", |a| a.set("abce", "1"));
    a.blocked("ac/?recurse", |a| a.set("ad", "1"));
    a.blocked("ac/?recurse", |a| a.set("y", "1"));
    a.blocked("w/?recurse", |a| a.set("x", "2"));
}

fn neighbour_goes(a: &mut Asker) {
    for key in ["abc/1", "abc/2", "abd/1", "abe/1", "x"] {
        a.set(key, "1");
    }
    a.blocked("abc/3?recurse", |a| drop(a.quietly("DELETE", "abd/1", "")));
    a.blocked("abc/3?recurse", |a| drop(a.quietly("DELETE", "abe/1", "")));
    a.blocked("abc/3?recurse", |a| drop(a.quietly("DELETE", "x", "")));
    a.blocked("abc/3?recurse", |a| drop(a.quietly("DELETE", "abc/1", "")));
    a.blocked("abc/3?recurse", |a| drop(a.quietly("DELETE", "abc/?recurse", "")));
}

fn restored(a: &mut Asker) {
    tree(a);
    let snapshot = a.consul.snapshot();
    a.set("p/b", "2");
    a.set("p/new", "1");
    let before = a.consul.index(&a.key("p/"));
    a.blocked("p/?recurse", |a| a.consul.restore(&snapshot));
    a.get("p/?recurse");
    // The old index is above everything that is there now.
    a.blocked_at(before, "p/?recurse", |_| ());
    let index = a.consul.index(&a.key("p/"));
    a.blocked_at(index, "p/?recurse", |a| a.set("p/b", "3"));
}
