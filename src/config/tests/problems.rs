//! Every problem's text, all of them at once, and no secret in any.

use super::*;

#[test]
fn a_bad_value_says_what_where_and_what_instead() {
    use Kind::{Conflict, Malformed, Range, Unsupported};
    let period = "write numbers with units, as in 30s, 15m, 1500ms or 1h30m";
    let size = "write a whole number of bytes, or of Ki, Mi or Gi, as in 16Mi";
    let address = "write host:port, http://host:port, https://host:port or unix:///path";
    let label = "write letters, digits, '-', '_' and '.', at most 63";
    let listen = "write an IP address and a port, as in [::]:4292 or 127.0.0.1:4292";
    let name = "a name has 1 to 63 of a-z, 0-9 and '-', and no '-' at either end";
    for (flags, kind, line) in [
        ("--wait 30", Malformed, format!("wait \"30\": has no unit (--wait); {period}")),
        ("--wait 999ms", Range, "wait \"999ms\": is below 1s (--wait); allowed is 1s to 10m".into()),
        ("--wait 10m1s", Range, "wait \"10m1s\": is above 10m (--wait); allowed is 1s to 10m".into()),
        ("--heartbeat 0s", Range, "heartbeat \"0s\": is below 1s (--heartbeat); allowed is 1s or more".into()),
        ("--seed-timeout x", Malformed, format!("seed-timeout \"x\": is not a period (--seed-timeout); {period}")),
        ("--backup-delay 9999999999999h", Malformed, format!("backup-delay \"9999999999999h\": is too long (--backup-delay); {period}")),
        ("--max-bytes 16M", Malformed, format!("max-bytes \"16M\": has an unknown unit (--max-bytes); {size}")),
        ("--max-bytes 0", Range, "max-bytes \"0\": is below 1 (--max-bytes); allowed is 1 or more".into()),
        ("--max-keys many", Malformed, "max-keys \"many\": is not a whole number (--max-keys); write a whole number".into()),
        ("--max-keys 0", Range, "max-keys \"0\": is below 1 (--max-keys); allowed is 1 or more".into()),
        ("--max-shrink-percent 101", Range, "max-shrink-percent \"101\": is above 100 (--max-shrink-percent); allowed is 0 to 100".into()),
        ("--backup-mode maybe", Malformed, "backup-mode \"maybe\": is none of its words (--backup-mode); write one of write, read, off".into()),
        ("--log-format xml", Malformed, "log-format \"xml\": is none of its words (--log-format); write one of auto, json, text".into()),
        ("--log-level loud", Malformed, "log-level \"loud\": is none of its words (--log-level); write one of error, warn, info, debug".into()),
        ("--http localhost:1", Malformed, format!("http \"localhost:1\": is not an IP address with a port (--http); {listen}")),
        ("--consul ftp://a", Malformed, format!("consul \"ftp://a\": has an unknown scheme (--consul); {address}")),
        ("--consul a", Malformed, "consul \"a\": has no port (--consul); add one, as in consul:8500".into()),
        ("--datacenter dc/1", Malformed, format!("datacenter \"dc/1\": has a character that no such name has (--datacenter); {label}")),
        ("--tls-server-name a/b", Malformed, "tls-server-name \"a/b\": is no host name (--tls-server-name); write it as in server.dc1.consul".into()),
        ("--volume=", Malformed, "volume \"\": is empty (--volume); write a path".into()),
        ("--client-cert /c", Conflict, "client-cert \"/c\": is given without client-key (--client-cert); give both, or neither".into()),
        ("--client-key /k", Conflict, "client-key \"/k\": is given without client-cert (--client-key); give both, or neither".into()),
        ("--backup /seedcar/backup", Conflict, "backup \"/seedcar/backup\": lies in the volume, which is memory and would take the backup with it (--backup); name a directory on a disk, or --no-backup".into()),
        ("--no-watch --no-heartbeat", Conflict, "no-heartbeat: is given together with no-watch: nothing would ever be read again (--no-heartbeat); leave one of them on".into()),
        ("--source web", Malformed, "source \"web\": has no NAME= (--source); write NAME=PREFIX, as in web=apps/web".into()),
        ("--source Web=a", Malformed, format!("source \"Web=a\": has a name that no source can have (--source); {name}")),
        ("--source -w=a", Malformed, format!("source \"-w=a\": has a name that no source can have (--source); {name}")),
        ("--source w=a --source w=b", Conflict, "source \"w=b\": has the name of another source (--source); name each source once".into()),
        ("--source w=/a", Malformed, "source \"w=/a\": starts with '/': Consul keys do not; leave it out (--source)".into()),
        ("--source w=", Malformed, "source \"w=\": is empty: that is the whole store; name a prefix, or allow it with --allow-root-prefix (--source)".into()),
    ] {
        let flags = flags.replace("-w=a", "=-w=a").replace("--source =", "--source=");
        check(&flags, MINIMUM, "", kind, &line);
    }
    for (env, kind, line) in [
        (
            "SEEDCAR_NO_WATCH=yes",
            Malformed,
            "no-watch \"yes\": is not true or false (SEEDCAR_NO_WATCH); write true or false",
        ),
        (
            "SEEDCAR_NO_BACKUP=yes",
            Malformed,
            "no-backup \"yes\": is not true or false (SEEDCAR_NO_BACKUP); write true or false",
        ),
        (
            "CONSUL_HTTP_SSL=TRUE",
            Malformed,
            "ssl \"TRUE\": is not true or false (CONSUL_HTTP_SSL); write true or false",
        ),
        (
            "CONSUL_HTTP_SSL_VERIFY=false",
            Unsupported,
            "ssl-verify \"false\": cannot be switched off (CONSUL_HTTP_SSL_VERIFY); name the authority with --ca-file, and the name in the certificate with --tls-server-name if it is not the address's",
        ),
        (
            "CONSUL_HTTP_SSL_VERIFY=no",
            Malformed,
            "ssl-verify \"no\": is not true or false (CONSUL_HTTP_SSL_VERIFY); write true or false",
        ),
        (
            "CONSUL_CLIENT_CERT=/c",
            Conflict,
            "client-cert \"/c\": is given without client-key (CONSUL_CLIENT_CERT); give both, or neither",
        ),
        (
            "SEEDCAR_CONSUL=a:1,,b:1",
            Malformed,
            "consul \"\": is empty (SEEDCAR_CONSUL); write host:port, http://host:port, https://host:port or unix:///path",
        ),
    ] {
        check("", &format!("{MINIMUM} {env}"), "", kind, line);
    }
    check(
        "",
        "",
        "",
        Kind::Missing,
        "source: is needed: no prefix is named; write --prefix PREFIX, or --source NAME=PREFIX",
    );
}

