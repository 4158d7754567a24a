//! One helper, [`load`], takes flags, environment and file as they would be typed.

mod layers;
mod limits;
mod login;
mod names;
mod problems;
mod reading;
mod services;
mod yaml;

use crate::model::output::Output;
use clap::Parser;

use super::{Config, Env, Kind, Outcome, Problem, Scope, combine, file::Document};
use crate::cli::Cli;

/// What every configuration needs and most tests are not about.
const MINIMUM: &str = "SEEDCAR_PREFIX=app";

/// A secret that must not be seen anywhere.
const CANARY: &str = "c4n4ry-s3cr3t";

/// Words of a command line after `seedcar run`, of an environment, and the text of `seedcar.yaml`.
fn load(flags: &str, env: &str, file: &str) -> Outcome {
    let words = ["seedcar", "run"].into_iter().chain(flags.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let variables = env.split_whitespace().filter_map(|word| word.split_once('='));
    let document = (!file.is_empty()).then(|| Document::new("seedcar.yaml", file));
    let (flags, env) = (cli.command.flags().unwrap(), variables.collect::<Env>());
    combine(flags, &env, document.as_ref(), Scope::Full, vec![])
}

/// A tenth above the default of max-bytes.
const LARGEST: u64 = (16 << 20) + (16 << 20) / 10;

/// The tree of these layers, as it is where nothing more is said of it.
fn tree(layers: &[usize]) -> Output {
    Output { max_bytes: LARGEST, ..Output::tree(layers.to_vec()) }
}

/// A configuration that must be valid.
#[track_caller]
fn config(flags: &str, env: &str, file: &str) -> Config {
    match load(flags, env, file).config {
        Ok(config) => config,
        Err(problems) => panic!("{flags} {env} {file}: {}", lines(&problems)),
    }
}

/// A configuration that must have problems.
#[track_caller]
fn problems(flags: &str, env: &str, file: &str) -> Vec<Problem> {
    let problems = load(flags, env, file).config.err();
    problems.unwrap_or_else(|| panic!("{flags} {env} {file}: no problem"))
}

/// Exactly one problem, and this is its line.
#[track_caller]
fn check(flags: &str, env: &str, file: &str, kind: Kind, line: &str) {
    let problems = problems(flags, env, file);
    assert_eq!(lines(&problems), line);
    assert_eq!(problems[0].kind, kind, "{line}");
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn warnings(flags: &str, env: &str, file: &str) -> Vec<String> {
    let warnings = load(flags, env, file).warnings;
    warnings.iter().map(ToString::to_string).collect()
}

/// `setting value origin` of each line of `config print` about `setting`.
fn printed(setting: &str, outcome: &Outcome) -> Vec<String> {
    let all = outcome.typed.effective().into_iter();
    let about = all.filter(|line| line.setting == setting);
    about.map(|line| format!("{} from {}", line.value.unwrap_or("-".into()), line.origin)).collect()
}
