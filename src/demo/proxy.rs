//! A TCP proxy in front of a Consul that can be made to hang or to vanish while it runs.
//!
//! It reads the head of the first request on each connection, to learn who is asking, and from then
//! on forwards bytes without looking at them. A switch takes effect on live connections at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::background::Background;

/// A running proxy. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    switches: watch::Sender<Switches>,
    _thread: Background,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Bytes pass both ways.
    #[default]
    Forward,
    /// Connections are taken, and nothing passes any more: a stopped process, a dropped packet.
    /// What was held back passes when the switch is turned to forward again.
    Hang,
    /// Connections are closed. For everybody: the port is closed as well.
    Refuse,
}

#[derive(Clone, Debug, Default)]
struct Switches {
    everybody: Mode,
    /// By part of the User-Agent; the first that matches counts.
    agents: Vec<(String, Mode)>,
}

/// One connection's view of the switches.
#[derive(Clone)]
struct Gate {
    switches: watch::Receiver<Switches>,
    /// Empty until the head of the first request has been read.
    agent: Arc<str>,
}

/// A request head that is longer than this belongs to nobody in particular.
const HEAD_LIMIT: usize = 64 * 1024;

// === impl Proxy ===

impl Proxy {
    /// Starts a proxy on a free loopback port in front of `upstream`, a `host:port`.
    ///
    /// # Errors
    /// No port, no thread or no runtime is to be had.
    pub fn start(upstream: impl Into<String>) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), upstream)
    }

    /// Starts a proxy on this address.
    ///
    /// # Errors
    /// The address is taken, or no thread or runtime is to be had.
    pub fn start_at(addr: SocketAddr, upstream: impl Into<String>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let switches = watch::Sender::new(Switches::default());
        let watched = switches.subscribe();
        let upstream = upstream.into().into();
        let thread = Background::spawn("demo-proxy", move || run(listener, upstream, watched))?;
        Ok(Self { addr, switches, _thread: thread })
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Turns the switch for everybody that has no switch of their own.
    pub fn set(&self, mode: Mode) {
        self.switches.send_modify(|switches| switches.everybody = mode);
    }

    /// Turns the switch for connections whose User-Agent contains `part`.
    pub fn set_for(&self, part: &str, mode: Mode) {
        self.switches.send_modify(|switches| {
            switches.agents.retain(|(other, _)| other != part);
            switches.agents.push((part.to_owned(), mode));
        });
    }

    /// Forwards everything again.
    pub fn clear(&self) {
        self.switches.send_replace(Switches::default());
    }
}

// === impl Switches ===

impl Switches {
    fn mode(&self, agent: &str) -> Mode {
        let named = self.agents.iter().find(|(part, _)| agent.contains(part.as_str()));
        named.map_or(self.everybody, |(_, mode)| *mode)
    }
}

// === impl Gate ===

impl Gate {
    /// Returns when bytes may pass.
    async fn open(&mut self) {
        let Self { switches, agent } = self;
        let open = switches.wait_for(|switches| switches.mode(agent) == Mode::Forward);
        if open.await.is_err() {
            // The proxy is being dropped, and this task with it.
            std::future::pending().await
        }
    }

    /// Returns when the connection is to be closed.
    async fn shut(&mut self) {
        let Self { switches, agent } = self;
        let _ = switches.wait_for(|switches| switches.mode(agent) == Mode::Refuse).await;
    }
}

async fn run(
    listener: std::net::TcpListener,
    upstream: Arc<str>,
    mut switches: watch::Receiver<Switches>,
) {
    let addr = listener.local_addr();
    let mut listener = TcpListener::from_std(listener).ok();
    loop {
        let refusing = switches.borrow_and_update().everybody == Mode::Refuse;
        listener = match (listener, &addr) {
            (Some(_), _) if refusing => None,
            (None, Ok(addr)) if !refusing => TcpListener::bind(addr).await.ok(),
            (listener, _) => listener,
        };
        tokio::select! {
            changed = switches.changed() => if changed.is_err() { return },
            accepted = accept(listener.as_ref()) => if let Ok(client) = accepted {
                let gate = Gate { switches: switches.clone(), agent: "".into() };
                tokio::spawn(connection(client, upstream.clone(), gate));
            },
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn connection(mut client: TcpStream, upstream: Arc<str>, mut gate: Gate) {
    let mut shut = gate.clone();
    let head = tokio::select! {
        head = read_head(&mut client) => head,
        () = shut.shut() => return,
    };
    let Ok(head) = head else { return };
    gate.agent = agent_of(&head).into();
    let mut shut = gate.clone();
    tokio::select! {
        // A broken connection on one side is answered by closing the other; nobody to tell.
        _ = forward(client, &upstream, head, gate) => {}
        () = shut.shut() => {}
    }
}

async fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() && head.len() < HEAD_LIMIT {
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn agent_of(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("user-agent").then(|| value.trim().to_owned())
    };
    head.lines().take_while(|line| !line.is_empty()).find_map(field).unwrap_or_default()
}

async fn forward(
    client: TcpStream,
    upstream: &str,
    head: Vec<u8>,
    mut gate: Gate,
) -> io::Result<()> {
    gate.open().await;
    let mut server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    server.write_all(&head).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, gate.clone()),
        pump(from_server, to_client, gate),
    )?;
    Ok(())
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: Gate) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        // Only now: bytes that were read before the switch was turned must not slip through.
        gate.open().await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
