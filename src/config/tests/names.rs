//! Names: known, unknown, and those that Kubernetes makes.

use super::*;
use crate::config::{Id, TABLE, Unit, settings_markdown};

#[test]
fn a_consul_variable_that_would_be_ignored_is_refused() {
    for (variable, hint) in [
        ("CONSUL_GRPC_ADDR", "remove it from this container: seedcar would not do what it says"),
        ("CONSUL_DATACENTER", "remove it, or set SEEDCAR_DATACENTER"),
        ("CONSUL_TOKEN_FILE", "remove it, or set SEEDCAR_TOKEN_FILE"),
        ("CONSUL_HTTP_ADR", "did you mean CONSUL_HTTP_ADDR?"),
        ("CONSUL_HTTP_PROXY", "remove it from this container: seedcar would not do what it says"),
    ] {
        let line = format!("{variable}: is not supported ({variable}); {hint}");
        check("", &format!("{MINIMUM} {variable}=x"), "", Kind::Unsupported, &line);
    }
}

#[test]
fn an_unknown_variable_of_ours_is_a_strict_warning_with_a_guess() {
    for (variable, hint) in [
        ("SEEDCAR_WIAT", "did you mean SEEDCAR_WAIT?"),
        ("SEEDCAR_HEARTBEATS", "did you mean SEEDCAR_HEARTBEAT?"),
        ("SEEDCAR_MAX_SHRINK", "remove it; `seedcar config print` lists the settings"),
        ("SEEDCAR_TOKEN", "remove it; `seedcar config print` lists the settings"),
    ] {
        let outcome = load("", &format!("{MINIMUM} {variable}=x"), "");
        assert!(outcome.config.is_ok(), "an image rolled back still starts");
        let warnings = outcome.warnings;
        let line = format!("{variable}: is not a setting ({variable}); {hint}");
        assert_eq!(warnings.len(), 1);
        assert_eq!((warnings[0].to_string(), warnings[0].strict), (line, true));
    }
}

#[test]
fn what_kubernetes_injects_passes() {
    let mut env = format!("{MINIMUM} SEEDCAR_DIR=/seedcar/live");
    for service in ["CONSUL", "CONSUL_SERVER", "SEEDCAR", "SEEDCAR_METRICS"] {
        for tail in [
            "SERVICE_HOST=10.0.0.1",
            "SERVICE_PORT=8500",
            "SERVICE_PORT_HTTP=8500",
            "PORT=tcp://10.0.0.1:8500",
            "PORT_8500_TCP=tcp://10.0.0.1:8500",
            "PORT_8500_TCP_PROTO=tcp",
            "PORT_8500_TCP_PORT=8500",
            "PORT_8500_TCP_ADDR=10.0.0.1",
        ] {
            env.push_str(&format!(" {service}_{tail}"));
        }
    }
    let outcome = load("", &env, "");
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    outcome.config.unwrap();
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let config =
        config("", &format!("{MINIMUM} SEEDCAR_WAIT= CONSUL_HTTP_TOKEN= CONSUL_HTTP_ADDR="), "");
    assert_eq!(config.consul.addresses.len(), 1);
}

#[test]
fn every_row_of_the_table_is_whole() {
    let markdown = settings_markdown();
    for (i, row) in TABLE.iter().enumerate() {
        assert_eq!(row.id as usize, i, "{}: the table is in the order of Id", row.name);
        assert_eq!(row.id.row().name, row.name);
        assert!(!row.help.is_empty() && row.help.len() < 80, "{}", row.help);
        assert!(!row.help.contains('\n') && !row.help.ends_with('.'), "{}", row.help);
        assert!(row.flag || row.consul.is_some(), "{}: cannot be set", row.name);
        let name = match row.flag {
            true => format!("--{}", row.name),
            false => row.consul.unwrap().to_owned(),
        };
        let in_readme = [format!("| `{name}`"), format!("| `{name} ")];
        let times = in_readme.map(|text| markdown.matches(&text).count());
        assert_eq!(times.iter().sum::<usize>(), 1, "{name}");
        let derived =
            row.flag.then(|| format!("SEEDCAR_{}", row.name.to_uppercase().replace('-', "_")));
        assert_eq!(row.variable(), derived);
    }
    let basic = TABLE.iter().filter(|row| !row.advanced).count();
    assert!(basic <= 25, "{basic} settings that a user must know of");
}

#[test]
fn switches_are_off_unless_said() {
    for row in TABLE.iter().filter(|row| row.unit == Unit::Switch) {
        let want = if row.id == Id::SslVerify { "true" } else { "false" };
        assert_eq!(row.default, want, "{}", row.name);
    }
}
