//! A service that is asked and told, and answers what the test says.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::question;

/// Never to answer.
pub const SILENT: u16 = 0;

/// It ends with the test's process.
pub struct Service {
    /// Where it is.
    pub url: String,
    code: Arc<AtomicU16>,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Service {
    /// Answers 200 to whatever comes. `looks` sees each body before it is answered.
    pub fn start(looks: impl Fn(&Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/path", listener.local_addr().expect("bound"));
        let (code, heard) = (Arc::new(AtomicU16::new(200)), Arc::new(Mutex::new(Vec::new())));
        let (answers, hears) = (code.clone(), heard.clone());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some((method, body)) = read(&mut reader) else { continue };
                looks(&body);
                hears.lock().expect("whole").push((method, body));
                match answers.load(Ordering::SeqCst) {
                    SILENT => silent.push(reader),
                    code => answer(reader.get_mut(), code),
                }
            }
        });
        Self { url, code, heard }
    }

    /// What it answers from now on.
    pub fn answers(&self, code: u16) {
        self.code.store(code, Ordering::SeqCst);
    }

    /// The methods and bodies so far.
    pub fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().expect("whole").clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (first, body) = question::read(reader)?;
    let method = first.split(' ').next()?.to_owned();
    Some((method, serde_json::from_slice(&body).expect("JSON")))
}

fn answer(stream: &mut TcpStream, code: u16) {
    let _ = write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}
