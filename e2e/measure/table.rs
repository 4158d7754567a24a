//! The figures as a table for people.

use std::fmt::Write as _;

use super::load::Load;
use super::result::{FLOOR, Results, Series, What};

/// The columns, from the floor to the rival.
const WHO: [&str; 5] =
    [FLOOR, "seedcar, tree", "seedcar, JSON", "consul-template, JSON", "consul-template, mirror"];

/// Markdown: a table for each load, a row for each figure.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    for load in results.loads() {
        let _ = writeln!(text, "\n### {load}\n\n| | {} |", WHO.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(WHO.len()));
        for what in all(results) {
            row(&mut text, results, &load, what);
        }
    }
    text
}

fn all(results: &Results) -> Vec<What> {
    let mut all: Vec<What> = results.series.iter().map(|series| series.what).collect();
    all.sort();
    all.dedup();
    all
}

fn row(text: &mut String, results: &Results, load: &Load, what: What) {
    let cell = |who: &&str| results.get(what, load, who).map_or("-".to_owned(), |s| said(what, s));
    let cells: Vec<String> = WHO.iter().map(cell).collect();
    if cells.iter().any(|cell| cell != "-") {
        let _ = writeln!(text, "| {} | {} |", what.title(), cells.join(" | "));
    }
}

/// Of changes the tail matters, too.
fn said(what: What, series: &Series) -> String {
    let median = number(series.median());
    match what {
        What::Change => format!("{median} (p99 {})", number(series.quantile(0.99))),
        _ => median,
    }
}

fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
