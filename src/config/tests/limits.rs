//! What the checked configuration holds.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::config::{
    Address, Backup, BackupMode, BasicAuth, ClientCert, Guards, Heartbeat, Log, LogFormat,
    LogLevel, Place, Token, Watch,
};
use crate::model::output::{Form, Format, MODE, Output, Shape, Single, Types};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_prefix_alone_is_enough() {
    let config = config("--prefix apps/web", "", "");
    assert_eq!(config.volume, PathBuf::from("/seedcar"));
    let backup = Backup {
        place: Place::Directory("/backup".into()),
        mode: BackupMode::Write,
        id: String::new(),
        delay: 30 * SECOND,
    };
    assert_eq!(config.backup, Some(backup));
    assert_eq!(addresses(&config), ["http://127.0.0.1:8500"]);
    assert_eq!(config.token, Token::None);
    assert_eq!(config.sources[0].name, "default");
    assert_eq!(config.sources[0].reads.prefix().as_str(), "apps/web/");
    assert_eq!(config.outputs, [tree(&[0])]);
    assert_eq!(config.watch, Some(Watch { wait: 30 * SECOND }));
    let interval = 900 * SECOND;
    assert_eq!(config.heartbeat, Some(Heartbeat { interval }));
    assert_eq!(config.seed_timeout, 30 * SECOND);
    let guards = Guards {
        max_bytes: 16 << 20,
        max_keys: 20_000,
        max_shrink_percent: 50,
        allow_empty: false,
    };
    assert_eq!(config.guards, guards);
    assert_eq!(config.http.to_string(), "[::]:4292");
    assert!(!config.http_explicit);
    let (format, level) = (LogFormat::Auto, LogLevel::Info);
    assert_eq!(config.log, Log { format, level });
    assert_eq!(config.termination_log, PathBuf::from("/dev/termination-log"));
}

fn addresses(config: &Config) -> Vec<String> {
    config.consul.addresses.iter().map(Address::to_string).collect()
}

#[test]
fn the_default_address_is_for_outside_a_pod() {
    let in_pod = format!("{MINIMUM} KUBERNETES_SERVICE_HOST=10.0.0.1");
    check(
        "",
        &in_pod,
        "",
        Kind::Missing,
        "consul: is needed: in a pod there is no default address; \
         set CONSUL_HTTP_ADDR or --consul, as in https://consul-server.consul.svc:8501",
    );
    let given = config("--consul consul:8500", &in_pod, "");
    assert_eq!(addresses(&given), ["http://consul:8500"]);
    let outside = config("", MINIMUM, "");
    assert_eq!(addresses(&outside), ["http://127.0.0.1:8500"]);
}

#[test]
fn a_command_that_only_looks_needs_neither_source_nor_address() {
    let env = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("SEEDCAR_HTTP", "127.0.0.1:99")];
    let flags = crate::config::Flags::new();
    let outcome = combine(&flags, &env.into_iter().collect(), None, Scope::Offline, vec![]);
    let config = outcome.config.unwrap();
    assert_eq!(config.http_url(), "http://127.0.0.1:99");
    assert!(config.sources.is_empty() && config.consul.addresses.is_empty());
    assert_eq!(config.outputs, [tree(&[])]);
}

#[test]
fn a_wildcard_is_reached_on_loopback() {
    for (http, url) in [
        ("[::]:4292", "http://127.0.0.1:4292"),
        ("0.0.0.0:1", "http://127.0.0.1:1"),
        ("[::1]:4292", "http://[::1]:4292"),
        ("10.1.2.3:4", "http://10.1.2.3:4"),
    ] {
        let config = config(&format!("--http {http}"), MINIMUM, "");
        assert_eq!(config.http_url(), url);
        assert!(config.http_explicit, "also when it is the default's text");
    }
}

#[test]
fn sources_keep_their_order_and_names() {
    let config = config("--source b=x/b --source a=x/a/ --prefix p --exact-prefix", "", "");
    let sources = config.sources.iter();
    let sources: Vec<_> = sources.map(|s| (s.name.as_str(), s.reads.prefix().as_str())).collect();
    assert_eq!(sources, [("default", "p"), ("b", "x/b"), ("a", "x/a/")]);
    assert_eq!(config.outputs, [tree(&[0, 1, 2])]);
}

#[test]
fn files_are_beside_the_tree_or_what_the_file_says() {
    let single = |path: &str, format| {
        let (shape, types, max_bytes) = (Shape::Nested, Types::Text, LARGEST);
        let (path, mode) = (path.into(), MODE);
        let file = Single { path, format, shape, types, mode, max_bytes };
        Output { max_bytes, ..Output::of(vec![0], Form::File(file)) }
    };
    let files = [single("a.json", Format::Json), single("etc/b.env", Format::Env)];
    let tree = tree(&[0]);
    let all = [std::slice::from_ref(&tree), &files].concat();
    assert_eq!(config("--prefix a --file a.json --file etc/b.env", "", "").outputs, all);
    assert_eq!(config("--prefix a", "SEEDCAR_FILE=a.json,etc/b.env", "").outputs, all);
    let only = "outputs: [{file: {path: a.json}}]";
    assert_eq!(config("--prefix a", "", only).outputs, files[..1]);
    assert_eq!(config("--prefix a --file etc/b.env", "", only).outputs, files);
}

#[test]
fn the_token_file_wins_over_the_token() {
    let token = format!("CONSUL_HTTP_TOKEN={CANARY}");
    let of = |flags, env: &str| config(flags, &format!("{MINIMUM} {token} {env}"), "").token;
    let Token::Env(secret) = of("", "") else { panic!("no token") };
    assert_eq!(secret.expose(), CANARY);
    assert_eq!(of("", "CONSUL_HTTP_TOKEN_FILE=/t"), Token::File("/t".into()));
    assert_eq!(of("--token-file /f", "CONSUL_HTTP_TOKEN_FILE=/t"), Token::File("/f".into()));
}

