use std::collections::BTreeSet;

use clap::{CommandFactory, Parser};

use super::*;
use crate::config::TABLE;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let words = line.split_whitespace();
    Cli::try_parse_from(["seedcar"].into_iter().chain(words)).map(|cli| cli.command)
}

/// Every command with its subcommands, under its full name.
fn commands() -> Vec<(String, clap::Command)> {
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    collect("", &root, &mut found);
    found
}

fn collect(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("{path} {}", sub.get_name()).trim().to_owned();
        found.push((name.clone(), sub.clone()));
        collect(&name, sub, found);
    }
}

#[test]
fn clap_finds_no_clash() {
    Cli::command().debug_assert();
}

#[test]
fn flags_and_table_are_the_same_set() {
    let table: BTreeSet<&str> = TABLE.iter().filter(|row| row.flag).map(|row| row.name).collect();
    let own: BTreeSet<&str> = ["accept", "seed", "help", "output", "to"].into();
    for (name, command) in commands() {
        if !["init", "run", "backup", "config", "config check", "backup ls"]
            .contains(&name.as_str())
        {
            continue;
        }
        let flags = command.get_arguments().filter_map(|arg| arg.get_long());
        let flags: BTreeSet<&str> = flags.filter(|flag| !own.contains(flag)).collect();
        assert_eq!(flags, table, "{name}");
    }
}

#[test]
fn help_is_one_line_a_flag_with_its_default() {
    for (name, mut command) in commands() {
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.contains('\n') && !help.ends_with('.'),
                "{name} {arg}: {help}"
            );
            let row = TABLE.iter().find(|row| Some(row.name) == arg.get_long());
            if let Some(row) = row.filter(|row| !row.shown_default().is_empty() && name == "run") {
                assert!(help.ends_with(&format!("[default: {}]", row.default)), "{help}");
            }
        }
        let leaf = ["backup ", "config ", "export "].iter().any(|group| name.starts_with(group));
        let help = command.render_help().to_string();
        assert!(
            leaf || name == "version" || help.contains("Examples:\n  seedcar"),
            "{name}: {help}"
        );
    }
}

#[test]
fn each_command_line_of_the_fixed_spellings_parses() {
    for line in [
        "export rules",
        "exec -- app --flag",
        "exec --on-change SIGHUP --only db/** --only *.json --exec-dir /x --volume /v -- app -- x",
        "exec --on-change restart --stop-signal 2 --stop-timeout 5s --splay 1m --name web -- app",
        "manifest pod --name web --app-image web:1 --prefix apps/web --consul c:8500 --image seedcar:1",
        "init --accept 3f9c --volume /v --backup /b --prefix a",
        "init --source a=b --source c=d --exact-prefix --allow-root-prefix",
        "run --seed --consul a:1 --consul b:1 --token-file /t --datacenter dc1",
        "run --wait 30s --heartbeat 15m --seed-timeout 30s --backup-delay 30s",
        "run --no-watch --no-heartbeat --no-backup --max-bytes 16Mi --max-keys 5",
        "run --max-shrink-percent 50 --allow-empty --http [::]:4292 --config /c",
        "demo --keep --consul a:1",
        "status -o json --check --url http://127.0.0.1:4292",
        "healthcheck --url http://127.0.0.1:4292",
        "wait --timeout 2m --volume /v",
        "accept 3f9c --source web --volume /v",
        "backup ls -o json --backup /b",
        "backup --backup /b show one -o table",
        "backup verify",
        "backup restore one --volume /v",
        "backup restore one --to /v",
        "backup export",
        "backup export one",
        "config check --config /c -o json",
        "config print -o text",
        "config sample",
        "version",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_exit_2() {
    for line in [
        "",
        "fly",
        "run --wiat 3s",
        "run --wait 1s --wait 2s",
        "wait --timeout 5",
        "accept",
        "status -o xml",
        "run extra",
    ] {
        let error = parse(line).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(crate::exit::Exit::Usage.code()), "{line}");
    }
}

#[test]
fn settings_arrive_wherever_they_stand() {
    let volume = |line| {
        let env = crate::config::Env::default();
        let command = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let flags = command.flags().expect("settings");
        let outcome = crate::config::load(flags, &env, crate::config::Scope::Offline);
        outcome.config.unwrap().volume
    };
    for line in [
        "run --volume /v",
        "backup --volume /v ls",
        "backup ls --volume /v",
        "backup --volume /w ls --volume /v",
        "config check --volume /v",
        "wait --volume /v",
        "accept 3f9c --volume /v --source web",
        "status --volume /v",
    ] {
        assert_eq!(volume(line).to_str(), Some("/v"), "{line}");
    }
}

#[test]
fn what_exec_cannot_do_is_refused() {
    for line in [
        "exec app",
        "exec --",
        "exec --on-change STOP -- app",
        "exec --on-change reload -- app",
        "exec --only [ -- app",
        "exec --debounce 5 -- app",
        "exec --name a/b -- app",
        "exec --consul c:8500 -- app",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
