//! A configuration of consul-template, then templates that it may name, apart by the separator.

use std::fs;
use std::time::{Duration, Instant};

use seedcar::config::{Env, Flags, Scope, load};
use seedcar::moving::{Input, from_consul_template};
use tempfile::NamedTempFile;

use super::texts;

/// A token that must not be seen: inputs that have it, have it as a secret.
const CANARY: &str = "c4n4ry-s3cr3t";

/// Far more than any input of a few kilobytes takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// It is turned into a configuration that passes the check, every note on one line, or refused with a line;
/// soon, the same every time, and without the token.
pub fn check(data: &[u8]) {
    let parts = texts(data);
    let begun = Instant::now();
    let (made, again) = (convert(&parts), convert(&parts));
    assert!(begun.elapsed() < PATIENCE, "{:?} for {} bytes", begun.elapsed(), data.len());
    assert_eq!(made, again, "not the same again");
    let Ok((yaml, notes)) = made else { return };
    for line in notes.iter().map(String::as_str).chain([yaml.as_str()]) {
        assert!(!line.contains(CANARY), "{line:?}");
    }
    assert!(notes.iter().all(|note| !note.contains(char::is_control)), "{notes:?}");
    if yaml.contains("\noutputs:\n") {
        passes(&yaml);
    }
}

fn convert(parts: &[String]) -> Result<(String, Vec<String>), String> {
    let (name, text) = ("ct.hcl".to_owned(), parts[0].clone());
    let source = |name: &str| {
        let at = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse();
        let part = at.ok().and_then(|at: usize| parts.get(at));
        part.cloned().ok_or_else(|| "there is no such file".to_owned())
    };
    let moved = from_consul_template(vec![Input::Configuration { name, text }], &source);
    let moved = moved.map_err(|error| error.to_string())?;
    Ok((moved.yaml, moved.notes.iter().map(ToString::to_string).collect()))
}

fn passes(yaml: &str) {
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), yaml).expect("write");
    let path = file.path().to_str().expect("UTF-8");
    let env: Env = [("SEEDCAR_CONFIG", path)].into_iter().collect();
    let outcome = load(&Flags::new(), &env, Scope::Full);
    let problems = outcome.config.err().unwrap_or_default();
    assert!(problems.is_empty(), "{problems:?}\n{yaml}");
}
