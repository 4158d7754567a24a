//! The embedded Consul against the real one: each question is asked of both, and the answers must
//! be the same. The real one is the oracle; no question here says what the answer is.

mod blocking;
mod reading;
mod writing;

use std::fmt::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::consul::http::{Answer, request};
use crate::consul::{Consul, Kind};

/// One entry of the table.
pub struct Question {
    /// What is asked, as a sentence's subject.
    name: &'static str,
    /// Asks it.
    ask: fn(&mut Asker),
}

/// Asks one server and writes down what it says.
pub struct Asker<'a> {
    consul: &'a Consul,
    /// Every question has keys of its own, because tombstones outlive it.
    prefix: String,
    transcript: String,
    /// What differs between servers by nature, and what to write instead.
    names: Vec<(String, &'static str)>,
}

/// How long blocking queries wait.
const WAIT: Duration = Duration::from_secs(1);
/// A query that has not answered after this is blocked.
const SETTLE: Duration = Duration::from_millis(200);
/// A busy machine may answer late, and a late answer looks like another one: ask again.
const TRIES: usize = 3;

/// Around an index in a transcript, until it is replaced by its rank.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

#[test]
fn the_embedded_consul_answers_every_question_as_the_real_one_does() {
    let real = Consul::start(Kind::Real);
    let embedded = Consul::start(Kind::Embedded);
    let questions: Vec<&Question> =
        reading::QUESTIONS.iter().chain(writing::QUESTIONS).chain(blocking::QUESTIONS).collect();
    let mut failed = 0;
    for (number, question) in questions.iter().enumerate() {
        if let Err(difference) = compare(question, number, &real, &embedded) {
            failed += 1;
            eprintln!("--- {}\n{difference}", question.name);
        }
    }
    eprintln!("{} questions, {failed} answered differently", questions.len());
    assert_eq!(failed, 0, "questions answered differently");
    assert!(questions.len() >= 60, "the table has shrunk");
}

fn compare(
    question: &Question,
    number: usize,
    real: &Consul,
    embedded: &Consul,
) -> Result<(), String> {
    let mut difference = String::new();
    for attempt in 0..TRIES {
        let prefix = format!("q{number}-{attempt}/");
        let answers = std::thread::scope(|scope| {
            let ask = |consul| {
                let prefix = prefix.clone();
                scope.spawn(move || Asker::new(consul, prefix).ask(question))
            };
            let (real, embedded) = (ask(real), ask(embedded));
            [real, embedded].map(|thread| thread.join().unwrap_or_else(|_| "panicked".to_owned()))
        });
        let [real, embedded] = answers;
        if real == embedded && real != "panicked" {
            return Ok(());
        }
        difference = format!("real:\n{real}\nembedded:\n{embedded}");
    }
    Err(difference)
}

// === impl Asker ===

impl<'a> Asker<'a> {
    fn new(consul: &'a Consul, prefix: String) -> Self {
        Self { consul, prefix, transcript: String::new(), names: Vec::new() }
    }

    /// Asks the question in an empty store and returns what was said, ready to compare.
    fn ask(mut self, question: &Question) -> String {
        self.consul.delete_recurse("");
        (question.ask)(&mut self);
        let addr = self.consul.addr().to_string();
        let mut transcript = self.transcript.replace(&addr, "<address>");
        for (name, instead) in &self.names {
            transcript = transcript.replace(name, instead);
        }
        ranked(&transcript)
    }

    fn target(&self, rest: &str) -> String {
        format!("/v1/kv/{}{rest}", self.prefix)
    }

