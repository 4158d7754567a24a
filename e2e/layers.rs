//! Who may import whom, held by path: a file imports only what lies below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. A module may import modules of lower layers, and its own children.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["exit", "units", "signal", "local", "published", "slot", "tls"],
    &["sys", "shutdown", "metrics", "monitoring"],
    &["config", "board", "supervise"],
    &["kubernetes", "request"],
    &["validate"],
    &["cli", "log", "store", "consul", "publisher", "moving"],
    &["sync", "status"],
    &["keeper"],
    &[
        "watch",
        "heartbeat",
        "seed",
        "admin",
        "events",
        "applications",
        "exec",
        "demo",
        "hook",
        "control",
    ],
    &["app"],
    &["cmd"],
    &["main", "lib"],
];

/// Exceptions within a layer, each with its reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// Crates that belong to one owner.
const OWNERS: &[(&str, &[&str])] = &[
    ("reqwest", &["consul", "request"]),
    ("axum", &["admin", "demo"]),
    ("hyper", &["admin", "kubernetes"]),
    ("prometheus::", &["metrics"]),
    // And rustix's inotify.
    ("notify::", &["consul/files", "exec/events"]),
    ("glob::", &["model/selection"]),
    // To check a file of the user's, it is read as our own is.
    ("serde_yaml", &["config/file", "model/validation"]),
    ("clap::", &["cli", "main"]),
    ("kube::", &["kubernetes"]),
    ("k8s_openapi", &["kubernetes"]),
    ("unsafe {", &["sys"]),
];

#[test]
fn each_file_imports_only_lower_layers() {
    let mut wrong = Vec::new();
    for (module, file, text) in sources() {
        for imported in imports(&text) {
            let known = ALLOWED.iter().any(|(from, to, _)| *from == module && *to == imported);
            if imported != module && !known && layer(&imported) >= layer(&module) {
                wrong.push(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mechanisms_never_import_each_other() {
    let mechanisms = [
        "watch",
        "heartbeat",
        "seed",
        "keeper",
        "publisher",
        "admin",
        "events",
        "applications",
        "exec",
        "hook",
        "control",
    ];
    let is_free = |module: &str, imported: &str| {
        !mechanisms.contains(&imported)
            || module == imported
            // The publisher's inbox is where mechanisms put things; the keeper's findings are what
            // the seed waits for. Neither calls back.
            || matches!((module, imported), ("seed", "keeper") | ("control", "publisher"))
    };
    for (module, file, text) in sources() {
        if mechanisms.contains(&module.as_str()) {
            for imported in imports(&text) {
                assert!(is_free(&module, &imported), "{} imports {imported}", file.display());
            }
        }
    }
}

#[test]
fn each_outside_thing_has_one_owner() {
    for (_, file, text) in sources() {
        let path = file.strip_prefix(src()).unwrap().with_extension("");
        for (word, owners) in OWNERS {
            let owned = owners.iter().any(|owner| path.starts_with(owner));
            let uses = code(&text).any(|line| line.contains(word));
            assert!(owned || !uses, "{} uses {word}", file.display());
        }
    }
}

#[test]
fn the_forbidden_is_absent() {
    for (_, file, text) in sources() {
        for word in ["#[tokio::main]", "tokio::fs", "panic = \"abort\"", "lazy_static", "todo!("] {
            assert!(!code(&text).any(|l| l.contains(word)), "{} has {word}", file.display());
        }
    }
    let manifest = fs::read_to_string(src().join("../Cargo.toml")).unwrap();
    let settings = manifest.lines().filter(|line| !line.starts_with('#'));
    assert!(!settings.clone().any(|line| line.contains("\"abort\"")), "unwinding is a promise");
}

#[test]
fn the_planted_edge_is_found() {
    let text = "use crate::watch::Watch;\n// use crate::seed::X;\nfn f() { crate::app::run() }
        use crate::{\n cli::{Cli, Report},\n exit::Exit,\n};";
    assert_eq!(imports(text), ["app", "cli", "exit", "watch"]);
    assert!(layer("watch") >= layer("heartbeat"));
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("{module} has no layer: add it to the table"))
}

/// The top modules that a text names by `crate::`, test code aside.
fn imports(text: &str) -> Vec<String> {
    let mut found: BTreeMap<String, ()> = BTreeMap::new();
    let whole: String = code(text).collect::<Vec<_>>().join("\n");
    for (at, _) in whole.match_indices("crate::") {
        let rest = &whole[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => top_level(group),
            None => vec![rest],
        };
        for name in names {
            let name: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                found.insert(name, ());
            }
        }
    }
    found.into_keys().collect()
}

/// The members of a group, up to its closing brace, those of inner groups left out.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

/// The lines of code: no comments, nothing from the first test module on.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let until_tests = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    until_tests.filter(|line| !line.trim_start().starts_with("//"))
}

/// Every source file with its top module and text; test files aside.
fn sources() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    collect(&src(), &mut files);
    files.sort();
    let of = |file: PathBuf| {
        let path = file.strip_prefix(src()).unwrap();
        let module = path.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).unwrap();
        (module, file, text)
    };
    files.into_iter().map(of).collect()
}

fn collect(at: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(at).unwrap().flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            files.push(path);
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
