//! The file: its shape, its mistakes, its sample.

use super::*;
use crate::config::{SAMPLE, Setting, TABLE, Unit};
use crate::model::encoding::Encoding;
use crate::model::naming::{Case, Naming};
use crate::model::output::{Form, Format, Named, Output, Shape, Single, Types};
use crate::model::selection::{Glob, Selection};

const SOURCES: &str = "sources: [{name: a, prefix: x/a}, {name: b, prefix: x/b}]\n";

#[test]
fn layers_choose_the_order() {
    let layers = |file: &str| config("", "", &format!("{SOURCES}{file}")).outputs;
    assert_eq!(layers(""), [tree(&[0, 1])]);
    assert_eq!(layers("outputs: [{tree: {}}]"), [tree(&[0, 1])]);
    assert_eq!(layers("outputs: []"), [tree(&[0, 1])]);
    let single = Form::File(Single {
        path: "etc/app".into(),
        format: Format::Toml,
        shape: Shape::Flat,
        types: Types::Auto,
        mode: 0o440,
        max_bytes: LARGEST,
    });
    let single = Output { max_bytes: LARGEST, ..Output::of(vec![1, 0], single) };
    let said =
        "{path: etc/app, layers: [b, a], format: toml, shape: flat, types: auto, mode: \"0440\"}";
    assert_eq!(layers(&format!("outputs: [{{file: {said}}}]")), std::slice::from_ref(&single));
    let both = format!("outputs: [{{tree: {{layers: [a]}}}}, {{file: {said}}}]");
    assert_eq!(layers(&both), [tree(&[0]), single]);
    assert_eq!(layers("outputs: [{tree: {layers: [b, a]}}]"), [tree(&[1, 0])]);
}