    fn send(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let answer = request(self.consul.addr(), method, target, &[], body);
        answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// Prepares something; nobody looks at the answer, as long as it is a success.
    fn set(&self, key: &str, value: &str) {
        self.quietly("PUT", key, value);
    }

    fn quietly(&self, method: &str, rest: &str, body: &str) -> Answer {
        let target = self.target(rest);
        let answer = self.send(method, &target, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        answer
    }

    fn get(&mut self, rest: &str) {
        self.at("GET", &self.target(rest), b"");
    }

    fn put(&mut self, rest: &str, body: &str) {
        self.at("PUT", &self.target(rest), body.as_bytes());
    }

    fn delete(&mut self, rest: &str) {
        self.at("DELETE", &self.target(rest), b"");
    }

    /// A transaction; in the operations, `~` stands for the question's prefix.
    fn txn(&mut self, ops: &str) {
        let ops = ops.replace('~', &self.prefix);
        self.at("PUT", "/v1/txn", ops.as_bytes());
    }

    /// Asks anything and writes the answer down.
    fn at(&mut self, method: &str, target: &str, body: &[u8]) {
        let answer = self.send(method, target, body);
        let _ = writeln!(self.transcript, "{method} {target}");
        self.write_down(&answer);
    }

    fn note(&mut self, line: &str) {
        let _ = writeln!(self.transcript, "{line}");
    }

    /// Blocks at the present index, lets something happen, and writes down how it ended.
    fn blocked(&mut self, rest: &str, happens: impl FnOnce(&Self)) {
        self.blocked_on(&self.target(rest), happens);
    }

    /// The same for a whole target.
    fn blocked_on(&mut self, target: &str, happens: impl FnOnce(&Self)) {
        let index = self.send("GET", target, b"").index().expect("no index");
        self.block(index, target, happens);
    }

    /// The same, but at this index.
    fn blocked_at(&mut self, index: u64, rest: &str, happens: impl FnOnce(&Self)) {
        self.block(index, &self.target(rest), happens);
    }

    fn block(&mut self, index: u64, target: &str, happens: impl FnOnce(&Self)) {
        let _ = write!(self.transcript, "blocked on {target} at {OPEN}{index}{CLOSE}: ");
        let joint = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{joint}index={index}&wait={}ms", WAIT.as_millis());
        let addr = self.consul.addr();
        let (tell, told) = mpsc::channel();
        let asked = Instant::now();
        std::thread::spawn(move || tell.send(request(addr, "GET", &target, &[], b"")));
        let (how, answer) = match told.recv_timeout(SETTLE) {
            Ok(answer) => ("at once", answer),
            Err(_) => {
                happens(self);
                let answer = told.recv().expect("the thread is gone");
                (if asked.elapsed() < WAIT { "woken" } else { "after the full wait" }, answer)
            }
        };
        self.note(how);
        match answer {
            Ok(answer) => self.write_down(&answer),
            Err(_) => self.note("  no answer"),
        }
    }

    fn write_down(&mut self, answer: &Answer) {
        let _ = writeln!(self.transcript, "  {}", answer.status);
        let mut headers: Vec<String> = answer.headers.iter().filter_map(header_line).collect();
        headers.sort();
        for header in headers {
            let _ = writeln!(self.transcript, "  {header}");
        }
        let body = marked(&answer.text());
        let _ = writeln!(self.transcript, "  {body}");
    }

    /// Creates a session and returns its id, which the transcript does not show.
    fn session(&mut self) -> String {
        let answer = self.send("PUT", "/v1/session/create", br#"{"LockDelay":"0s"}"#);
        let id = answer.json().and_then(|said| Some(said["ID"].as_str()?.to_owned()));
        let id = id.expect("no session");
        self.call(&id, "<session>");
        id
    }

    /// From now on this text is written as `instead`.
    fn call(&mut self, text: &str, instead: &'static str) {
        self.names.push((text.to_owned(), instead));
    }
}

/// A header as it is compared. How a body's length is told is left out: it depends on the digits of
/// indexes, and on when Go starts to send chunks.
fn header_line((name, value): &(String, String)) -> Option<String> {
    match name.as_str() {
        "content-length" | "transfer-encoding" | "connection" => None,
        "date" => Some("date".to_owned()),
        "x-consul-index" => Some(format!("{name}: {OPEN}{value}{CLOSE}")),
        _ => Some(format!("{name}: {value}")),
    }
}

/// Puts marks around the indexes in a body.
fn marked(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    let before = ["\"CreateIndex\":", "\"ModifyIndex\":", "current modify index "];
    while let Some(at) = before.iter().filter_map(|text| Some(rest.find(text)? + text.len())).min()
    {
        let digits = rest[at..].bytes().take_while(u8::is_ascii_digit).count();
        out += &format!("{}{OPEN}{}{CLOSE}", &rest[..at], &rest[at..at + digits]);
        rest = &rest[at + digits..];
    }
    out + rest
}

/// Replaces each marked index by its rank: relations stay, numbers go. 0 and 1 mean something.
fn ranked(transcript: &str) -> String {
    let pieces: Vec<&str> = transcript.split([OPEN, CLOSE]).collect();
    let number = |piece: &str| piece.parse::<u64>().ok().filter(|index| *index > 1);
    let mut indexes: Vec<u64> =
        pieces.iter().skip(1).step_by(2).filter_map(|piece| number(piece)).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let piece = |(at, piece): (usize, &&str)| match number(piece) {
        Some(index) if at % 2 == 1 => {
            format!("#{}", indexes.binary_search(&index).unwrap_or_default())
        }
        _ => (*piece).to_owned(),
    };
    pieces.iter().enumerate().map(piece).collect()
}
