//! Which layer wins, for every setting and every pair of layers.

use super::*;
use crate::config::{Setting, TABLE, Unit};

/// Four values of each kind that all pass, one for each layer.
fn values(row: &Setting) -> [&'static str; 4] {
    match (row.name, row.unit) {
        ("wait", _) => ["11s", "12s", "13s", "14s"],
        ("tls-server-name", _) => ["f", "e", "y", "c"],
        (_, Unit::Switch) => ["true", "true", "true", "true"],
        (_, Unit::Dir | Unit::File) => ["/f", "/e", "/y", "/c"],
        (_, Unit::Period) => ["1m", "2m", "3m", "4m"],
        (_, Unit::Bytes) => ["1Mi", "2Mi", "3Mi", "4Mi"],
        (_, Unit::Count | Unit::Percent) => ["11", "12", "13", "14"],
        (_, Unit::Address) => ["f:1", "e:1", "y:1", "c:1"],
        (_, Unit::Listen) => ["[::]:1", "[::]:2", "[::]:3", "[::]:4"],
        (_, Unit::Prefix) => ["f", "e", "y", "c"],
        (_, Unit::Pair) => ["k=f", "k=e", "k=y", "k=c"],
        (_, Unit::Source) => ["f=f", "e=e", "y=y", "c=c"],
        (_, Unit::Name) => ["f", "e", "y", "c"],
        (_, Unit::Word("MODE", _)) => ["read", "write", "read", "write"],
        (_, Unit::Word("FORMAT", _)) => ["text", "json", "text", "json"],
        (_, Unit::Word(..)) => ["warn", "debug", "warn", "debug"],
    }
}

/// The spelling of `value` in each layer that has one, strongest first, with its origin.
fn spellings(row: &Setting) -> Vec<(usize, String, String)> {
    let [flag, env, file, consul] = values(row);
    let mut all = Vec::new();
    if let Some(variable) = row.variable() {
        let value = if row.unit == Unit::Switch { "" } else { flag };
        all.push((0, format!("--{} {value}", row.name), format!("{flag} from --{}", row.name)));
        all.push((1, format!("{variable}={env}"), format!("{env} from {variable}")));
    }
    if let Some(path) = row.file.filter(|_| row.name != "source") {
        let (yaml, shown) = in_file(row, path, file);
        let at = if row.repeats { "[0]" } else { "" };
        all.push((2, yaml, format!("{shown} from seedcar.yaml: {path}{at}")));
    }
    if let Some(variable) = row.consul {
        all.push((3, format!("{variable}={consul}"), format!("{consul} from {variable}")));
    }
    all
}

fn in_file(row: &Setting, path: &str, value: &'static str) -> (String, &'static str) {
    let value_in_file = match row.unit {
        Unit::Switch if row.opposite_in_file() => "false".to_owned(),
        Unit::Switch | Unit::Count | Unit::Percent => value.to_owned(),
        _ if row.repeats => format!("[{value:?}]"),
        _ => format!("{value:?}"),
    };
    let mut keys = path.rsplit('.');
    let innermost = format!("{}: {value_in_file}", keys.next().expect("a key"));
    (keys.fold(innermost, |inner, group| format!("{group}: {{{inner}}}")), value)
}

/// All of `chosen` together, each in its layer.
fn loaded(chosen: &[(usize, String, String)]) -> Outcome {
    let of = |layer| {
        let texts = chosen.iter().filter(move |(l, ..)| *l == layer);
        texts.map(|(_, text, _)| text.as_str()).collect::<Vec<_>>().join(" ")
    };
    load(&of(0), &format!("{} {}", of(1), of(3)), &of(2))
}

#[test]
fn of_every_two_layers_the_stronger_wins() {
    let mut pairs = 0;
    for row in TABLE.iter().filter(|row| !["config", "prefix", "no-backup"].contains(&row.name)) {
        let spellings = spellings(row);
        for (i, stronger) in spellings.iter().enumerate() {
            for weaker in spellings[i..].iter() {
                let chosen = [stronger.clone(), weaker.clone()];
                let chosen = if stronger.0 == weaker.0 { &chosen[..1] } else { &chosen };
                let outcome = loaded(chosen);
                let want = match row.secret {
                    true => vec![format!("(not shown) from {}", row.consul.unwrap())],
                    false => vec![stronger.2.clone()],
                };
                assert_eq!(printed(row.name, &outcome), want, "{stronger:?} over {weaker:?}");
                pairs += 1;
            }
        }
        let nothing = load("", "", "");
        let default = if row.default.is_empty() { "-" } else { row.default };
        let want = match row.name {
            "source" => vec![],
            _ => vec![format!("{default} from default")],
        };
        assert_eq!(printed(row.name, &nothing), want);
    }
    assert!(pairs > 150, "{pairs}");
}

#[test]
fn lists_and_sources_are_replaced_not_joined() {
    let outcome = load("--consul a:1 --consul b:1", "SEEDCAR_CONSUL=c:1,d:1", "");
    assert_eq!(printed("consul", &outcome), ["a:1 from --consul", "b:1 from --consul"]);
    let outcome = load("", "SEEDCAR_CONSUL=c:1,d:1 CONSUL_HTTP_ADDR=e:1", "");
    assert_eq!(printed("consul", &outcome).len(), 2);
    let outcome = load("--prefix f", "SEEDCAR_SOURCE=e=e", "sources: [{name: y, prefix: y}]");
    assert_eq!(printed("source", &outcome), ["default=f from --prefix"]);
    let outcome = load("", "SEEDCAR_SOURCE=e=e", "sources: [{name: y, prefix: y}]");
    assert_eq!(printed("source", &outcome), ["e=e from SEEDCAR_SOURCE"]);
    let outcome = load("", "", "sources: [{name: y, prefix: y, exactPrefix: true}]");
    assert_eq!(printed("source", &outcome), ["y=y (exact) from seedcar.yaml: sources[0]"]);
}

#[test]
fn no_backup_is_the_mode_off_in_its_own_layer() {
    let (write, read) = (Some("Write"), Some("Read"));
    for (flags, env, file, want) in [
        ("", "", "", write),
        ("--no-backup", "", "", None),
        ("--no-backup --backup-mode read", "", "", None),
        ("--backup-mode read", "SEEDCAR_NO_BACKUP=true", "", read),
        ("--no-backup", "SEEDCAR_BACKUP_MODE=read", "", None),
        ("", "SEEDCAR_NO_BACKUP=1", "backup: {mode: read}", None),
        ("", "SEEDCAR_BACKUP_MODE=read", "backup: {mode: off}", read),
        ("", "", "backup: {mode: off}", None),
        ("", "SEEDCAR_NO_BACKUP=false", "backup: {mode: off}", None),
    ] {
        let config = config(flags, &format!("{MINIMUM} {env}"), file);
        let mode = config.backup.map(|backup| format!("{:?}", backup.mode));
        assert_eq!(mode.as_deref(), want, "{flags} {env} {file}");
    }
    let outcome = load("--no-backup", MINIMUM, "");
    assert_eq!(printed("backup-mode", &outcome), ["off from --no-backup"]);
}

#[test]
fn a_weaker_layers_mistake_is_not_in_effect() {
    config("--wait 5s", &format!("{MINIMUM} SEEDCAR_WAIT=5"), "watch: {wait: 7}");
}
