//! Where Consul answers.

use std::{fmt, net::Ipv6Addr, path::PathBuf};

/// The longest path that fits into a Unix socket address (unix(7): 108 bytes with the final NUL).
const SOCKET_PATH_MAX: usize = 107;

/// One place where Consul answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// What goes before `/v1/...`: scheme, host, port and the path of a reverse proxy, without a
    /// final slash. For a socket it is `http://localhost`, because Consul wants a plain `Host`.
    pub base: String,
    /// The socket, if it is one.
    pub socket: Option<PathBuf>,
}

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// Plain HTTP over a Unix socket.
    Unix,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Before `://` is something we do not speak.
    #[error("has an unknown scheme")]
    Scheme,
    /// It has an `@`.
    #[error("has an '@': user and password do not belong in an address")]
    Credentials,
    /// It has a `?` or a `#`.
    #[error("has a '?' or '#': an address has no query")]
    Query,
    /// The host is missing or has odd characters.
    #[error("has no valid host")]
    Host,
    /// A bare host: Consul's port has no scheme to follow from.
    #[error("has no port")]
    NoPort,
    /// The port is no number from 1 to 65535.
    #[error("has no valid port")]
    Port,
    /// The path holds what a proxy or URL parser would change.
    #[error("has a path with an empty or '.' segment or an odd character")]
    Path,
    /// The socket's path is relative or too long.
    #[error("has no absolute socket path of at most 107 bytes")]
    Socket,
}

// === impl Address ===

impl Address {
    /// Reads an address. With `tls`, whatever is not a socket is https: `http://` never turns off
    /// encryption that was asked for elsewhere.
    pub fn parse(typed: &str, tls: bool) -> Result<Self, AddressError> {
        if typed.contains('@') {
            return Err(AddressError::Credentials);
        }
        if typed.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        match typed.split_once("://") {
            None if typed.is_empty() => Err(AddressError::Empty),
            None => Self::web(Scheme::Http, typed, tls, true),
            Some(("http", rest)) => Self::web(Scheme::Http, rest, tls, false),
            Some(("https", rest)) => Self::web(Scheme::Https, rest, tls, false),
            Some(("unix", path)) => Self::unix(path),
            Some(_) => Err(AddressError::Scheme),
        }
    }

    fn web(scheme: Scheme, rest: &str, tls: bool, needs_port: bool) -> Result<Self, AddressError> {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        check_authority(authority, needs_port)?;
        check_path(path)?;
        let (scheme, word) = match scheme {
            Scheme::Http if !tls => (Scheme::Http, "http"),
            _ => (Scheme::Https, "https"),
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        Ok(Self { scheme, base: format!("{word}://{authority}{path}"), socket: None })
    }

    fn unix(path: &str) -> Result<Self, AddressError> {
        let bytes = path.len();
        if !path.starts_with('/') || !(2..=SOCKET_PATH_MAX).contains(&bytes) || path.contains('\0')
        {
            return Err(AddressError::Socket);
        }
        Ok(Self {
            scheme: Scheme::Unix,
            base: "http://localhost".to_owned(),
            socket: Some(PathBuf::from(path)),
        })
    }
}

/// The address in the form in which it can be typed.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix://{}", path.display()),
            None => f.write_str(&self.base),
        }
    }
}

fn check_authority(authority: &str, needs_port: bool) -> Result<(), AddressError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(AddressError::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| AddressError::Host)?;
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(AddressError::Port);
            }
            ("v6", port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let odd = |b: u8| !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || host.bytes().any(odd) {
        return Err(AddressError::Host);
    }
    match port {
        None if needs_port => Err(AddressError::NoPort),
        None => Ok(()),
        Some(port) => check_port(port),
    }
}

fn check_port(port: &str) -> Result<(), AddressError> {
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let number = port.parse::<u16>().unwrap_or(0);
    (digits && number > 0).then_some(()).ok_or(AddressError::Port)
}

/// Only what no URL parser rewrites: `..`, `%2e` and the like would ask for another path.
fn check_path(path: &str) -> Result<(), AddressError> {
    let odd = |b: u8| !b.is_ascii_alphanumeric() && !b"/-._~!$&'()*+,;=:".contains(&b);
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let unclean = trimmed.split('/').skip(1).any(|s| matches!(s, "" | "." | ".."));
    if unclean || path.bytes().any(odd) {
        return Err(AddressError::Path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(typed: &str, tls: bool) -> Result<String, AddressError> {
        let address = Address::parse(typed, tls)?;
        let again = Address::parse(&address.to_string(), tls);
        assert_eq!(again.as_ref(), Ok(&address), "what is printed reads back");
        Ok(format!("{} {address}", address.base))
    }

    #[test]
    fn every_spelling_of_consuls_own_clients_reads() {
        for (typed, tls, want) in [
            ("consul:8500", false, "http://consul:8500"),
            ("consul:8501", true, "https://consul:8501"),
            ("http://consul:8500", false, "http://consul:8500"),
            ("http://consul:8500", true, "https://consul:8500"),
            ("https://consul:8501", false, "https://consul:8501"),
            ("https://consul.example.com", false, "https://consul.example.com"),
            ("https://proxy/consul/", false, "https://proxy/consul"),
            ("http://proxy:80/a/b", false, "http://proxy:80/a/b"),
            ("[::1]:8500", false, "http://[::1]:8500"),
            ("http://[fd00::1]", false, "http://[fd00::1]"),
            ("10.0.0.1:8500", false, "http://10.0.0.1:8500"),
        ] {
            assert_eq!(shown(typed, tls), Ok(format!("{want} {want}")), "{typed}");
        }
        let socket = Address::parse("unix:///run/consul.sock", true).unwrap();
        assert_eq!(socket.scheme, Scheme::Unix);
        assert_eq!(socket.base, "http://localhost");
        assert_eq!(socket.to_string(), "unix:///run/consul.sock");
    }

    #[test]
    fn what_is_no_address_says_why() {
        let long = format!("unix:///{}", "s".repeat(SOCKET_PATH_MAX));
        for (typed, why) in [
            ("", AddressError::Empty),
            ("consul", AddressError::NoPort),
            ("ftp://consul:8500", AddressError::Scheme),
            ("HTTP://consul:8500", AddressError::Scheme),
            ("http://me:secret@consul:8500", AddressError::Credentials),
            ("http://consul:8500?token=secret", AddressError::Query),
            ("http://consul:8500/#a", AddressError::Query),
            ("http://", AddressError::Host),
            (":8500", AddressError::Host),
            ("::1:8500", AddressError::Host),
            ("[::1:8500", AddressError::Host),
            ("[consul]:8500", AddressError::Host),
            ("con sul:8500", AddressError::Host),
            ("consul\n:8500", AddressError::Host),
            ("fe80::1:8500", AddressError::Port),
            ("consul:", AddressError::Port),
            ("consul:0", AddressError::Port),
            ("consul:65536", AddressError::Port),
            ("consul:+85", AddressError::Port),
            ("[::1]8500", AddressError::Port),
            ("http://consul:8500/a/../b", AddressError::Path),
            ("http://consul:8500//", AddressError::Path),
            ("http://consul:8500/%2e%2e", AddressError::Path),
            ("unix://run/consul.sock", AddressError::Socket),
            ("unix:///", AddressError::Socket),
            (&long, AddressError::Socket),
        ] {
            assert_eq!(shown(typed, false), Err(why), "{typed:?}");
        }
    }
}
