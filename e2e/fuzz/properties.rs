//! The oracles under inputs that are almost right: made after the grammar of their kind, then spoilt.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use seedcar::config::TABLE;

use super::oracles::{self, ALL, Oracle, SEPARATOR};
use crate::ledger::{Tally, share};

/// Tries so many inputs; the smallest that breaks the oracle is told.
fn hold(test: &'static str, oracle: Oracle, usual: u64, inputs: impl Strategy<Value = Vec<u8>>) {
    let mut tally = Tally::of(test);
    let cases = share(usual, usual * 50);
    let cases = u32::try_from(cases).expect("not that many");
    // A broken oracle may cost a time-out each time: what is smallest by then is small enough.
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    });
    let broken = runner.run(&inputs, |input| {
        oracle(&input);
        Ok(())
    });
    tally.cases(cases.into());
    if let Err(error) = broken {
        tally.violation(error.to_string());
    }
    tally.finish();
}

/// Some bytes more, fewer, others, or the end too early.
fn spoilt(inputs: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), select(b" ,:;{}[]()\"\\/.0\n\r\t-+#&*!|>%@".to_vec())];
    let change = (any::<prop::sample::Index>(), 0..4u8, byte);
    (inputs, vec(change, 0..4)).prop_map(|(mut input, changes)| {
        for (at, how, byte) in changes {
            if input.is_empty() {
                break;
            }
            let at = at.index(input.len());
            match how {
                0 => input[at] = byte,
                1 => input.insert(at, byte),
                2 => drop(input.remove(at)),
                _ => input.truncate(at),
            }
        }
        input
    })
}

fn joined(parts: Vec<String>) -> Vec<u8> {
    parts.iter().map(String::as_bytes).collect::<Vec<_>>().join(&SEPARATOR)
}

