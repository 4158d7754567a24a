//! Sources that are services.

use super::*;
use crate::config::Kind::{Conflict, Malformed, Missing, Unknown};
use crate::model::output::{Form, Instances, Listing};

const BOTH: &str = "sources:
- {name: app, prefix: apps/web}
- {name: db, service: {name: postgres}}
";

/// The file of a service that is the source of this index.
fn file(at: usize, path: &str, listing: Listing) -> Output {
    let file = Instances { path: path.to_owned(), listing, max_bytes: LARGEST };
    Output { max_bytes: LARGEST, ..Output::of(vec![at], Form::Instances(file)) }
}

#[test]
fn a_service_has_a_file_of_its_own_beside_the_tree_of_keys() {
    let both = config("", "", BOTH);
    let read: Vec<_> = both.sources.iter().map(|s| s.reads.to_string()).collect();
    assert_eq!(read, ["prefix apps/web/", "service postgres"]);
    assert_eq!(both.outputs, [tree(&[0]), file(1, "db.json", Listing::Json)]);
    let outputs = "outputs: [{tree: {path: etc}}]\n";
    let chosen = config("", "", &format!("{BOTH}{outputs}")).outputs;
    assert_eq!((&*chosen[0].layers, &chosen[1]), (&[0][..], &both.outputs[1]));
}

#[test]
fn everything_can_be_said_of_it() {
    let one = |said: &str| {
        let file = format!("sources: [{{name: db, required: false, service: {{{said}}}}}]");
        let config = config("", "", &file);
        (config.sources[0].clone(), config.outputs)
    };
    let (source, outputs) = one("name: pg, tag: a b, passing: false, file: etc/x, format: lines");
    assert_eq!(source.reads.to_string(), "service pg, tag a b, with warnings");
    assert!(!source.required);
    assert_eq!(outputs, [file(0, "etc/x", Listing::Lines("{}".to_owned()))]);
    let (_, outputs) = one("name: pg, line: 'server {};'");
    assert_eq!(outputs, [file(0, "db.txt", Listing::Lines("server {};".to_owned()))]);
    let (_, outputs) = one("name: pg, passing: true, format: json");
    assert_eq!(outputs, [file(0, "db.json", Listing::Json)]);
}

#[test]
fn what_is_in_effect_is_printed() {
    let outcome = load("", "", BOTH);
    let at = "from seedcar.yaml: sources";
    assert_eq!(
        printed("source", &outcome),
        [format!("app=apps/web {at}[0]"), format!("db=service postgres {at}[1]")]
    );
    assert_eq!(printed("name", &outcome), [format!("postgres {at}[1].service.name")]);
}

#[test]
fn each_mistake_has_its_line() {
    for (source, kind, line) in [
        (
            "service: {tag: a}",
            Missing,
            "service: has no name (seedcar.yaml: sources[0].service, line 1); write the name that it is registered under, as in name: postgres",
        ),
        (
            "service: {name: /pg}",
            Malformed,
            "service \"/pg\": is no name that Consul can be asked for (seedcar.yaml: sources[0].service.name, line 1); write the name of one service, as in postgres",
        ),
        (
            "service: {name: pg, tag: ''}",
            Malformed,
            "tag \"\": is none (seedcar.yaml: sources[0].service.tag, line 1); write one tag, or leave it out for instances of any",
        ),
        (
            "service: {name: pg, port: 1}",
            Unknown,
            "sources[0].service.port: is not a key of this file (seedcar.yaml: sources[0].service.port, line 1); here may be name, tag, file, format, line, passing",
        ),
        (
            "service: {name: pg, passing: 1}",
            Malformed,
            "sources[0].service.passing: is not true or false (seedcar.yaml: sources[0].service.passing, line 1); write true or false",
        ),
        (
            "service: {name: pg, format: yaml}",
            Malformed,
            "format \"yaml\": is none of the words for it (seedcar.yaml: sources[0].service.format, line 1); write one of json, lines",
        ),
        (
            "service: {name: pg, line: server}",
            Malformed,
            "line \"server\": is no line with a place for an instance (seedcar.yaml: sources[0].service.line, line 1); write {} where host:port is to stand, as in \"server {};\"",
        ),
        (
            "service: {name: pg, line: '{}', format: json}",
            Conflict,
            "line: is said of a file in JSON (seedcar.yaml: sources[0].service.line, line 1); leave it out, or write format: lines",
        ),
        (
            "service: {name: pg, file: ../x}",
            Malformed,
            "file \"../x\": is no path that a file can have (seedcar.yaml: sources[0].service.file, line 1); write a path below live/, without '..', as in etc/app.json",
        ),
        (
            "service: {name: pg}, exactPrefix: true",
            Conflict,
            "sources[0].exactPrefix: is said of a source that is a service (seedcar.yaml: sources[0], line 1); leave it out, or service: a source reads one of them",
        ),
    ] {
        check("", "", &format!("sources: [{{name: db, {source}}}]"), kind, line);
    }
}

#[test]
fn files_that_meet_are_refused() {
    for (rest, kind, line) in [
        (
            "outputs: [{tree: {}}, {file: {path: db.json}}]",
            Malformed,
            "output \"db.json\": lies where another file of the outputs is (seedcar.yaml: sources[1].service, line 3); give it another path",
        ),
        (
            "outputs: [{tree: {path: db.json/x}}]",
            Malformed,
            "output \"db.json/x\": lies where a file of the outputs is (seedcar.yaml: outputs[0].tree.path, line 4); give it another path",
        ),
        (
            "outputs: [{tree: {layers: [app, db]}}]",
            Conflict,
            "layer \"db\": is a service, which has no keys (seedcar.yaml: outputs[0].tree.layers[1], line 4); leave it out: it has a file of its own, by its service.file",
        ),
    ] {
        check("", "", &format!("{BOTH}{rest}"), kind, line);
    }
    let line = "output \"db.json\": lies where another file of the outputs is (seedcar.yaml: sources[1].service, line 3); give it another path";
    check("--file db.json", "", BOTH, Malformed, line);
    let line = "output: is made of keys, and no source is; leave it out: a service has a file of its own, by its service.file";
    let alone = "sources: [{name: db, service: {name: pg}}]";
    check("--file app.json", "", alone, Conflict, line);
}
