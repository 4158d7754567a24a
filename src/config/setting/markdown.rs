//! The settings as the README shows them.

use super::{Setting, TABLE};

/// How a flag's variable is called.
const VARIABLES: &str = "Each flag has a variable: `--max-keys` is `SEEDCAR_MAX_KEYS`. A switch is \
                         `true` or `false` there, and a list has commas.";

/// The README's tables of settings: those that users meet, then the rest.
pub fn settings_markdown() -> String {
    format!(
        "{VARIABLES}\n\n{}\nRarely needed:\n\n{}",
        table(|row| !row.advanced),
        table(|row| row.advanced)
    )
}

fn table(chosen: impl Fn(&&Setting) -> bool) -> String {
    let mut text = String::from(
        "| flag | default | in the file | Consul's variable | what it does |\n|---|---|---|---|---|\n",
    );
    for row in TABLE.iter().filter(chosen) {
        let cells = [
            flag(row),
            code(row.shown_default()),
            file(row),
            code(row.consul.unwrap_or_default()),
            row.help.to_owned(),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn flag(row: &Setting) -> String {
    if !row.flag {
        return String::new();
    }
    let typed = format!("--{} {}", row.name, row.unit.stand_in());
    let again = if row.repeats { " ..." } else { "" };
    code(&format!("{}{again}", typed.trim_end()))
}

fn file(row: &Setting) -> String {
    match row.file {
        Some(path) if row.opposite_in_file() => code(&format!("{path}: false")),
        path => code(path.unwrap_or_default()),
    }
}

/// `text` as code, with the bar that would end its cell escaped.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("`{}`", text.replace('|', "\\|"))
}