#[test]
fn consuls_answer() {
    let key = prop_oneof![
        Just("p/".to_owned()),
        "p/[a-c/\\.]{0,5}",
        Just(r#"p/\u00e9\"{[\\"#.to_owned()),
        "[pq]/?[a-b]{0,2}",
    ];
    let value = prop_oneof![
        Just("null".to_owned()),
        "[A-D]{4}".prop_map(|text| format!("\"{text}\"")),
        "[A-D=!]{0,5}".prop_map(|text| format!("\"{text}\"")),
        "[0-9\\[\\]{}]{0,3}",
    ];
    let more = select(vec![
        "",
        r#","Flags":18446744073709551615"#,
        r#","Flags":-1"#,
        r#","ModifyIndex":7,"CreateIndex":3"#,
        r#","Session":"}]","LockIndex":1"#,
        r#","Namespace":{"x":[{"y":"\""}]}"#,
        r#","Key":"p/z""#,
        ",",
    ]);
    let odd = (key, value, more)
        .prop_map(|(key, value, more)| format!(r#"{{"Key":"{key}","Value":{value}{more}}}"#));
    // Without enough that is well in itself nothing would be seen of what is between.
    let element = prop_oneof![odd, "[a-z]{3}".prop_map(|name| format!(r#"{{"Key":"p/{name}"}}"#))];
    let apart = select(vec![",", ", ", ",\n\t", "", ",,", " "]);
    let ends = prop_oneof![
        Just(("[", "]")),
        select(vec![(" [ ", " ]\n"), ("[", ""), ("", "]"), ("[,", "]"), ("[", ",]")])
    ];
    let body =
        (any::<u8>(), vec(element, 0..5), apart, ends).prop_map(|(seed, list, apart, ends)| {
            [&[seed], ends.0.as_bytes(), list.join(apart).as_bytes(), ends.1.as_bytes()].concat()
        });
    hold("fuzz::properties::consuls_answer", oracles::wire::check, 6000, spoilt(body));
}

#[test]
fn keys_and_files() {
    let segment = prop_oneof![
        4 => "[a-c]{1,2}",
        2 => select(vec!["", ".", "..", "...", "..data", "..manifest.json", ".a", "a."])
            .prop_map(str::to_owned),
        1 => select(vec!["a\\b", "a\0b", "a\nb", "\u{7f}", "\u{85}", "\u{FFFD}", "é", "e\u{301}"])
            .prop_map(str::to_owned),
        1 => (250..260usize).prop_map(|n| "n".repeat(n)),
    ];
    let key = prop_oneof![
        8 => vec(segment, 0..5).prop_map(|parts| parts.join("/")),
        1 => (0..60usize).prop_map(|n| format!("{}/", "n".repeat(200)).repeat(19) + &"x".repeat(n)),
        1 => ".{0,6}",
    ];
    let keys = vec(key, 0..12).prop_map(joined);
    hold("fuzz::properties::keys_and_files", oracles::keys::check, 6000, keys);
}

#[test]
fn backup_files() {
    let changed =
        (select(vec![1u8, 3]), vec((0..800u16, any::<u8>()), 0..4)).prop_map(|(mode, changes)| {
            let change = |(at, byte): (u16, u8)| [&at.to_le_bytes()[..], &[byte]].concat();
            [vec![mode], changes.into_iter().flat_map(change).collect()].concat()
        });
    let corpus = select(corpus("backup"));
    let any = prop_oneof![6 => changed, 3 => spoilt(corpus), 1 => vec(any::<u8>(), 0..200)];
    hold("fuzz::properties::backup_files", oracles::backup::check, 3000, any);
}

#[test]
fn configurations() {
    let names: Vec<String> = TABLE
        .iter()
        .flat_map(|row| [row.variable(), row.consul.map(str::to_owned)])
        .flatten()
        .filter(|name| name != "SEEDCAR_CONFIG")
        .chain(["SEEDCAR_STRANGE\n".to_owned(), "CONSUL_STRANGE".to_owned()])
        .collect();
    let value = prop_oneof![
        select(vec![
            "",
            "0",
            "1",
            "true",
            "false",
            "10s",
            "-1s",
            "1e9h",
            "99999999999999999999",
            "17179869183Gi",
            "off",
            "read",
            "a=b",
            "a=b,c=d",
            "/x",
            "x",
            "é",
            "a\nb",
            "::1",
            "[::]:80",
            "https://u:p@h:1/x",
            "unix:///s",
            "..",
            "/",
            "101",
            "json",
            "debug",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    let variable = (select(names), value).prop_map(|(name, value)| format!("{name}={value}"));
    let (sample, full) = (text("sample"), text("full"));
    let file = prop_oneof![
        Just(Vec::new()),
        Just(b"sources: [{name: a, prefix: b}]".to_vec()),
        spoilt(Just(sample)),
        spoilt(Just(full)),
    ];
    let all = (file, vec(variable, 0..4))
        .prop_map(|(file, variables)| [file, vec![SEPARATOR], joined(variables)].concat());
    hold("fuzz::properties::configurations", oracles::config::check, 1500, all);
}

#[test]
fn moving_over() {
    let path = prop_oneof![
        4 => vec("[ab]{1,2}", 1..4).prop_map(|parts| parts.join("/")),
        1 => select(vec!["", "/", "a//b", "a/..b", "..", "a@dc", "a?ns=x", "a/*[x]?", "é/a\\b", "a/", "a/path"])
            .prop_map(str::to_owned),
        1 => "[ -~\u{80}-\u{2030}]{0,5}",
    ];
    let action = (select(ACTIONS.to_vec()), path.clone(), path.clone())
        .prop_map(|(action, one, two)| action.replace("PATH", &one).replace("OTHER", &two));
    let text = select(vec![
        "",
        "\n",
        "A=",
        "\nA_B=",
        "a: ",
        "{\"a\": \"",
        "\"}",
        "export ",
        "# x\n",
        "---\n",
        "x",
    ]);
    let template = vec(prop_oneof![3 => action, 1 => text.prop_map(str::to_owned)], 0..4)
        .prop_map(|parts| parts.concat());
    let name = select(vec![
        "a.env",
        "b/a.env",
        "a.json",
        "a.yaml",
        "c.properties",
        "..",
        "",
        "d.sh",
        "x\ny",
        "..data",
    ]);
    let setting = select(SETTINGS.to_vec()).prop_map(str::to_owned);
    let block = (template, name, setting).prop_map(|(template, name, setting)| {
        let name = serde_json::Value::from(name);
        format!("{setting}\ntemplate {{\n destination = {name}\n contents = <<EOF\n{template}\nEOF\n}}\n")
    });
    let made = vec(block, 0..4).prop_map(|blocks| blocks.concat().into_bytes());
    let any =
        prop_oneof![4 => made.clone(), 2 => spoilt(made), 2 => spoilt(select(corpus("convert")))];
    hold("fuzz::properties::moving_over", oracles::convert::check, 3000, any);
}

/// What stands in templates. A shape may come of several.
const ACTIONS: &[&str] = &[
    "{{ key \"PATH\" }}",
    "{{key `PATH`}}",
    "{{ keyOrDefault \"PATH\" \"OTHER\" }}",
    "{{ range ls \"PATH\" }}{{ .Key }}={{ .Value }}\n{{ end }}",
    "{{ range tree \"PATH\" }}{{ .Key | replaceAll \"/\" \"_\" | toUpper }}={{ .Value }}\n{{ end }}",
    "{{ range tree \"PATH\" }}{{ .Key | replaceAll \"/\" \"OTHER\" }}={{ .Value }}\n{{ end }}",
    "{{ range tree \"PATH\" }}{{ .Key }}: {{ .Value }}\n{{ end }}",
    "{ {{ range $i, $p := ls \"PATH\" }}{{ if $i }},{{ end }}\"{{ $p.Key }}\": \"{{ $p.Value }}\"{{ end }} }",
    "{{ tree \"PATH\" | explode | toJSON }}",
    "{{ ls \"PATH\" | explode | toYAML }}",
    "{{ range tree \"PATH\" }}{{ .Value | writeToFile (printf \"OTHER/%s\" .Key) \"\" \"\" \"0640\" }}{{ end }}",
    "{{ if keyExists \"PATH\" }}x{{ end }}",
    "{{ with secret \"PATH\" }}{{ .Data.x }}{{ end }}",
];

/// What stands beside templates.
const SETTINGS: &[&str] = &[
    "",
    "consul { address = \"a:1\" token = \"c4n4ry-s3cr3t\" }",
    "consul { address = \"https://u:c4n4ry-s3cr3t@a\" ssl { cert = \"/c\" key = \"/k\" } }",
    "consul { token_file = \"c4n4ry-s3cr3t\" namespace = \"é\" ssl { enabled = true server_name = \"a b\" } }",
    "consul = \"unix:///s\"",
    "log_level = \"trace\"",
    "exec { command = [\"a b\", \"\\u001b[1m\"] reload_signal = \"SIGHUP\" splay = \"1s\\n\" }",
    "default_delimiters { left = \"\" right = \"{\" }",
    "template { contents = \"x\" perms = 0 }",
    "template = [\"a:b:c\"]",
];

#[test]
fn requests() {
    let method =
        select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "get", "PRI"]);
    let path = prop_oneof![
        select(vec![
            "/livez",
            "/startupz",
            "/readyz",
            "/status",
            "/metrics",
            "/",
            "*",
            "//status",
            "/status/..",
            "/%73tatus",
            "/status?x=%00",
            "http://x/status",
            "",
        ])
        .prop_map(str::to_owned),
        "/[ -~]{0,20}",
        (1000..9000usize).prop_map(|n| format!("/{}", "a".repeat(n))),
    ];
    let version = select(vec!["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "HTTP/1.1 x"]);
    let header = prop_oneof![
        select(vec![
            "Host: x",
            "Host: ",
            "Content-Length: 5",
            "Content-Length: -1",
            "Content-Length: 5, 6",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "Connection: upgrade",
            "no colon",
            " folded",
            ": x",
            "Range: bytes=0-",
            "If-None-Match: *",
            "X: \u{e9}",
            "Accept-Encoding: gzip",
        ])
        .prop_map(str::to_owned),
        (1..9000usize).prop_map(|n| format!("X: {}", "b".repeat(n))),
    ];
    let body =
        select(vec!["", "hello", "5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "-1\r\nx"]);
    let request = (method, path, version, vec(header, 0..6), body).prop_map(
        |(method, path, version, headers, body)| {
            let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
            format!("{method} {path} {version}\r\n{headers}\r\n{body}").into_bytes()
        },
    );
    let several = vec(request, 1..4).prop_map(|requests| requests.concat());
    hold("fuzz::properties::requests", oracles::admin::check, 1500, spoilt(several));
}

/// What the fuzz targets start from, and what they once found, holds now.
#[test]
fn the_corpora() {
    let mut tally = Tally::of("fuzz::properties::the_corpora");
    for (name, oracle) in ALL {
        for input in corpus(name) {
            tally.case();
            oracle(&input);
        }
    }
    tally.finish();
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/fuzz/corpus").join(target);
    let files = fs::read_dir(dir).expect("a corpus").flatten();
    files.map(|file| fs::read(file.path()).expect("an input")).collect()
}

/// One input of the corpus of configurations.
fn text(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/fuzz/corpus/config");
    fs::read(dir.join(name)).expect("an input")
}
