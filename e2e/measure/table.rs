//! The figures as a table for people.

use std::fmt::Write as _;

use super::load::Load;
use super::result::{FLOOR, Results, Series, What};

/// The columns, from the floor to the rival.
pub const WHO: [&str; 7] = [
    FLOOR,
    "seedcar, tree",
    "seedcar, JSON",
    "consul-template, JSON",
    "consul-template, JSON, no gzip",
    "consul-template, mirror",
    "consul-template, default retry",
];

/// Markdown: a table for each load, a row for each figure.
pub fn markdown(results: &Results) -> String {
    let mut text = format!(
        "{}.\n\nMedians, with the spread from p10 to p90 in brackets.\n",
        results.machine.line()
    );
    for load in results.loads() {
        let who = columns(results, &load);
        let _ = writeln!(text, "\n### {load}\n\n| | {} |", who.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(who.len()));
        for what in results.whats() {
            if let Some(cells) = row(results, &load, what, &who) {
                let _ = writeln!(text, "| {} | {} |", what.title(), cells.join(" | "));
            }
        }
    }
    text
}

/// Who was measured under a load.
fn columns(results: &Results, load: &Load) -> Vec<&'static str> {
    let measured = |who: &&str| results.series.iter().any(|s| s.load == *load && s.who == **who);
    WHO.into_iter().filter(measured).collect()
}

/// The cells of a row, if anything in it was measured.
pub fn row(results: &Results, load: &Load, what: What, who: &[&str]) -> Option<Vec<String>> {
    let series = || who.iter().map(|who| results.get(what, load, who));
    let cell = |series: Option<&Series>| series.map_or("-".to_owned(), said);
    series().any(|series| series.is_some()).then(|| series().map(cell).collect())
}

/// The middle and the spread; of changes the tail matters, too.
fn said(series: &Series) -> String {
    let [low, middle, high] = [0.1, 0.5, 0.9].map(|part| number(series.quantile(part)));
    let spread = if low == high { String::new() } else { format!(" ({low}-{high})") };
    let tail = if series.has_a_tail() {
        let [p99, max] = [0.99, 1.0].map(|part| number(series.quantile(part)));
        format!(", p99 {p99}, max {max}")
    } else {
        String::new()
    };
    format!("{middle}{spread}{tail}")
}

/// So many digits as matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v < 0.005 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
