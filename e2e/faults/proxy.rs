//! A proxy that asks a real Consul and spoils what it answers.
//!
//! It reads whole requests and whole answers, so that a fault can be as exact as "the first 117 bytes
//! of the body, and then nothing". One thread a connection; a connection that carries a fault keeps
//! it, also when the fault is lifted for those that come after it, as a half-dead one does.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::spoil::{Fault, Send};
use crate::consul::http::{Answer, request};

/// The proxy. Its threads end when it and their connections are gone.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    body: Vec<u8>,
}

struct Shared {
    consul: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    log: Vec<Asked>,
    stopped: bool,
}

/// One byte a beat for who is to be kept waiting.
const BEAT: Duration = Duration::from_secs(1);

/// Longer than any test runs.
const FOR_EVER: Duration = Duration::from_secs(3600);

// === impl Proxy ===

impl Proxy {
    /// A proxy to this Consul that spoils nothing yet.
    pub fn start(consul: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { consul, state: Mutex::default() });
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if for_thread.state().stopped {
                    return;
                }
                let shared = for_thread.clone();
                // A connection that breaks is what this is all about: nobody to tell.
                std::thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Self { addr, shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Spoils the answers to all requests from now on.
    pub fn set(&self, fault: Fault) {
        self.shared.state().fault = Some(fault);
    }

    /// Spoils nothing from now on.
    pub fn lift(&self) {
        self.shared.state().fault = None;
    }

    /// The requests since the last call.
    pub fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.state().log)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        // The listener sits in `accept`: this is the last one.
        let _ = TcpStream::connect(self.addr);
    }
}

// === impl Asked ===

impl Asked {
    /// The program and mechanism, as it names itself.
    pub fn agent(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter's value.
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(n, _)| *n == name)
            .map(|p| p.1)
    }

    /// The target without the parameters that have Consul wait.
    fn unblocked(&self) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let blocks = |pair: &&str| pair.starts_with("index=") || pair.starts_with("wait=");
        let rest: Vec<&str> = query.split('&').filter(|pair| !blocks(pair)).collect();
        format!("{path}?{}", rest.join("&"))
    }

    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ').map(str::to_owned);
        let header = |line: String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let mut asked = Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            headers: lines.filter_map(header).collect(),
            body: Vec::new(),
        };
        let length = asked.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        asked.body.resize(length, 0);
        reader.read_exact(&mut asked.body)?;
        Ok(asked)
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client.try_clone()?);
        loop {
            let asked = Asked::read(&mut reader)?;
            let fault = self.fault_for(&asked);
            let Some(fault) = fault else {
                deliver(&client, &self.forward(&asked, false)?, Send::Whole)?;
                continue;
            };
            // Consul is asked, unless the answer does not depend on it.
            let mut answer = if fault.needs_consul {
                self.forward(&asked, fault.at_once)?
            } else {
                Answer::default()
            };
            (fault.edit)(&asked, &mut answer);
            deliver(&client, &answer, fault.send)?;
        }
    }

    fn fault_for(&self, asked: &Asked) -> Option<Fault> {
        let mut state = self.state();
        state.log.push(asked.clone());
        state.fault.clone()
    }

    fn forward(&self, asked: &Asked, at_once: bool) -> io::Result<Answer> {
        let target = if at_once { asked.unblocked() } else { asked.target.clone() };
        let passed = ["x-consul-token", "user-agent"];
        let headers = passed.iter().filter_map(|name| Some((*name, asked.header(name)?)));
        let headers: Vec<_> = headers.collect();
        let mut answer = request(self.consul, &asked.method, &target, &headers, &asked.body)?;
        let framing = ["content-length", "transfer-encoding", "connection"];
        answer.headers.retain(|(name, _)| !framing.contains(&name.as_str()));
        Ok(answer)
    }
}

/// Sends an answer as `how` says. An error ends the connection.
fn deliver(client: &TcpStream, answer: &Answer, how: Send) -> io::Result<()> {
    let mut to = client;
    let body = answer.body.as_slice();
    match how {
        Send::Whole => {
            to.write_all(&[head(answer, Some(body.len())).as_slice(), body].concat())?;
            return Ok(());
        }
        Send::HeadTo(at) => {
            let head = head(answer, Some(body.len()));
            to.write_all(&head[..at.min(head.len())])?;
        }
        Send::LengthTo(at) => {
            let sent = &body[..at.min(body.len())];
            to.write_all(&[head(answer, Some(body.len())).as_slice(), sent].concat())?;
        }
        Send::ChunkedTo(at) => {
            let sent = &body[..at.min(body.len())];
            // A chunk that promises one byte more than comes.
            let size = format!("{:x}\r\n", sent.len() + 1).into_bytes();
            to.write_all(&[head(answer, None).as_slice(), &size, sent].concat())?;
        }
        Send::ChunksTo(at) => {
            let sent = &body[..at.min(body.len())];
            let mut bytes = head(answer, None);
            // A size of 0 would be the end.
            if !sent.is_empty() {
                bytes.extend_from_slice(format!("{:x}\r\n", sent.len()).as_bytes());
                bytes.extend_from_slice(&[sent, b"\r\n"].concat());
            }
            to.write_all(&bytes)?;
        }
        Send::Reset => {
            reset_when_closed(client)?;
            return Err(ErrorKind::ConnectionReset.into());
        }
        Send::Silence => return until_closed(client),
        Send::HeadThenSilence => {
            to.write_all(&head(answer, Some(body.len().max(1))))?;
            return until_closed(client);
        }
        Send::Drip => {
            to.write_all(&head(answer, Some(body.len().max(1))))?;
            return drip(client, body);
        }
        Send::DripHead => return drip(client, &head(answer, Some(body.len()))),
        Send::Endless { claimed } => {
            to.write_all(&head(answer, claimed))?;
            return flood(client, claimed.is_none(), body);
        }
    }
    client.shutdown(Shutdown::Both)?;
    Err(ErrorKind::ConnectionAborted.into())
}

/// Without a length the body is chunked.
fn head(answer: &Answer, length: Option<usize>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Spoiled\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &match length {
        Some(length) => format!("content-length: {length}\r\n\r\n"),
        None => "transfer-encoding: chunked\r\n\r\n".to_owned(),
    };
    head.into_bytes()
}

/// Has the last close of this connection send a reset.
fn reset_when_closed(client: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of_val(&linger) as libc::socklen_t;
    // SAFETY: the pointer is to a `linger` that outlives the call, and `size` is its size.
    let done = unsafe {
        let at = (&raw const linger).cast();
        libc::setsockopt(client.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, at, size)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Keeps the connection and says no more.
fn until_closed(mut client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(FOR_EVER))?;
    let mut rest = [0; 1024];
    while client.read(&mut rest)? > 0 {}
    Err(ErrorKind::UnexpectedEof.into())
}

fn drip(mut client: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        client.write_all(&[*byte])?;
        std::thread::sleep(BEAT);
    }
    until_closed(client)
}

/// The body, and then its last byte for as long as anybody takes it.
fn flood(mut client: &TcpStream, chunked: bool, body: &[u8]) -> io::Result<()> {
    let framed = |bytes: &[u8]| match chunked {
        true => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
        false => bytes.to_vec(),
    };
    let last = body.last().copied().unwrap_or(b' ');
    let more = framed(&vec![last; 64 * 1024]);
    client.write_all(&framed(body))?;
    loop {
        client.write_all(&more)?;
    }
}
