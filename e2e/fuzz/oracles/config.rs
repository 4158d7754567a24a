//! A configuration: the file's text, then `NAME=VALUE` of the environment, apart by the separator.

use std::fs;
use std::time::Duration;

use seedcar::config::{Config, Env, Flags, Outcome, Scope, load};
use seedcar::model::reads::Reads;
use tempfile::NamedTempFile;

use super::texts;

/// A token that must not be seen.
const CANARY: &str = "c4n4ry-s3cr3t";

/// It is a configuration that needs no second look, or there are problems with it, each told in one
/// line; the same every time, and without the token.
pub fn check(data: &[u8]) {
    let parts = texts(data);
    let file = NamedTempFile::new().expect("a file");
    fs::write(&file, &parts[0]).expect("write");
    let path = file.path().to_str().expect("UTF-8");
    let given = parts[1..].iter().filter_map(|part| part.split_once('='));
    // No environment has a NUL in it.
    let given = given.filter(|(name, value)| !name.contains('\0') && !value.contains('\0'));
    let auth = format!("user:{CANARY}");
    let secrets = [("CONSUL_HTTP_TOKEN", CANARY), ("CONSUL_HTTP_AUTH", &auth)];
    let fixed = secrets.into_iter().chain([("SEEDCAR_CONFIG", path)]);
    let env: Env = given.chain(fixed).collect();
    for scope in [Scope::Full, Scope::Offline] {
        let outcome = load(&Flags::new(), &env, scope);
        let lines = lines(&outcome);
        assert_eq!(lines, self::lines(&load(&Flags::new(), &env, scope)), "not the same again");
        for line in &lines {
            assert!(!line.contains(CANARY) && !line.contains('\n'), "{line:?}");
        }
        match &outcome.config {
            Ok(config) => sound(config, scope),
            Err(problems) => assert!(!problems.is_empty(), "refused and nobody knows why"),
        }
    }
}

/// All that is ever shown of it.
fn lines(outcome: &Outcome) -> Vec<String> {
    let problems = outcome.config.as_ref().err().into_iter().flatten();
    let mut lines: Vec<String> = problems.map(ToString::to_string).collect();
    lines.extend(outcome.warnings.iter().map(ToString::to_string));
    let printed = outcome.typed.effective().into_iter();
    // As `config print` has it, which quotes.
    lines.extend(printed.map(|line| format!("{:?} from {:?}", line.value, line.origin)));
    lines
}

fn sound(config: &Config, scope: Scope) {
    assert!(scope == Scope::Offline || !config.sources.is_empty());
    for source in &config.sources {
        assert_eq!(Reads::of_prefix(source.reads.prefix().as_str()).as_ref(), Some(&source.reads));
        assert!(!source.name.is_empty());
    }
    let mut names: Vec<_> = config.sources.iter().map(|source| &source.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), config.sources.len(), "two sources of one name");
    let mut used = Vec::new();
    for output in &config.outputs {
        let mut layers = output.layers.clone();
        layers.sort_unstable();
        assert!(layers.windows(2).all(|two| two[0] < two[1]), "a layer twice: {layers:?}");
        used.extend(layers);
    }
    used.sort_unstable();
    used.dedup();
    assert!(used.into_iter().eq(0..config.sources.len()), "a source in no output, or no source");
    assert!(config.watch.is_some() || config.heartbeat.is_some());
    let (second, longest) = (Duration::from_secs(1), Duration::from_secs(600));
    assert!(config.watch.is_none_or(|w| (second..=longest).contains(&w.wait)));
    assert!(config.heartbeat.is_none_or(|h| h.interval >= second));
    let guards = &config.guards;
    assert!(guards.max_bytes >= 1 && guards.max_keys >= 1 && guards.max_shrink_percent <= 100);
}
