//! The README's section: the figures of a full run that decide, and where the rival is better.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use super::budget;
use super::load::{self, Load};
use super::result::{FLOOR, RIVAL, Results, TREE, What};
use super::table;
use super::tool::Tool;

/// The columns; the rival in the same two forms.
const WHO: [&str; 6] = [
    FLOOR,
    Tool::SeedcarTree.name(),
    Tool::SeedcarJson.name(),
    Tool::TemplateJson.name(),
    Tool::TemplateMirror.name(),
    Tool::TemplatePlain.name(),
];

/// Theirs with a file for each key.
const MIRROR: &str = Tool::TemplateMirror.name();
/// The forms in which both write: ours, theirs, and what they are.
const FORMS: [(&str, &str, &str); 2] =
    [(TREE, MIRROR, "tree"), (Tool::SeedcarJson.name(), RIVAL, "JSON")];
/// Where one way of each was measured (what an outage does does not depend on the form), or so often that there is a
/// tail.
const EITHER: [(&str, &str, &str); 1] = [(TREE, RIVAL, "tree and JSON")];
/// Theirs as it is when nobody has told it to go on after errors.
const DEFAULT: &str = Tool::TemplateDefault.name();

/// What is shown of each load.
const SHOWN: [What; 12] = [
    What::Change,
    What::ChangeCpu,
    What::ChangeBytes,
    What::Seed,
    What::SeedPeak,
    What::Rss,
    What::Private,
    What::Volume,
    What::Burst,
    What::RestBytes,
    What::RestRequests,
    What::RestWakes,
];

/// What is measured under one load.
const ONCE: [What; 8] = [
    What::BusyRequests,
    What::EmptyRequests,
    What::Killed(20),
    What::Killed(70),
    What::Refused(20),
    What::Refused(70),
    What::GrowthPrivate,
    What::GrowthInodes,
];

/// Where the README's generated part begins and ends.
const BEGIN: &str = "<!-- performance -->\n";
const END: &str = "<!-- end -->";

/// Writes the section into `README.md`. Refuses what a quick run has left: nobody quotes that.
pub fn write(from: &Path) -> ExitCode {
    let results = match Results::read(from) {
        Ok(results) => results,
        Err(error) => return refused(&format!("no full run to show: {error}: run e2e/bench")),
    };
    if results.machine.quick {
        return refused("the last run was a quick one: run e2e/bench without --quick");
    }
    if !results.series.iter().any(|series| series.who == RIVAL) {
        return refused("consul-template was not measured: install Go, and run e2e/bench");
    }
    if results.loads().len() < load::FULL.len() {
        return refused("some loads were not measured: run e2e/bench for those, too");
    }
    let old = fs::read_to_string("README.md").expect("read the README");
    let Some(new) = with_section(&old, &section(&results)) else {
        return refused("README.md has no markers for it");
    };
    fs::write("README.md", new).expect("write the README");
    ExitCode::SUCCESS
}

fn refused(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

fn with_section(readme: &str, section: &str) -> Option<String> {
    let from = readme.find(BEGIN)? + BEGIN.len();
    let to = from + readme[from..].find(END)?;
    Some(format!("{}{}\n{}", &readme[..from], section.trim_end(), &readme[to..]))
}

fn section(results: &Results) -> String {
    let mut text = format!("{}.\n", results.machine.line());
    let _ = writeln!(text, "\n{}", table::head(&WHO));
    let empty = " |".repeat(WHO.len() + table::RATIOS.len());
    for what in SHOWN {
        let _ = writeln!(text, "| **{}** |{empty}", what.title());
        for load in results.loads() {
            row(&mut text, results, &load, what, &load.to_string());
        }
    }
    let _ = writeln!(text, "| **under one load only** |{empty}");
    for what in ONCE {
        let measured = results.series.iter().find(|series| series.what == what);
        if let Some(load) = measured.map(|series| series.load) {
            row(&mut text, results, &load, what, &format!("{} ({load})", what.title()));
        }
    }
    text + &by_default(results) + &misses(results) + &rivals_wins(results)
}

/// The project's own budgets that this run has missed, a line each.
fn misses(results: &Results) -> String {
    let misses = budget::misses(results);
    if misses.is_empty() {
        return "\nThis run kept all budgets.\n".to_owned();
    }
    let lines: String = misses.iter().map(|miss| format!("* {miss}.\n")).collect();
    format!("\nThis run missed budgets that the project has set itself:\n\n{lines}")
}

/// What outages do to consul-template that is not told to go on.
fn by_default(results: &Results) -> String {
    let outages = results.series.iter().filter(|series| series.who == DEFAULT);
    let said = outages
        .map(|series| format!("{}: {}", series.what.title(), table::number(series.median())));
    let said: Vec<_> = said.collect();
    if said.is_empty() {
        return String::new();
    }
    format!("\nconsul-template with its default `retry`: {}.\n", said.join("; "))
}

fn row(text: &mut String, results: &Results, load: &Load, what: What, name: &str) {
    if let Some(cells) = table::row(results, load, what, &WHO) {
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
}

/// The figures in which consul-template is better, a line each.
fn rivals_wins(results: &Results) -> String {
    let mut text = String::new();
    for what in results.whats().into_iter().filter(|what| !what.is_growth()) {
        let wins = wins(results, what);
        if !wins.is_empty() {
            let _ = writeln!(text, "* {}: {}.", what.title(), wins.join("; "));
        }
    }
    if text.is_empty() {
        return "\nIn this run consul-template was better in nothing by more than a twentieth.\n"
            .to_owned();
    }
    format!(
        "\nIn this run consul-template was better by more than a twentieth in (its figure and ours):\n\n{text}"
    )
}

/// Where its way is below the same way of ours by more than a twentieth: in the median, and where there is one in
/// the tail.
fn wins(results: &Results, what: What) -> Vec<String> {
    let mut wins = Vec::new();
    for load in results.loads() {
        let mut compare = |name: &str, form: &str, ours: Option<f64>, theirs: Option<f64>| {
            let Some((ours, theirs)) = ours.zip(theirs) else { return };
            if theirs < ours * 0.95 {
                let [ours, theirs] = [ours, theirs].map(table::number);
                wins.push(format!("{theirs} and {ours} ({name}{load}, {form})"));
            }
        };
        let is_either = results.get(what, &load, MIRROR).is_none();
        let forms: &[_] = if is_either { &EITHER } else { &FORMS };
        for (ours, theirs, form) in forms {
            let median = |who| results.median(what, &load, who);
            compare("", form, median(ours), median(theirs));
        }
        for (ours, theirs, form) in EITHER {
            let series = |who| results.get(what, &load, who).filter(|series| series.has_a_tail());
            let tail = |who, part| series(who).map(|series| series.quantile(part));
            compare("p99, ", form, tail(ours, 0.99), tail(theirs, 0.99));
            compare("longest, ", form, tail(ours, 1.0), tail(theirs, 1.0));
        }
    }
    wins
}
