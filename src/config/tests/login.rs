//! Logging in to Consul instead of a token.

use super::*;
use crate::config::{Login, Token};

/// As Kubernetes sets it in every container.
const POD: &str = "KUBERNETES_SERVICE_HOST=10.0.0.1 SEEDCAR_CONSUL=c:1";

fn login(flags: &str, env: &str, file: &str) -> Login {
    match config(flags, &format!("{MINIMUM} {env}"), file).token {
        Token::Login(login) => login,
        other => panic!("{other:?}"),
    }
}

#[test]
fn in_a_pod_the_name_of_the_method_is_enough() {
    let found = login("--login-method pods", &format!("{POD} SEEDCAR_POD_NAME=web-0"), "");
    assert_eq!(found.method, "pods");
    let file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    assert_eq!(found.token_file.to_str(), Some(file));
    assert_eq!(found.meta, [("pod".to_owned(), "web-0".to_owned())].into());
}

#[test]
fn a_file_says_all_of_it() {
    let file = "consul: {login: {method: pods, tokenFile: /jwt, meta: [team=a=b, pod=mine]}}";
    let found = login("", &format!("{POD} SEEDCAR_POD_NAME=web-0"), file);
    assert_eq!(found.token_file.to_str(), Some("/jwt"));
    let meta = [("pod", "mine"), ("team", "a=b")];
    assert_eq!(found.meta, meta.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert!(login("--login-method m --login-token-file /j", "", "").meta.is_empty(), "no pod");
}

#[test]
fn mistakes_are_told() {
    use Kind::{Conflict, Malformed, Missing};
    let alone = "leave out the one or the other: a login makes its own token";
    let jwt = "--login-method m --login-token-file /j";
    for (flags, kind, line) in [
        ("--login-method m".to_owned(), Missing, "login-token-file: is needed: outside a pod there is no service account to log in as; name a file with the JWT that the auth method takes".to_owned()),
        (format!("{jwt} --token-file /t"), Conflict, format!("token-file \"/t\": is given together with login-method (--token-file); {alone}")),
        ("--login-token-file /j".to_owned(), Conflict, "login-token-file \"/j\": is given without login-method (--login-token-file); name the auth method, or leave this out".to_owned()),
        ("--login-meta a=b".to_owned(), Conflict, "login-meta \"a=b\": is given without login-method (--login-meta); name the auth method, or leave this out".to_owned()),
        (format!("{jwt} --login-meta a"), Malformed, "login-meta \"a\": has no KEY= (--login-meta); write KEY=VALUE, as in team=payments".to_owned()),
        (format!("{jwt} --login-meta =b"), Malformed, "login-meta \"=b\": has no key before its '=' (--login-meta); write KEY=VALUE, as in team=payments".to_owned()),
        ("--login-method a/b --login-token-file /j".to_owned(), Malformed, "login-method \"a/b\": is no name of a Consul auth method (--login-method); write letters, digits, '-' and '_', at most 128".to_owned()),
        ("--login-method m --login-token-file eyJhbGci.eyJzdWIi.c2ln".to_owned(), Malformed, "login-token-file: looks like a token, not like a file (--login-token-file); put the token into a file and name the file".to_owned()),
    ] {
        check(&flags, MINIMUM, "", kind, &line);
    }
    let told = problems(jwt, &format!("{MINIMUM} CONSUL_HTTP_TOKEN={CANARY}"), "");
    let line = format!("token: is given together with login-method (CONSUL_HTTP_TOKEN); {alone}");
    assert_eq!(lines(&told), line);
}
