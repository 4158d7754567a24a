//! One plain HTTP question to a server nearby: the running seedcar, or the demo's Consul.
//!
//! HTTP/1.0 and a connection of its own: nothing is negotiated and nothing is kept.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// The longest body that is read.
const LIMIT: u64 = 16 << 20;

/// Asks: the status code and the body. `url` is `http://host:port` or the latter alone.
pub fn ask(
    method: &str,
    url: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let address = authority.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("no such host"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {authority}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("no HTTP answer"))
}

/// `GET path`.
pub fn get(url: &str, path: &str) -> io::Result<(u16, String)> {
    ask("GET", url, path, &[], b"")
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}
