use super::*;
use crate::model::encoding::Encoding;
use crate::model::key::PrefixRules;
use crate::model::naming::{Case, Naming};
use crate::model::output::{Format, Shape, Types};
use crate::model::selection::{Glob, Selection};

fn prefix(p: &str) -> Prefix {
    Prefix::parse(p, PrefixRules::default()).unwrap()
}

fn snapshot(entries: &[(&str, &str)]) -> Snapshot {
    let entries =
        entries.iter().map(|(k, v)| Arc::new(Entry::new(k, v.as_bytes(), 0, 1, 1))).collect();
    Snapshot::new(1, entries).unwrap()
}

fn files(plan: &Plan) -> Vec<(&str, &str)> {
    plan.files.iter().map(|f| (f.path(), std::str::from_utf8(f.value()).unwrap())).collect()
}

#[test]
fn a_name_that_begins_like_another_is_a_name_of_its_own() {
    let s =
        snapshot(&[("p/a-b", "1"), ("p/a/x", "2"), ("p/a/y", "3"), ("p/ab", "4"), ("p/b/", "")]);
    assert_eq!(Plan::tree(&[(&prefix("p"), &s)]).top_names(), ["a", "a-b", "ab", "b"]);
}

#[test]
fn keys_become_paths_below_the_prefix() {
    let s = snapshot(&[("p/a", "1"), ("p/d/e/f", "2"), ("p/empty/", ""), ("p/../x", "3")]);
    let plan = Plan::tree(&[(&prefix("p"), &s)]);
    assert_eq!(files(&plan), [("a", "1"), ("d/e/f", "2")]);
    assert_eq!(plan.directories, ["d".into(), "d/e".into(), "empty".into()] as [Box<str>; 3]);
    assert_eq!(plan.top_names(), ["a", "d", "empty"]);
    assert_eq!(plan.skipped[0].why, Unsafe::DotSegment);
}

#[test]
fn the_directory_wins_over_the_file() {
    let s = snapshot(&[("p/a", "1"), ("p/a-b", "2"), ("p/a/b", "3"), ("p/c", "4"), ("p/c/", "")]);
    let plan = Plan::tree(&[(&prefix("p"), &s)]);
    assert_eq!(files(&plan), [("a-b", "2"), ("a/b", "3")]);
    let why: Vec<_> = plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect();
    assert_eq!(why, [("p/a", Unsafe::Shadowed), ("p/c", Unsafe::Shadowed)]);
}

#[test]
fn a_marker_with_a_value_is_a_directory_and_reported() {
    let plan = Plan::tree(&[(&prefix("p"), &snapshot(&[("p/d/", "lost")]))]);
    assert_eq!(plan.directories.len(), 1);
    assert_eq!(plan.skipped[0].why, Unsafe::MarkerValue);
}

#[test]
fn later_layers_win_key_by_key() {
    let base = snapshot(&[("base/a", "1"), ("base/b", "1"), ("base/c", "1")]);
    let app = snapshot(&[("app/b", "2"), ("app/c/d", "2")]);
    let plan = Plan::tree(&[(&prefix("base"), &base), (&prefix("app"), &app)]);
    assert_eq!(files(&plan), [("a", "1"), ("b", "2"), ("c/d", "2")]);
    assert_eq!(plan.get("b").unwrap().source, Some(1));
    assert_eq!(plan.skipped.len(), 1, "base/c is shadowed by the later layer's directory");
}

fn json(path: &str, layers: &[usize]) -> Output {
    let (format, shape, types) = (Format::Json, Shape::Flat, Types::Text);
    let (path, mode, max_bytes) = (path.into(), MODE, 1000);
    let file = Single { path, format, shape, types, mode, max_bytes };
    Output::of(layers.to_vec(), Form::File(file))
}

