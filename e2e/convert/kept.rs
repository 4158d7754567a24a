//! What each configuration becomes, and what is said, is what is kept with it.

use std::fs;

use super::cases::{self, Case};
use crate::ledger::Tally;

/// Writes what was made where it is kept, if asked to; says what is not the same.
fn compare(case: &Case, file: &str, made: &str, tally: &mut Tally) {
    let path = case.kept.join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, made).expect("write it");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    tally.check(kept == made, || {
        format!("{}: {file} is now (UPDATE=1 keeps it):\n{made}", case.name)
    });
}

#[test]
fn what_is_not_carried_over_is_said_word_for_word() {
    let mut tally = Tally::of("convert::kept::what_is_not_carried_over_is_said_word_for_word");
    for case in cases::all() {
        let converted = case.convert();
        compare(&case, "seedcar.yaml", &converted.yaml, &mut tally);
        compare(&case, "notes.txt", &converted.notes, &mut tally);
        let is_loss =
            |line: &str| [": differs: ", ": by hand: "].iter().any(|word| line.contains(word));
        let code = if converted.notes.lines().any(is_loss) { 75 } else { 0 };
        let text = || format!("{}: exit {:?}, not {code}", case.name, converted.code);
        tally.check(converted.code == Some(code), text);
    }
    tally.finish();
}

#[test]
fn what_has_outputs_passes_the_check() {
    for case in cases::all() {
        let converted = case.convert();
        if converted.yaml.contains("\noutputs:\n") {
            let config = case.scratch.path().join("made.yaml");
            fs::write(&config, &converted.yaml).expect("write it");
            let config = config.to_str().expect("UTF-8");
            let pod = crate::rig::Pod::bare();
            let ended = pod.seedcar(&["config", "check", "--config", config]);
            assert_eq!(ended.code(), 0, "{}: {}\n{}", case.name, ended.err, converted.yaml);
        }
    }
}

/// The secrets of these configurations all have this in them.
const CANARY: &str = "c4n4ry";

#[test]
fn no_token_or_password_is_copied_or_shown() {
    let mut tally = Tally::of("convert::kept::no_token_or_password_is_copied_or_shown");
    let mut secrets = 0;
    for case in cases::all() {
        for file in &case.args {
            let text = fs::read_to_string(case.kept.join(file)).unwrap_or_default();
            secrets += text.matches(CANARY).count();
        }
        let converted = case.convert();
        let is_shown = converted.yaml.contains(CANARY) || converted.notes.contains(CANARY);
        tally.check(!is_shown, || format!("{}: a secret is shown", case.name));
    }
    assert!(secrets >= 3, "no case has one");
    tally.finish();
}

#[test]
fn what_cannot_be_read_makes_nothing_and_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let pod = crate::rig::Pod::bare();
    for (text, line) in
        [("consul {\n  address = \n}", ":3: "), ("{\"a\": [1,}", ":1: "), ("a = \u{1b}[1m", ":1: ")]
    {
        let path = directory.path().join("bad.hcl");
        fs::write(&path, text).expect("write it");
        let path = path.to_str().expect("UTF-8");
        let ended = pod.seedcar(&["config", "from-consul-template", path]);
        assert_eq!((ended.code(), ended.log.as_str()), (78, ""), "{}", ended.err);
        assert!(ended.err.contains(&format!("bad.hcl{line}")), "{}", ended.err);
        assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
    }
    for (name, why) in [("/there/is/none.hcl", "no such file"), ("/", "directory")] {
        let ended = pod.seedcar(&["config", "from-consul-template", name]);
        assert_eq!(ended.code(), 78, "{}", ended.err);
        assert!(ended.err.contains(why), "{}", ended.err);
    }
    let ended = pod.seedcar(&["config", "from-consul-template"]);
    assert_eq!(ended.code(), 2, "{}", ended.err);
}