#[test]
fn basic_auth_may_lack_a_password() {
    let auth =
        |typed: &str| config("", &format!("{MINIMUM} CONSUL_HTTP_AUTH={typed}"), "").consul.auth;
    let password = |p: &str| Some(p.parse().unwrap());
    for (typed, user, password) in
        [("me:pass:word", "me", password("pass:word")), ("me:", "me", None), ("me", "me", None)]
    {
        let user = user.to_owned();
        assert_eq!(auth(typed), Some(BasicAuth { user, password }), "{typed}");
    }
}

#[test]
fn http_never_turns_off_tls() {
    let ssl = format!("{MINIMUM} CONSUL_HTTP_SSL=true");
    let flags = "--consul http://a:1 --consul b:1 --consul https://c:1 --consul unix:///d";
    let all = config(flags, &ssl, "");
    assert_eq!(addresses(&all), ["https://a:1", "https://b:1", "https://c:1", "unix:///d"]);
    assert_eq!(addresses(&config("", &ssl, "")), ["https://127.0.0.1:8500"]);
    assert_eq!(
        warnings(flags, &ssl, ""),
        [
            "consul \"http://a:1\": is spoken to as https, because CONSUL_HTTP_SSL is true (--consul); \
          write https://, or remove CONSUL_HTTP_SSL"
        ]
    );
    let plain = config("--consul http://a:1 --consul b:1", MINIMUM, "");
    assert_eq!(addresses(&plain), ["http://a:1", "http://b:1"]);
}

#[test]
fn tls_settings_arrive_and_a_port_is_cut_from_the_name() {
    let env = "CONSUL_CACERT=/ca CONSUL_CAPATH=/cas CONSUL_CLIENT_CERT=/c CONSUL_CLIENT_KEY=/k \
               CONSUL_TLS_SERVER_NAME=server.dc1.consul:8501 CONSUL_HTTP_SSL=1 \
               CONSUL_HTTP_SSL_VERIFY=true CONSUL_NAMESPACE=ns CONSUL_PARTITION=part";
    let consul = config("--prefix a --datacenter dc1", env, "").consul;
    assert_eq!(consul.tls.ca_file, Some("/ca".into()));
    assert_eq!(consul.tls.ca_path, Some("/cas".into()));
    let (cert, key) = ("/c".into(), "/k".into());
    assert_eq!(consul.tls.client, Some(ClientCert { cert, key }));
    assert_eq!(consul.tls.server_name.as_deref(), Some("server.dc1.consul"));
    assert_eq!(consul.namespace.as_deref(), Some("ns"));
    assert_eq!(consul.partition.as_deref(), Some("part"));
    assert_eq!(consul.datacenter.as_deref(), Some("dc1"));
}

#[test]
fn what_is_doubtful_is_said_and_done() {
    let long = "wait \"2m\": is long: a revoked token keeps its rights until the question returns \
                (--wait); at most 1m is advised";
    assert_eq!(warnings("--wait 2m", MINIMUM, ""), [long]);
    assert_eq!(config("--wait 2m", MINIMUM, "").watch, Some(Watch { wait: 120 * SECOND }));
    assert!(warnings("--wait 60s", MINIMUM, "").is_empty());
    let useless = "ca-file \"/ca\": is of no use: no address is https (--ca-file); \
                   write https:// before Consul's address, or set CONSUL_HTTP_SSL=true";
    assert_eq!(warnings("--ca-file /ca", MINIMUM, ""), [useless]);
    assert!(warnings("--ca-file /ca --consul https://a", MINIMUM, "").is_empty());
}

#[test]
fn the_ends_of_each_range_are_allowed() {
    for flags in [
        "--wait 1s --heartbeat 1s --seed-timeout 1s --backup-delay 0s",
        "--wait 10m --heartbeat 8760h",
        "--max-bytes 1 --max-keys 1 --max-shrink-percent 0",
        "--max-shrink-percent 100",
        "--no-watch",
        "--no-heartbeat",
    ] {
        config(flags, MINIMUM, "");
    }
    let guards = config("--max-bytes 1Gi --max-keys 5 --allow-empty", MINIMUM, "").guards;
    assert_eq!((guards.max_bytes, guards.max_keys, guards.allow_empty), (1 << 30, 5, true));
}

#[test]
#[cfg(feature = "kube")]
fn backups_are_in_secrets_where_some_are_named() {
    for config in [
        config("--prefix a --backup-secrets web-0 --backup-secrets web-1", "", ""),
        config("--prefix a", "SEEDCAR_BACKUP_SECRETS=web-0,web-1", ""),
        config("--prefix a", "", "backup: {secrets: [web-0, web-1]}"),
    ] {
        let place = Place::Secrets(vec!["web-0".into(), "web-1".into()]);
        assert_eq!(config.backup.unwrap().place, place);
    }
}

#[test]
#[cfg(feature = "kube")]
fn events_are_about_this_pod() {
    assert_eq!(config("--prefix a --pod-uid 7-f", "", "").events, None);
    let named = config("--prefix a --events", "SEEDCAR_POD_NAME=web-0\nSEEDCAR_POD_UID=7-f", "");
    assert_eq!(named.events, Some(crate::config::Pod { name: "web-0".into(), uid: "7-f".into() }));
    let own = crate::config::Pod { name: crate::sys::hostname(), uid: String::new() };
    assert_eq!(config("--prefix a", "", "events: true").events, Some(own));
}
