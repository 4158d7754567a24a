//! Bytes, requests and wake-ups: a tool behind a proxy that counts what Consul sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::Effort;
use super::floor::millis;
use super::load::Load;
use super::result::{Results, What};
use super::tool::Tool;
use crate::consul::Consul;

/// Changes whose bytes are counted.
const CHANGES: usize = 5;
/// After a change: until the tool has asked its next question.
const SETTLED: Duration = Duration::from_millis(500);

/// What came by.
#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    requests: AtomicU64,
}

/// Each tool once.
pub fn measure(
    consul: &Consul,
    load: &Load,
    tools: &[Tool],
    effort: Effort,
    results: &mut Results,
) {
    for tool in tools {
        let counted = Arc::new(Counted::default());
        let proxy = proxy(consul.addr(), counted.clone());
        let place = tool.place();
        let running = place.follow(proxy);
        let change = || {
            let (n, token) = load.change(consul);
            place.shows(load, n, &token);
            thread::sleep(SETTLED);
        };
        change();
        let before = counted.bytes.load(Ordering::Relaxed);
        (0..CHANGES).for_each(|_| change());
        let bytes = counted.bytes.load(Ordering::Relaxed) - before;
        let each = bytes as f64 / CHANGES as f64 / 1e3;
        results.add(What::ChangeBytes, load, tool.name(), &[each]);

        let read = || {
            let (bytes, requests) = (&counted.bytes, &counted.requests);
            let counts = [bytes.load(Ordering::Relaxed), requests.load(Ordering::Relaxed)];
            (counts, running.wakes(), running.cpu())
        };
        let (before, wakes, cpu) = read();
        thread::sleep(Duration::from_secs(effort.rest));
        let (after, wakes_after, cpu_after) = read();
        let a_minute = 60.0 / effort.rest as f64;
        let name = tool.name();
        results.add(What::RestBytes, load, name, &[(after[0] - before[0]) as f64 / 1e3 * a_minute]);
        results.add(What::RestRequests, load, name, &[(after[1] - before[1]) as f64 * a_minute]);
        results.add(What::RestWakes, load, name, &[(wakes_after - wakes) as f64 * a_minute]);
        results.add(What::RestCpu, load, name, &[millis(cpu_after - cpu) * a_minute]);
    }
}

/// Starts a proxy, which lives as long as this process.
fn proxy(to: SocketAddr, counted: Arc<Counted>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (asking, answering) = (client.try_clone(), server.try_clone());
            let (Ok(asking), Ok(answering)) = (asking, answering) else { continue };
            let (up, down) = (counted.clone(), counted.clone());
            thread::spawn(move || {
                copy(asking, server, |chunk| {
                    // The tools send each request in one piece, and begin it with its method.
                    let begins =
                        [&b"GET "[..], b"PUT ", b"POST "].iter().any(|m| chunk.starts_with(m));
                    up.requests.fetch_add(u64::from(begins), Ordering::Relaxed);
                });
            });
            thread::spawn(move || {
                copy(answering, client, |chunk| {
                    down.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                });
            });
        }
    });
    at
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
