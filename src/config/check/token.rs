//! What proves to Consul who is asking: a token, a file with one, or a login that makes one.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    super::{
        Login, Scope, Token,
        problem::{Kind, Problem, Reason},
        setting::Id,
    },
    Checker, read,
};

/// Where Kubernetes mounts a container's token (the ServiceAccount admission controller).
const OF_THE_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The longest name that Consul gives an auth method (structs.ACLAuthMethod, `^[A-Za-z0-9\-_]{1,128}$`).
const METHOD_MAX: usize = 128;

/// As long as Consul lets a service's metadata be; a note to a token has no limit of its own.
const META_MAX: usize = 512;

impl Checker<'_> {
    /// A file wins over the variable, as with Consul's own clients. A login stands alone: whoever gives
    /// both means one of them, and it is not for us to guess which rights the pod is to have.
    pub fn token(&mut self, pod: Option<&str>) -> Token {
        let secret = self.optional(Id::Token, read::secret);
        let file = self.optional_path(Id::TokenFile);
        if let Some(login) = self.login(pod) {
            return Token::Login(login);
        }
        match (file, secret) {
            (Some(file), _) => Token::File(file),
            (None, Some(secret)) => Token::Env(secret),
            (None, None) => Token::None,
        }
    }

    fn login(&mut self, pod: Option<&str>) -> Option<Login> {
        let method = self.optional(Id::LoginMethod, method);
        let file = self.optional_path(Id::LoginTokenFile);
        let meta = self.all(Id::LoginMeta, pair);
        if self.typed.one(Id::LoginMethod).is_none() {
            self.belongs_to_a_login(Id::LoginTokenFile);
            self.belongs_to_a_login(Id::LoginMeta);
            return None;
        }
        self.stands_alone(Id::TokenFile);
        self.stands_alone(Id::Token);
        let token_file = file.or_else(|| self.jwt_of_the_pod())?;
        let pod = pod.map(|name| ("pod".to_owned(), name.to_owned()));
        let meta: BTreeMap<_, _> = pod.into_iter().chain(meta).collect();
        Some(Login { method: method?, token_file, meta })
    }

    fn belongs_to_a_login(&mut self, id: Id) {
        if self.typed.one(id).is_some() {
            self.clash(
                id,
                "is given without login-method",
                "name the auth method, or leave this out",
            );
        }
    }

    fn stands_alone(&mut self, id: Id) {
        if self.typed.one(id).is_some() {
            let hint = "leave out the one or the other: a login makes its own token";
            self.clash(id, "is given together with login-method", hint);
        }
    }

    /// Outside a pod there is no such file, and no other place where one would be looked for.
    fn jwt_of_the_pod(&mut self) -> Option<PathBuf> {
        let given = self.typed.one(Id::LoginTokenFile).is_some();
        if self.in_pod || given || self.scope == Scope::Offline {
            return Some(PathBuf::from(OF_THE_POD));
        }
        let reason = "is needed: outside a pod there is no service account to log in as";
        let problem = Problem::new(Kind::Missing, Id::LoginTokenFile.row().name, reason);
        self.problems.push(problem.hint("name a file with the JWT that the auth method takes"));
        None
    }
}

/// A name as Consul takes it.
fn method(typed: &str) -> Result<String, Reason> {
    let odd = |b: u8| !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'_');
    if typed.is_empty() || typed.len() > METHOD_MAX || typed.bytes().any(odd) {
        let reason = Reason::malformed("is no name of a Consul auth method");
        return Err(reason.hint("write letters, digits, '-' and '_', at most 128"));
    }
    Ok(typed.to_owned())
}

/// A key that can stand in a list of them, and a value of one line.
fn pair(typed: &str) -> Result<(String, String), Reason> {
    let (key, value) = typed.split_once('=').ok_or_else(|| Reason::malformed("has no KEY="))?;
    let key = read::label(key)?;
    if key.is_empty() {
        return Err(Reason::malformed("has no key before its '='"));
    }
    if value.len() > META_MAX || value.chars().any(char::is_control) {
        let reason = Reason::malformed("has a value that is no short line");
        return Err(reason.hint("write at most 512 bytes without line breaks"));
    }
    Ok((key, value.to_owned()))
}
