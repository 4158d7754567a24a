//! Each format, read by programs that others have written for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seedcar::model::format;
use seedcar::model::output::{Format, MODE, Shape, Single, Types};

use super::hostile;

type Pairs = BTreeMap<String, String>;

/// Values of one file.
const VALUES: usize = 10_000;
/// Names of one file.
const NAMES: usize = 1_000;

fn made(format: Format, shape: Shape, pairs: &Pairs) -> tempfile::NamedTempFile {
    let (file, left_out) = made_of_most(format, shape, pairs);
    assert!(left_out.is_empty(), "{left_out:?}");
    file
}

/// The same, and which keys are not in it.
fn made_of_most(
    format: Format,
    shape: Shape,
    pairs: &Pairs,
) -> (tempfile::NamedTempFile, Vec<usize>) {
    let (path, mode, max_bytes) = ("f".into(), MODE, u64::MAX);
    let single = Single { path, format, shape, types: Types::Text, mode, max_bytes };
    let keys: Vec<_> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
    let made = format::make(&single, &keys).expect("no limit");
    let left_out = made.left_out.iter().map(|(at, _)| *at).collect();
    let file = tempfile::Builder::new().suffix(".txt").tempfile().expect("a file");
    std::fs::write(file.path(), made.bytes).expect("write it");
    (file, left_out)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/outputs").join(name)
}

/// What a reader prints.
fn read(mut reader: Command) -> Pairs {
    let output = reader.output().unwrap_or_else(|error| panic!("start {reader:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reader:?}: {said}");
    let text = String::from_utf8(output.stdout).expect("base64");
    let decode = |text: &str| {
        let bytes = STANDARD.decode(text).expect("base64");
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pair = |line: &str| line.split_once(' ').map(|(name, value)| (decode(name), decode(value)));
    text.lines().map(|line| pair(line).expect("a pair")).collect()
}

fn python(format: &str, file: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("PYTHON_BIN").expect("run ./e2e/run"));
    command.arg(script("read.py")).arg(format).arg(file);
    command
}

#[track_caller]
fn same(read: &Pairs, pairs: &Pairs) {
    for (name, value) in pairs {
        assert_eq!(read.get(name), Some(value), "{name:?}");
    }
    assert_eq!(read.len(), pairs.len());
}

/// Both shapes of names and of values come back from `reader`.
fn comes_back(format: Format, reader: impl Fn(&Path) -> Command) {
    for shape in [Shape::Nested, Shape::Flat] {
        for pairs in [hostile::values(VALUES), hostile::names(NAMES)] {
            let file = made(format, shape, &pairs);
            same(&read(reader(file.path())), &pairs);
        }
    }
}

/// What lines can hold, under the names that they have there.
fn lines(name: impl Fn(&str) -> String, nul: bool) -> (Pairs, Pairs) {
    let mut pairs = hostile::values(VALUES);
    pairs.retain(|_, value| nul || !value.contains('\0'));
    let named = pairs.iter().map(|(path, value)| (name(path), value.clone())).collect();
    (pairs, named)
}

#[test]
fn python_reads_json() {
    comes_back(Format::Json, |file| python("json", file));
}

#[test]
fn python_reads_yaml_as_1_1() {
    comes_back(Format::Yaml, |file| python("yaml", file));
}

#[test]
fn python_reads_toml() {
    comes_back(Format::Toml, |file| python("toml", file));
}

/// Libraries that disagree on what quotes and backslashes mean read the same of our lines. What they
/// would not is left out: a few of these values, which are made of little else.
#[test]
fn python_and_node_read_dotenv_alike() {
    let (pairs, named) = lines(|path| path.replace('/', "_").to_uppercase(), true);
    let (file, left_out) = made_of_most(Format::Env, Shape::Flat, &pairs);
    assert!(left_out.len() < pairs.len() / 2, "{} of {}", left_out.len(), pairs.len());
    let mut expected = named.clone();
    named
        .keys()
        .enumerate()
        .filter(|(at, _)| left_out.binary_search(at).is_ok())
        .for_each(|(_, name)| drop(expected.remove(name)));
    same(&read(python("env", file.path())), &expected);
    same(&read(node("dotenv", file.path())), &expected);
    same(&read(node("core", file.path())), &expected);
    crate::stories::measured(&format!("dotenv: {} of {} left out", left_out.len(), pairs.len()));
}

#[test]
fn a_shell_reads_assignments() {
    let (pairs, named) = lines(|path| path.replace('/', "_").to_uppercase(), false);
    let file = made(Format::Shell, Shape::Flat, &pairs);
    for shell in ["sh", "bash"] {
        let mut command = Command::new(shell);
        let script = r#". "$1"; shift; for n; do eval "v=\$$n"; printf '%s\0' "$v"; done"#;
        command.args(["-c", script, shell]).arg(file.path()).args(named.keys());
        let output = command.env("LC_ALL", "C").output().expect("start a shell");
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        let mut values = output.stdout.split(|b| *b == 0);
        for (name, value) in &named {
            let read = String::from_utf8_lossy(values.next().expect("a value"));
            assert_eq!(read, *value, "{shell} {name}");
        }
    }
}

fn node(how: &str, file: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(script("read.js")).arg(file).arg(how);
    command
}

#[test]
fn node_reads_json() {
    comes_back(Format::Json, |file| node("json", file));
}

#[test]
fn node_reads_yaml_as_1_2() {
    comes_back(Format::Yaml, |file| node("yaml", file));
}

#[test]
fn go_reads_json() {
    if Command::new("go").arg("version").output().is_err() {
        crate::stories::measured("skipped: Go, which is not here, reads no JSON");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("read");
    let mut go = Command::new("go");
    let built = go.args(["build", "-o"]).arg(&program).arg(script("read.go")).output();
    let built = built.expect("start go");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    comes_back(Format::Json, |file| {
        let mut command = Command::new(&program);
        command.arg(file);
        command
    });
}

#[test]
fn java_reads_properties() {
    let java = |file: &Path| {
        let mut command = Command::new("java");
        command.arg(script("Read.java")).arg(file);
        command
    };
    let (pairs, named) = lines(|path| path.replace('/', "."), true);
    let file = made(Format::Properties, Shape::Flat, &pairs);
    same(&read(java(file.path())), &named);
    let pairs = hostile::names(NAMES);
    let named = pairs.iter().map(|(path, value)| (path.replace('/', "."), value.clone())).collect();
    let file = made(Format::Properties, Shape::Flat, &pairs);
    same(&read(java(file.path())), &named);
}
