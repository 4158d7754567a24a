//! The file on disk: the only thing that is read.

use super::*;
use crate::config::{Flags, Id, load as load_all};

fn named(path: &str) -> Flags {
    let mut flags = Flags::new();
    flags.push(Id::Config, path);
    flags
}

#[test]
fn the_file_that_flag_or_variable_names_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seedcar.yaml").display().to_string();
    std::fs::write(&path, "volume: /from/file\n").unwrap();
    let by_variable = [("SEEDCAR_CONFIG", path.as_str()), ("SEEDCAR_PREFIX", "a")];
    let bare = [("SEEDCAR_PREFIX", "a"), ("SEEDCAR_CONFIG", "/nowhere")];
    for (flags, env) in [(Flags::new(), by_variable), (named(&path), bare)] {
        let outcome = load_all(&flags, &Env::from_iter(env), Scope::Full);
        let config = outcome.config.unwrap();
        assert_eq!(config.volume.to_str(), Some("/from/file"));
    }
}

#[test]
fn a_file_that_is_not_there_is_one_problem_among_others() {
    let env = Env::from_iter([("SEEDCAR_WAIT", "5")]);
    let outcome = load_all(&named("/nowhere/seedcar.yaml"), &env, Scope::Full);
    let problems = outcome.config.unwrap_err();
    let settings: Vec<_> = problems.iter().map(|p| p.setting.as_str()).collect();
    assert_eq!(settings, ["config", "source", "wait"]);
    let line = "config \"/nowhere/seedcar.yaml\": cannot be read: No such file or directory \
                (os error 2) (--config)";
    assert_eq!(problems[0].to_string(), line);
    assert_eq!(problems[0].kind, Kind::Unreadable);
}

#[test]
fn what_begins_with_a_brace_is_the_file_itself() {
    let written_out = r#"{"outputs": [{"tree": {"exclude": ["*.md"]}}], "wacth": {}}"#;
    let env = Env::from_iter([("SEEDCAR_CONFIG", written_out), ("SEEDCAR_PREFIX", "a")]);
    let outcome = load_all(&Flags::new(), &env, Scope::Full);
    let printed = printed("config", &outcome);
    assert!(printed[0].starts_with("(not shown)"), "{printed:?}");
    let line = "wacth: is not a key of this file (config: wacth, line 1); did you mean watch?";
    assert_eq!(lines(&outcome.config.unwrap_err()), line);
    let fine = r#" {"outputs": [{"tree": {"exclude": ["*.md"]}}]}"#;
    let env = Env::from_iter([("SEEDCAR_CONFIG", fine), ("SEEDCAR_PREFIX", "a")]);
    let config = load_all(&Flags::new(), &env, Scope::Full).config.unwrap();
    assert!(!config.outputs[0].selection.takes("a.md"));
}

#[test]
fn atomic_sources_fit_a_transaction() {
    let file = "sources: [{name: a, prefix: x, atomic: true}, {name: b, prefix: y}]";
    assert_eq!(config("", "", file).atomic(), [0]);
    assert_eq!(config("--atomic b", "", file).atomic(), [0, 1]);
    for (flags, says) in [
        (
            "--source a=x --source b=x/y --atomic a --atomic b",
            "is atomic and inside another that is",
        ),
        (
            "--source a=x --source b= --allow-root-prefix --atomic b",
            "is atomic and the whole store",
        ),
        ("--source a=x --optional a --atomic a", "is atomic and not required"),
        ("--source a=x --atomic c", "is the name of no source (--atomic)"),
    ] {
        let problems = lines(&problems(flags, "", ""));
        assert!(problems.contains(says), "{problems}");
    }
    let many: Vec<String> =
        (0..65).map(|n| format!("{{name: s{n}, prefix: p{n}, atomic: true}}")).collect();
    let problems = lines(&problems("", "", &format!("sources: [{}]", many.join(", "))));
    assert!(problems.contains("is one more than Consul reads"), "{problems}");
}

#[test]
fn a_source_is_required_unless_something_says_otherwise() {
    let required = |flags: &str, file: &str| {
        let sources = config(flags, "", file).sources;
        sources.into_iter().map(|source| source.required).collect::<Vec<_>>()
    };
    let file = "sources: [{name: a, prefix: x}, {name: b, prefix: y, required: false}]";
    assert_eq!(required("", file), [true, false]);
    assert_eq!(required("--optional a", file), [false, false]);
    let line = "optional \"c\": is the name of no source (--optional); did you mean a?";
    let problems = problems("--source a=x --optional c", "", "");
    assert!(lines(&problems).starts_with(&line[..45]), "{}", lines(&problems));
}