#[test]
fn keys_are_chosen_renamed_and_decoded() {
    let file = "
outputs:
- tree:
    path: etc
    include: [db/**]
    exclude: ['**/*.bak']
    strip: db
    separator: .
    case: upper
    modes: [{keys: db/tls/*, mode: '0400'}]
    decode: [{keys: db/tls/*, as: base64}, {keys: '**', as: gzip}]
- file: {path: one.txt, key: db/host, default: none, mode: '0555'}
";
    let outputs = config("", "", &format!("{SOURCES}{file}")).outputs;
    let glob = |glob| Glob::parse(glob).unwrap();
    let tree = Output {
        layers: vec![0, 1],
        selection: Selection { include: vec![glob("db/**")], exclude: vec![glob("**/*.bak")] },
        naming: Naming {
            strip: Some("db".into()),
            separator: Some(".".into()),
            case: Some(Case::Upper),
            below: Some("etc".into()),
        },
        decode: vec![(glob("db/tls/*"), Encoding::Base64), (glob("**"), Encoding::Gzip)],
        max_bytes: LARGEST,
        form: Form::Tree { modes: vec![(glob("db/tls/*"), 0o400)] },
    };
    let (path, default) = ("one.txt".to_owned(), Some("none".to_owned()));
    let value = Form::Value(Named { path, default, mode: 0o555 });
    let selection = Selection { include: vec![Glob::exactly("db/host")], exclude: vec![] };
    let value = Output { selection, max_bytes: LARGEST, ..Output::of(vec![0, 1], value) };
    assert_eq!(outputs, [tree, value]);
}

#[test]
fn one_source_may_be_exact_among_others() {
    let file = "sources: [{name: a, prefix: x, exactPrefix: true}, {name: b, prefix: x}]";
    let prefixes = |flags: &str| {
        let sources = config(flags, "", file).sources.into_iter();
        sources.map(|source| source.reads.prefix().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(prefixes(""), ["x", "x/"]);
    assert_eq!(prefixes("--exact-prefix"), ["x", "x"]);
}

#[test]
fn a_file_of_the_wrong_shape_says_where() {
    use Kind::{Conflict, Malformed, Missing, Unknown, Unsupported};
    for (file, kind, line) in [
        (
            "watch: {wiat: 3s}",
            Unknown,
            "watch.wiat: is not a key of this file (seedcar.yaml: watch.wiat, line 2); did you mean wait?",
        ),
        (
            "\nwach:\n  wait: 3s",
            Unknown,
            "wach: is not a key of this file (seedcar.yaml: wach, line 3); did you mean watch?",
        ),
        (
            "seed: {colour: 1}",
            Unknown,
            "seed.colour: is not a key of this file (seedcar.yaml: seed.colour, line 2); here may be timeout",
        ),
        (
            "watch: 30s",
            Malformed,
            "watch: is not a mapping (seedcar.yaml: watch, line 2); write key: value below it",
        ),
        (
            "watch:\n  wait: 30",
            Malformed,
            "wait \"30\": has no unit (seedcar.yaml: watch.wait, line 3); write numbers with units, as in 30s, 15m, 1500ms or 1h30m",
        ),
        (
            "watch: {wait: [30s]}",
            Malformed,
            "watch.wait: is not one value (seedcar.yaml: watch.wait, line 2); write one value",
        ),
        (
            "watch: {enabled: yes}",
            Malformed,
            "watch.enabled: is not true or false (seedcar.yaml: watch.enabled, line 2); write true or false",
        ),
        (
            "watch: {enabled: 1}",
            Malformed,
            "watch.enabled: is not true or false (seedcar.yaml: watch.enabled, line 2); write true or false",
        ),
        (
            "volume: 1e3",
            Malformed,
            "volume: reads as a number in YAML (seedcar.yaml: volume, line 2); put it in quotes",
        ),
        (
            "backup: {id: true}",
            Malformed,
            "backup.id: reads as true or false in YAML (seedcar.yaml: backup.id, line 2); put it in quotes",
        ),
        (
            "consul: {addresses: a:1}",
            Malformed,
            "consul.addresses: is not a list (seedcar.yaml: consul.addresses, line 2); write [one, two]",
        ),
        (
            "consul: {addresses: [a:1, b]}",
            Malformed,
            "consul \"b\": has no port (seedcar.yaml: consul.addresses[1], line 2); add one, as in consul:8500",
        ),
        (
            "consul: {token: x}",
            Unsupported,
            "consul.token: a token does not belong in this file (seedcar.yaml: consul.token, line 2); put it in a file of its own, from a Secret, and name that in consul.tokenFile",
        ),
        (
            "1: 2",
            Unknown,
            "1: is not a key of this file (seedcar.yaml: 1, line 2); here may be backup, consul, control, events, exec, guards, heartbeat, hook, http, layout, log, outputs, seed, sources, validate, volume, watch",
        ),
        (
            "outputs: [{tree: {}}, {tree: {}}]",
            Conflict,
            "output: lies where another tree is (seedcar.yaml: outputs[1].tree, line 2); write one tree, whose layers may be all the sources, or give each a path of its own",
        ),
        (
            "outputs: [{json: {}}]",
            Unknown,
            "outputs[0].json: is not a key of this file (seedcar.yaml: outputs[0].json, line 2); here may be tree, file",
        ),
        (
            "outputs: [{file: {}}]",
            Missing,
            "output: has no path (seedcar.yaml: outputs[0].file, line 2); write the file's name, as in path: app.json",
        ),
        (
            "outputs: [{file: {path: app.ini}}]",
            Malformed,
            "output \"app.ini\": has no ending that says how it is written (seedcar.yaml: outputs[0].file.path, line 2); end it in .json, .yaml, .toml, .properties, .env or .sh, or write its format in the file's outputs",
        ),
        (
            "outputs: [{file: {path: app, format: xml}}]",
            Malformed,
            "format \"xml\": is none of the words for it (seedcar.yaml: outputs[0].file.format, line 2); write one of json, yaml, toml, properties, env, shell",
        ),
        (
            "outputs: [{file: {path: ../a.json}}]",
            Malformed,
            "output \"../a.json\": is no path that a file can have (seedcar.yaml: outputs[0].file.path, line 2); write a path below live/, without '..', as in etc/app.json",
        ),
        (
            "outputs: [{file: {path: a.env, shape: nested}}]",
            Conflict,
            "output \"nested\": is nothing that env has (seedcar.yaml: outputs[0].file.shape, line 2); leave it out",
        ),
        (
            "outputs: [{file: {path: a.json, types: strict}}]",
            Malformed,
            "types \"strict\": is none of the words for it (seedcar.yaml: outputs[0].file.types, line 2); write one of text, auto",
        ),
        (
            "outputs: [{file: {path: a.json, mode: 440}}]",
            Malformed,
            "outputs[0].file.mode: reads as a number in YAML (seedcar.yaml: outputs[0].file.mode, line 2); put it in quotes",
        ),
        (
            "outputs: [{file: {path: a.json, mode: '0640'}}]",
            Malformed,
            "mode \"0640\": is no mode that a file can have (seedcar.yaml: outputs[0].file.mode, line 2); write it as in \"0440\" or \"0555\": its owner, seedcar, must be able to read it, and nobody may write",
        ),
        (
            "outputs: [{tree: {include: ['a**b']}}]",
            Malformed,
            "pattern \"a**b\": is none: recursive wildcards must form a single path component (seedcar.yaml: outputs[0].tree.include[0], line 2); * stands for anything within a level, ** for levels, ? for a character",
        ),
        (
            "outputs: [{tree: {exclude: [db/]}}]",
            Malformed,
            "pattern \"db/\": begins or ends with '/' (seedcar.yaml: outputs[0].tree.exclude[0], line 2); keys do not: write db/** for all that is below db",
        ),
        (
            "outputs: [{tree: {separator: a/b}}]",
            Malformed,
            "separator \"a/b\": is none (seedcar.yaml: outputs[0].tree.separator, line 2); write up to 8 characters that a file's name may have, as in . or __",
        ),
        (
            "outputs: [{tree: {strip: /db}}]",
            Malformed,
            "strip \"/db\": is no path that a file can have (seedcar.yaml: outputs[0].tree.strip, line 2); write a path below live/, without '..', as in etc/app.json",
        ),
        (
            "outputs: [{tree: {decode: [{keys: a}]}}]",
            Missing,
            "rule: is not whole (seedcar.yaml: outputs[0].tree.decode[0], line 2); write {keys: PATTERN, as: ...}",
        ),
        (
            "outputs: [{tree: {path: etc}}, {tree: {path: etc/b}}]",
            Conflict,
            "output: lies where another tree is (seedcar.yaml: outputs[1].tree, line 2); write one tree, whose layers may be all the sources, or give each a path of its own",
        ),
        (
            "outputs: [{tree: {path: etc/a}}, {file: {path: etc, key: x}}]",
            Malformed,
            "output \"etc/a\": lies where a file of the outputs is (seedcar.yaml: outputs[0].tree.path, line 2); give it another path",
        ),
        (
            "outputs: [{file: {path: a.txt, key: x, case: upper}}]",
            Conflict,
            "case: is said of the value of one key (seedcar.yaml: outputs[0].file.case, line 2); leave it out, or key",
        ),
        (
            "outputs: [{file: {path: a.json, default: x}}]",
            Conflict,
            "default: is said of no one key (seedcar.yaml: outputs[0].file.default, line 2); name the key, or leave it out",
        ),
        (
            "validate: {files: [{as: json}]}",
            Missing,
            "files: are none (seedcar.yaml: validate.files[0], line 2); write {files: PATTERN}, and as: or schema: beside it",
        ),
        (
            "validate: {files: [{files: rules/*}]}",
            Missing,
            "files \"rules/*\": have no ending that says how they are written (seedcar.yaml: validate.files[0].files, line 2); add as: json, yaml or toml",
        ),
        (
            "validate: {files: [{files: '*.json', schema: /nowhere.json}]}",
            Malformed,
            "schema \"/nowhere.json\": cannot be used: entity not found (seedcar.yaml: validate.files[0].schema, line 2); name a file with a JSON Schema, whole in itself",
        ),
        (
            "validate: {url: 'http://u:p@h/'}",
            Malformed,
            "url: has a user or password, which would be shown (seedcar.yaml: validate.url, line 2); write it as in http://127.0.0.1:8080/path",
        ),
        (
            "validate: {url: 'ftp://h/'}",
            Malformed,
            "url: is neither http nor https (seedcar.yaml: validate.url, line 2); write it as in http://127.0.0.1:8080/path",
        ),
        (
            "validate: {url: 'http://h/', timeout: 2h}",
            Malformed,
            "timeout \"2h\": is no time up to 60 s (seedcar.yaml: validate.timeout, line 2); write numbers with units, as in 5s or 500ms",
        ),
        (
            "hook: {method: POST}",
            Missing,
            "hook: has no url (seedcar.yaml: hook, line 2); write it as in url: http://127.0.0.1:8080/-/reload",
        ),
        (
            "hook: {url: 'http://h/', method: DELETE}",
            Malformed,
            "method \"DELETE\": is none of the words for it (seedcar.yaml: hook.method, line 2); write one of POST, PUT, PATCH, GET",
        ),
        (
            "hook: {url: 'http://h/', success: [200, 20]}",
            Malformed,
            "success \"20\": is no status code of HTTP (seedcar.yaml: hook.success[1], line 2); write codes, as in [200, 204]",
        ),
        (
            "validate: {command: /check}",
            Malformed,
            "validate.command: is not a list (seedcar.yaml: validate.command, line 2); write one item a line, after a dash",
        ),
        (
            "outputs: [{file: {path: etc, format: json}}, {file: {path: etc/a.json}}]",
            Malformed,
            "output \"etc/a.json\": lies where another file of the outputs is (seedcar.yaml: outputs[1].file.path, line 2); give it another path",
        ),
        (
            "outputs: [{tree: {layers: []}}]",
            Missing,
            "layers: are none (seedcar.yaml: outputs[0].tree, line 2); name sources, or leave layers out for all of them",
        ),
        (
            "outputs: [{tree: {}}, {file: {path: a.json, layers: }}]",
            Missing,
            "layers: are none (seedcar.yaml: outputs[1].file, line 2); name sources, or leave layers out for all of them",
        ),
        (
            "outputs: [{tree: {layout: plain}}]",
            Unknown,
            "outputs[0].tree.layout: is not a key of this file (seedcar.yaml: outputs[0].tree.layout, line 2); here may be path, strip, separator, case, layers, include, exclude, modes, decode",
        ),
        (
            "outputs: [{tree: {layers: [a, bb, b]}}]",
            Unknown,
            "layer \"bb\": is the name of no source (seedcar.yaml: outputs[0].tree.layers[1], line 2); did you mean b?",
        ),
        (
            "outputs: [{tree: {layers: [a, b, a]}}]",
            Conflict,
            "layer \"a\": is there twice (seedcar.yaml: outputs[0].tree.layers[2], line 2)",
        ),
        (
            "outputs: [{tree: {layers: [a]}}]",
            Conflict,
            "source \"b=x/b\": is in no output (seedcar.yaml: sources[1], line 1); add its name to the tree's layers, or remove it",
        ),
    ] {
        check("", "", &format!("{SOURCES}{file}"), kind, line);
    }
    for (file, kind, line) in [
        (
            "sources: [{name: a}]",
            Missing,
            "sources[0].prefix: is missing (seedcar.yaml: sources[0], line 1)",
        ),
        (
            "sources: [{name: a, prefix: 7}]",
            Malformed,
            "sources[0].prefix: reads as a number in YAML (seedcar.yaml: sources[0].prefix, line 1); put it in quotes",
        ),
        (
            "sources: [{name: a, prefix: b, path: c}]",
            Unknown,
            "sources[0].path: is not a key of this file (seedcar.yaml: sources[0].path, line 1); here may be name, prefix, service, exactPrefix, required, atomic",
        ),
        (
            "sources: [{name: a=b, prefix: c}]",
            Malformed,
            "source \"a=b=c\": has a name that no source can have (seedcar.yaml: sources[0], line 1); a name has 1 to 63 of a-z, 0-9 and '-', and no '-' at either end",
        ),
    ] {
        let problems = problems("", "", file);
        assert_eq!(problems[0].to_string(), line);
        assert_eq!(problems[0].kind, kind);
    }
}

#[test]
fn what_is_not_yaml_says_the_line() {
    for file in ["watch: {", "a: b: c", "volume: /a\nvolume: /b", "- a\n--- b\n- c\n---\n"] {
        let problems = problems("", MINIMUM, file);
        let line = lines(&problems);
        assert!(line.starts_with("config: is not valid YAML: "), "{line}");
    }
    let line = lines(&problems("", MINIMUM, "volume: /a\nwatch: }"));
    assert!(line.contains("line 2"), "{line}");
}

#[test]
fn empty_groups_and_an_empty_file_are_nothing() {
    config("", MINIMUM, "# nothing\n");
    config("", MINIMUM, "watch:\nguards: ~\nvolume:\nconsul: {}");
}

/// The sample with every commented-out setting switched on: lines with `#` and no single space. A token
/// file and a login exclude each other; the login is left.
fn uncommented() -> String {
    let switched = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') || rest.starts_with("  ") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let together = SAMPLE.lines().filter(|line| !line.starts_with("#  tokenFile:"));
    together.map(|line| switched(line) + "\n").collect()
}

#[test]
fn the_sample_is_valid_and_changes_nothing() {
    let sampled = config("", "", SAMPLE);
    let bare = config("--prefix apps/example", "", "");
    assert_eq!(sampled, bare);
}

#[test]
fn the_sample_with_everything_on_is_valid_whole_and_at_its_defaults() {
    let outcome = load("", "", &uncommented());
    if let Err(problems) = &outcome.config {
        panic!("{}", lines(problems));
    }
    // Sources and files have a form of their own, and of Secrets the default is none.
    assert!(SAMPLE.contains("\n#  secrets: []") && SAMPLE.contains("\n#  tokenFile: /"));
    let apart = ["source", "file", "backup-secrets", "token-file"];
    let plain = |row: &&Setting| !apart.contains(&row.name);
    for row in TABLE.iter().filter(|row| row.file.is_some()).filter(plain) {
        let [line] = &printed(row.name, &outcome)[..] else {
            panic!("{}", row.name);
        };
        assert!(line.contains("from seedcar.yaml: "), "{}: not in the sample: {line}", row.name);
        let default = row.default;
        if !default.is_empty() {
            assert!(line.starts_with(&format!("{default} from")), "{}: {line}", row.name);
        } else if row.unit == Unit::Name && row.name == "backup-id" {
            assert!(line.starts_with(" from"), "{line}");
        }
    }
    let comments = SAMPLE.lines().filter(|line| line.starts_with("# ")).count();
    assert!(comments > 10);
}
