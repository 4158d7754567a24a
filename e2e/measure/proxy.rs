//! A proxy that counts what Consul is asked and sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A proxy, which lives as long as this process.
pub struct Proxy {
    addr: SocketAddr,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    requests: AtomicU64,
}

// === impl Proxy ===

impl Proxy {
    /// Starts it.
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let counted = Arc::new(Counted::default());
        let shared = counted.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                forward(client, to, &shared);
            }
        });
        Self { addr, counted }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes that Consul has sent, heads of answers included.
    pub fn bytes(&self) -> u64 {
        self.counted.bytes.load(Ordering::Relaxed)
    }

    /// Questions that Consul was asked.
    pub fn requests(&self) -> u64 {
        self.counted.requests.load(Ordering::Relaxed)
    }
}

fn forward(client: TcpStream, to: SocketAddr, counted: &Arc<Counted>) {
    let Ok(server) = TcpStream::connect(to) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(asking), Ok(answering)) = (client.try_clone(), server.try_clone()) else { return };
    let (up, down) = (counted.clone(), counted.clone());
    thread::spawn(move || {
        copy(asking, server, |chunk| {
            // The tools send each request in one piece, and begin it with its method.
            let begins = [&b"GET "[..], b"PUT ", b"POST "].iter().any(|m| chunk.starts_with(m));
            up.requests.fetch_add(u64::from(begins), Ordering::Relaxed);
        });
    });
    thread::spawn(move || {
        copy(answering, client, |chunk| {
            down.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        });
    });
}

fn copy(mut from: TcpStream, mut to: TcpStream, count: impl Fn(&[u8])) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut chunk) {
        count(&chunk[..size]);
        if to.write_all(&chunk[..size]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