#[test]
fn files_of_all_keys_lie_beside_the_tree() {
    let base = snapshot(&[("base/a", "1"), ("base/b", "1")]);
    let app = snapshot(&[("app/b", "2"), ("app/c/d", "2")]);
    let parts = [(&prefix("base"), &base), (&prefix("app"), &app)];
    let tree = Output::tree(vec![1]);
    let outputs = [json("all.json", &[0, 1]), tree, json("etc/base.json", &[0])];
    let mut plan = Plan::make(&outputs, &parts);
    let all = "{\n  \"a\": \"1\",\n  \"b\": \"2\",\n  \"c/d\": \"2\"\n}\n";
    let only = "{\n  \"a\": \"1\",\n  \"b\": \"1\"\n}\n";
    let expected = [("all.json", all), ("b", "2"), ("c/d", "2"), ("etc/base.json", only)];
    assert_eq!(files(&plan), expected);
    assert_eq!(plan.top_names(), ["all.json", "b", "c", "etc"]);
    assert_eq!(plan.get("all.json").unwrap().source, None);
    assert!(plan.skipped.is_empty());
    let digest = plan.tree_digest();
    plan.release();
    assert_eq!((plan.tree_digest(), plan.get("all.json").unwrap().value()), (digest, &b""[..]));
    assert_eq!(plan.get("b").unwrap().value(), b"2");
}

#[test]
fn a_file_of_all_keys_keeps_its_place_and_the_keys_in_its_way_are_named() {
    let keys = [("p/a.json", "1"), ("p/a.json/b", "2"), ("p/a.json/", ""), ("p/a.jsonx", "3")];
    let s = snapshot(&keys);
    let prefix = prefix("p");
    let parts = [(&prefix, &s)];
    let plan = Plan::make(&[Output::tree(vec![0]), json("a.json", &[0])], &parts);
    let names: Vec<_> = files(&plan).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["a.json", "a.jsonx"]);
    assert!(files(&plan)[0].1.contains("\"a.json/b\": \"2\""), "they are in it");
    let why: Vec<_> = plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect();
    let taken = |key| (key, Unsafe::Taken);
    assert_eq!(why, [taken("p/a.json"), taken("p/a.json/"), taken("p/a.json/b")]);
}

#[test]
fn a_key_that_several_outputs_cannot_hold_is_named_once() {
    let s = snapshot(&[("p/../x", "1"), ("p/y", "2")]);
    let prefix = prefix("p");
    let outputs = [json("a.json", &[0]), json("b.json", &[0]), Output::tree(vec![0])];
    let plan = Plan::make(&outputs, &[(&prefix, &s)]);
    assert_eq!(plan.skipped.len(), 1, "{:?}", plan.skipped);
}

#[test]
fn the_tree_digest_knows_names_from_contents() {
    let digest = |e: &[(&str, &str)]| Plan::tree(&[(&prefix("p"), &snapshot(e))]).tree_digest();
    assert_eq!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/b", "2"), ("p/a", "1")]));
    assert_ne!(digest(&[("p/a", "1"), ("p/b", "2")]), digest(&[("p/a", "2"), ("p/b", "1")]));
    assert_ne!(digest(&[("p/a/", "")]), digest(&[("p/a", "")]));
}

fn globs(typed: &[&str]) -> Vec<Glob> {
    typed.iter().map(|glob| Glob::parse(glob).unwrap()).collect()
}

fn why(plan: &Plan) -> Vec<(&str, Unsafe)> {
    plan.skipped.iter().map(|s| (&*s.entry.key, s.why)).collect()
}

#[test]
fn an_output_takes_the_keys_it_is_told_to() {
    let keys = [("p/db/host", "1"), ("p/db/x.bak", "2"), ("p/web", "3"), ("p/web/", "")];
    let s = snapshot(&keys);
    let tree = Output {
        selection: Selection { include: globs(&["db/**"]), exclude: globs(&["**/*.bak"]) },
        ..Output::tree(vec![0])
    };
    let all = json("all.json", &[0]);
    let plan = Plan::make(&[tree, all], &[(&prefix("p"), &s)]);
    let names: Vec<_> = files(&plan).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["all.json", "db/host"]);
    assert_eq!(plan.directories, ["db".into()] as [Box<str>; 1]);
    assert!(files(&plan)[0].1.contains("\"web\": \"3\""));
    assert!(plan.skipped.is_empty(), "to leave a key is no mishap: {:?}", why(&plan));
}

#[test]
fn a_key_that_is_not_taken_is_not_named_for_its_name() {
    let s = snapshot(&[("p/../x", "1"), ("p/a", "2")]);
    let selection = Selection { include: vec![], exclude: globs(&["../*"]) };
    let tree = Output { selection, ..Output::tree(vec![0]) };
    assert!(Plan::make(&[tree], &[(&prefix("p"), &s)]).skipped.is_empty());
}

