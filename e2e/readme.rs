//! The README's generated tables say what the code says. `UPDATE=1` writes them.

use std::fs;
use std::path::Path;

use seedcar::{config, exit, metrics};

#[test]
fn the_generated_tables_have_not_drifted() {
    let lines = format!("```diff\n{}```", crate::chart::rendered::added());
    up_to_date(
        "README.md",
        &[
            ("settings", config::settings_markdown()),
            ("exits", exit::markdown()),
            ("metrics", metrics::markdown()),
            ("chart", lines.clone()),
        ],
    );
    up_to_date("charts/seedcar/README.md", &[("chart", lines)]);
}

fn up_to_date(file: &str, tables: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let old = fs::read_to_string(&path).unwrap();
    let new = tables.iter().fold(old.clone(), |text, (name, table)| replace(&text, name, table));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &new).unwrap();
    } else {
        assert!(old == new, "{file}: run UPDATE=1 cargo test --test e2e readme");
    }
}

#[test]
fn every_command_is_in_the_readme() {
    use clap::CommandFactory;
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for command in seedcar::cli::Cli::command().get_subcommands() {
        let name = format!("seedcar {}", command.get_name());
        assert!(command.get_name() == "version" || text.contains(&name), "{name}");
    }
}

fn replace(text: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let from = text.find(&start).expect("the marker") + start.len();
    let to = from + text[from..].find("<!-- end -->").expect("the end marker");
    format!("{}{}\n{}", &text[..from], table.trim_end(), &text[to..])
}