#[test]
fn all_problems_come_at_once() {
    let problems = problems(
        "--wait 30 --max-keys x --no-watch --no-heartbeat",
        "SEEDCAR_HTTP=here CONSUL_HTTP_SSL_VERIFY=0 CONSUL_GRPC_ADDR=x",
        "volume: 7\nguards: {maxBites: 1, maxBytes: 16M}",
    );
    let settings: Vec<&str> = problems.iter().map(|p| p.setting.as_str()).collect();
    let want = [
        "volume",
        "guards.maxBites",
        "CONSUL_GRPC_ADDR",
        "max-bytes",
        "max-keys",
        "ssl-verify",
        "source",
        "wait",
        "http",
        "no-heartbeat",
    ];
    assert_eq!(settings, want, "\n{}", lines(&problems));
}

#[test]
fn no_secret_is_shown() {
    let token = "01234567-89ab-cdef-0123-456789abcdef";
    for (flags, env, file, seen) in [
        (
            "",
            format!("CONSUL_HTTP_TOKEN={CANARY}\u{7}"),
            String::new(),
            "token: has a control character (CONSUL_HTTP_TOKEN)",
        ),
        (
            "",
            format!("CONSUL_HTTP_TOKEN={CANARY}é"),
            String::new(),
            "token: has a character that is not ASCII",
        ),
        ("", format!("CONSUL_HTTP_AUTH=me:{CANARY}é"), String::new(), "auth: has a character"),
        ("", format!("CONSUL_TOKEN={CANARY}"), String::new(), "CONSUL_TOKEN: is not supported"),
        ("", format!("SEEDCAR_TOKEN={CANARY}"), String::new(), ""),
        (
            "",
            format!("CONSUL_HTTP_ADDR=http://me:{CANARY}@a:1"),
            String::new(),
            "consul: has an '@'",
        ),
        (
            "",
            format!("SEEDCAR_CONSUL=http://a:1?token={CANARY}"),
            String::new(),
            "consul: has a '?'",
        ),
        (
            "",
            String::new(),
            format!("consul: {{token: {CANARY}}}"),
            "a token does not belong in this file",
        ),
        ("", String::new(), format!("token: {CANARY}"), "a token does not belong in this file"),
        ("", String::new(), format!("consul: {{tokenfile: {CANARY}}}"), "did you mean tokenFile?"),
        ("", String::new(), format!("consul: {{addresses: {CANARY}}}"), "is not a list"),
        (
            "",
            format!("CONSUL_HTTP_TOKEN_FILE={token}"),
            String::new(),
            "token-file: looks like a token",
        ),
        ("", format!("SEEDCAR_CONFIG={token}"), String::new(), ""),
    ] {
        let outcome = load(flags, &format!("{MINIMUM} {env}"), &file);
        let effective = serde_json::to_string(&outcome.typed.effective()).unwrap();
        let json = serde_json::to_string(&outcome.warnings).unwrap();
        let problems = outcome.config.as_ref().err().cloned().unwrap_or_default();
        let text = lines(&problems);
        let all = format!("{text} {problems:?} {effective} {json} {:?}", outcome.warnings);
        assert!(!all.contains(CANARY) && !all.contains(token), "{all}");
        assert!(text.contains(seen), "{seen:?} in {text:?}");
    }
    let config = config(
        "",
        &format!("{MINIMUM} CONSUL_HTTP_TOKEN={CANARY} CONSUL_HTTP_AUTH=me:{CANARY}"),
        "",
    );
    assert!(!format!("{config:?}").contains(CANARY));
}

