//! What stands before each server: it carries questions and answers, and counts them by what was asked.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as Probe};
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::wait::{eventually, free_port};

/// How long a port may take to be listened on.
const OPENED: Duration = Duration::from_secs(10);

/// What is asked, in the order of [`Asked::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The names at the top of the prefix: the doorbell.
    Bell,
    /// Everything, from whichever server has it.
    Stale,
    /// Everything, with the leader's word for it.
    Plain,
    /// Anything else.
    Other,
}

/// Questions, and the bytes of their answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// How many.
    pub requests: u64,
    /// Of the answers, heads included.
    pub bytes: u64,
}

/// By what was asked.
pub type Counts = [Traffic; Asked::ALL.len()];

#[derive(Default)]
struct Counter {
    requests: [AtomicU64; Asked::ALL.len()],
    bytes: [AtomicU64; Asked::ALL.len()],
}

/// One gate. Closed, it refuses connections as a machine does whose server is gone.
pub struct Gate {
    addr: SocketAddr,
    counter: Arc<Counter>,
    open: watch::Sender<bool>,
}

// === impl Asked ===

impl Asked {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bell, Self::Stale, Self::Plain, Self::Other];

    /// In tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bell => "doorbell",
            Self::Stale => "stale",
            Self::Plain => "plain",
            Self::Other => "other",
        }
    }

    /// What a request asks that begins so, if it is the beginning of one.
    fn of(chunk: &[u8]) -> Option<Self> {
        let line = chunk.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).ok()?;
        let target =
            ["GET ", "PUT ", "POST "].iter().find_map(|method| line.strip_prefix(method))?;
        Some(match target {
            _ if target.contains("?keys") => Self::Bell,
            _ if !target.contains("recurse") => Self::Other,
            _ if target.contains("&stale") || target.contains("?stale") => Self::Stale,
            _ => Self::Plain,
        })
    }
}

// === impl Traffic ===

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { requests: self.requests + other.requests, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { requests: self.requests - before.requests, bytes: self.bytes - before.bytes }
    }
}

// === impl Gate ===

impl Gate {
    /// A gate before this server, open.
    pub fn before(server: SocketAddr) -> Self {
        Self::that(server, false)
    }

    /// One behind which nobody gets a compressed answer, whatever he asks for.
    pub fn without_compression(server: SocketAddr) -> Self {
        Self::that(server, true)
    }

    fn that(server: SocketAddr, plain: bool) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (open, is_open) = watch::channel(false);
        let counter = Arc::<Counter>::default();
        let for_thread = counter.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(stand(addr, (server, plain), for_thread, is_open));
        });
        let gate = Self { addr, counter, open };
        gate.open();
        gate
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets everybody in from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
        eventually("the gate is open", OPENED, || Probe::connect(self.addr).ok());
    }

    /// Ends all connections and refuses new ones.
    pub fn close(&self) {
        self.open.send_replace(false);
        let refuses = || Probe::connect(self.addr).is_err().then_some(());
        eventually("the gate is closed", OPENED, refuses);
    }

    /// All that came by until now.
    pub fn traffic(&self) -> Traffic {
        self.counts().into_iter().fold(Traffic::default(), Add::add)
    }

    /// The same by what was asked.
    pub fn counts(&self) -> Counts {
        std::array::from_fn(|at| Traffic {
            requests: self.counter.requests[at].load(Ordering::Relaxed),
            bytes: self.counter.bytes[at].load(Ordering::Relaxed),
        })
    }
}

/// A request without its line that asks for a compressed answer.
fn uncompressed(request: &[u8]) -> Vec<u8> {
    let lines = request.split_inclusive(|byte| *byte == b'\n');
    let asks = |line: &&[u8]| {
        line.get(..16).is_some_and(|name| name.eq_ignore_ascii_case(b"accept-encoding:"))
    };
    lines.filter(|line| !asks(line)).flatten().copied().collect()
}

/// Listens while the gate is open; ends when nobody holds it any more.
async fn stand(
    addr: SocketAddr,
    to: (SocketAddr, bool),
    counter: Arc<Counter>,
    mut open: watch::Receiver<bool>,
) {
    while open.wait_for(|open| *open).await.is_ok() {
        let listener = TcpListener::bind(addr).await.expect("the gate's port");
        let mut closed = open.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, to, counter.clone(), open.clone()));
                },
                _ = closed.wait_for(|open| !open) => break,
            }
        }
        if open.has_changed().is_err() {
            return;
        }
    }
}

/// One connection, both ways, until either side or the gate closes.
async fn carry(
    mut client: TcpStream,
    (server, plain): (SocketAddr, bool),
    counter: Arc<Counter>,
    mut open: watch::Receiver<bool>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut asking, mut answered) = client.split();
    let (mut answering, mut asked) = server.split();
    let last = AtomicUsize::new(Asked::Other as usize);
    let up = async {
        let mut chunk = vec![0; 4 * 1024];
        while let Ok(size @ 1..) = asking.read(&mut chunk).await {
            // seedcar and consul-template send each request in one piece.
            if let Some(what) = Asked::of(&chunk[..size]) {
                last.store(what as usize, Ordering::Relaxed);
                counter.requests[what as usize].fetch_add(1, Ordering::Relaxed);
            }
            let chunk = Cow::Borrowed(&chunk[..size]);
            let chunk = if plain { uncompressed(&chunk).into() } else { chunk };
            if asked.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut chunk = vec![0; 32 * 1024];
        while let Ok(size @ 1..) = answering.read(&mut chunk).await {
            counter.bytes[last.load(Ordering::Relaxed)].fetch_add(size as u64, Ordering::Relaxed);
            if answered.write_all(&chunk[..size]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