#[test]
fn keys_that_come_to_one_path_are_told_apart_by_their_order_and_by_layers() {
    let base = snapshot(&[("base/A_b", "1"), ("base/a/B", "2"), ("base/c", "3"), ("base/d/", "")]);
    let app = snapshot(&[("app/C", "4")]);
    let naming = Naming {
        separator: Some("_".into()),
        case: Some(Case::Lower),
        below: Some("etc".into()),
        ..Naming::default()
    };
    let tree = Output { naming, ..Output::tree(vec![0, 1]) };
    let plan = Plan::make(&[tree], &[(&prefix("base"), &base), (&prefix("app"), &app)]);
    assert_eq!(files(&plan), [("etc/a_b", "1"), ("etc/c", "4")]);
    assert_eq!(why(&plan), [("base/a/B", Unsafe::SameName)]);
    assert_eq!(plan.directories, ["etc".into()] as [Box<str>; 1]);
    assert_eq!(plan.overridden.len(), 1);
    let overridden = &plan.overridden[0];
    assert_eq!((&*overridden.entry.key, overridden.source, overridden.by), ("base/c", 0, 1));
}

#[test]
fn values_are_decoded_and_what_cannot_be_is_named() {
    let s = snapshot(&[("p/a", "aGVsbG8="), ("p/b", "***"), ("p/c", "aGVsbG8=")]);
    let decode = vec![(Glob::parse("[ab]").unwrap(), Encoding::Base64)];
    let tree = Output { decode: decode.clone(), max_bytes: 5, ..Output::tree(vec![0]) };
    let all = Output { decode, max_bytes: 5, ..json("all.json", &[0]) };
    let prefix = prefix("p");
    let mut plan = Plan::make(&[tree.clone(), all], &[(&prefix, &s)]);
    let json = "{\n  \"a\": \"hello\",\n  \"c\": \"aGVsbG8=\"\n}\n";
    assert_eq!(files(&plan), [("a", "hello"), ("all.json", json), ("c", "aGVsbG8=")]);
    assert_eq!(why(&plan), [("p/b", Unsafe::NotDecoded)]);
    let digest = plan.tree_digest();
    plan.release();
    assert_eq!((plan.get("a").unwrap().value(), plan.tree_digest()), (&b""[..], digest));
    assert_eq!(plan.get("c").unwrap().value(), b"aGVsbG8=", "that is the snapshot's own");
    let small = Output { max_bytes: 4, ..tree };
    let plan = Plan::make(&[small], &[(&prefix, &s)]);
    assert_eq!(plan.too_large, Some(TooLarge { path: "a".into(), max: 4 }));
}

#[test]
fn a_named_file_is_the_value_of_its_key_or_its_default() {
    let s = snapshot(&[("p/db/host", "here"), ("p/etc/x/y", "1")]);
    let named = |path: &str, key: &str, default: Option<&str>| Output {
        selection: Selection { include: vec![Glob::exactly(key)], exclude: vec![] },
        ..Output::of(
            vec![0],
            Form::Value(Named {
                path: path.to_owned(),
                default: default.map(str::to_owned),
                mode: 0o400,
            }),
        )
    };
    let outputs = [
        Output::tree(vec![0]),
        named("host.txt", "db/host", Some("unused")),
        named("etc/x", "db/port", Some("5432")),
        named("gone", "db/gone", None),
    ];
    let plan = Plan::make(&outputs, &[(&prefix("p"), &s)]);
    let expected = [("db/host", "here"), ("etc/x", "5432"), ("host.txt", "here")];
    assert_eq!(files(&plan), expected);
    assert_eq!(plan.get("host.txt").unwrap().mode, 0o400);
    assert_eq!(why(&plan), [("p/etc/x/y", Unsafe::Taken)]);
}

#[test]
fn another_mode_is_another_tree() {
    let s = snapshot(&[("p/a", "1"), ("p/b", "1")]);
    let prefix = prefix("p");
    let with = |modes: &[(&str, u32)]| {
        let modes = modes.iter().map(|(glob, mode)| (Glob::parse(glob).unwrap(), *mode)).collect();
        Plan::make(&[Output::of(vec![0], Form::Tree { modes })], &[(&prefix, &s)])
    };
    let plan = with(&[("a", 0o400), ("*", 0o440)]);
    assert_eq!(plan.files.iter().map(|f| f.mode).collect::<Vec<_>>(), [0o400, 0o440]);
    assert_ne!(plan.tree_digest(), with(&[]).tree_digest());
    assert_eq!(with(&[("*", MODE)]).tree_digest(), with(&[]).tree_digest());
}
