//! The README's table of options is that of the real program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;

/// Words that begin with a dash, in backquotes or at the beginning of a line of help.
fn flags(text: &str) -> BTreeSet<String> {
    let of_a_flag = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| !of_a_flag(c));
    words.filter(|word| word.starts_with('-') && word.len() > 1).map(ToOwned::to_owned).collect()
}

/// The first column of the table below a marker of the README.
fn first_column(marker: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("the README");
    let (_, table) = text.split_once(&format!("<!-- {marker} -->\n")).expect("the marker");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let rows = table.lines().skip(2);
    rows.filter_map(|row| row.split(" | ").next()).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_flag_of_consul_template_is_in_the_table_and_no_other() {
    let Some(program) = super::consul_template() else { return };
    let help = Command::new(program).arg("-h").output().expect("start consul-template");
    let help = [help.stdout, help.stderr].concat();
    let help = String::from_utf8(help).expect("UTF-8");
    let is_flag = |line: &&str| line.trim_start().starts_with('-');
    let named =
        help.lines().filter(is_flag).filter_map(|line| line.trim().split(['=', ' ', ',']).next());
    let real: BTreeSet<String> = named.map(ToOwned::to_owned).collect();
    assert!(real.len() > 60, "{real:?}");
    assert_eq!(flags(&first_column("consul-template")), real);
}

#[test]
fn each_flag_of_ours_in_the_tables_is_real() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("the README");
    let (_, section) = text.split_once("## Moving over").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let settings = seedcar::config::TABLE.iter().map(|row| format!("--{}", row.name));
    let mut cli = seedcar::cli::Cli::command();
    let exec = cli.find_subcommand_mut("exec").expect("seedcar exec");
    let of_exec = exec.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
    let own = of_exec.chain(["--template".to_owned()]);
    let settings: BTreeSet<String> = settings.chain(own).collect();
    let ours = section.lines().filter_map(|row| row.split(" | ").nth(1));
    let named: BTreeSet<String> =
        ours.flat_map(flags).filter(|flag| flag.starts_with("--") && flag.len() > 2).collect();
    assert!(named.len() > 15 && named.is_subset(&settings), "{named:?}");
}