#[test]
fn one_problem_is_one_line_whatever_was_typed() {
    let long = "x".repeat(500);
    let file = format!("\"wa\\nit\": 1\nsources: [{{name: \"a\\nb\", prefix: {long}}}]");
    for problem in problems("", "", &file) {
        let line = problem.to_string();
        assert!(!line.contains('\n') && line.len() < 300, "{line}");
    }
}

#[test]
fn what_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(b"/v\xff".to_vec());
    let env =
        Env::from_iter([("SEEDCAR_VOLUME".into(), odd), ("SEEDCAR_PREFIX".into(), "a".into())]
            as [(std::ffi::OsString, _); 2]);
    let outcome = combine(&crate::config::Flags::new(), &env, None, Scope::Full, vec![]);
    let problems = outcome.config.unwrap_err();
    assert_eq!(lines(&problems), "volume: is not UTF-8 (SEEDCAR_VOLUME)");
}

#[test]
fn backups_in_two_places_are_refused_and_odd_names_of_secrets() {
    let both = lines(&problems("--prefix a --backup /b --backup-secrets web-0", "", ""));
    assert!(both.contains("backup \"/b\": is given together with backup-secrets"), "{both}");
    let twice = "--prefix a --backup-secrets a --backup-secrets b --backup-secrets a";
    let twice = lines(&problems(twice, "", ""));
    assert!(twice.contains("names a Secret twice"), "{twice}");
    for odd in ["", "Web", "-web", "web-", "web/0", "../web", "a..b", "a.-b", &"x".repeat(254)] {
        let line = lines(&problems(&format!("--prefix a --backup-secrets={odd}"), "", ""));
        assert!(line.contains("is no name of a Kubernetes object"), "{odd}: {line}");
    }
}

#[test]
#[cfg(not(feature = "kube"))]
fn what_needs_the_kubernetes_api_is_refused_where_it_is_not_built_in() {
    for flag in ["--backup-secrets web-0", "--events"] {
        let line = lines(&problems(&format!("--prefix a {flag}"), "", ""));
        assert!(line.contains("was built without kube"), "{line}");
    }
}
