//! The table: each fault, and what it must look like from outside.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use seedcar::model::guard::Reason;
use serde_json::Value;

use super::spoil::{Fault, Send};

/// A fault and what is expected.
pub struct Case {
    pub name: String,
    pub fault: Fault,
    pub shows: Shows,
    pub pace: Pace,
    /// It spoils content and leaves the doorbell alone.
    pub content_only: bool,
}

/// How status and metrics must name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A failed request: the metric's outcome, and words of the status line.
    Failed(&'static str, &'static str),
    /// An answer is refused.
    Held(Reason),
    /// The watch counts an index that it does not believe.
    Distrusted,
    /// Nothing is wrong with what arrives.
    Nothing,
}

/// How often Consul may be asked meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Pauses that grow from a quarter of a second to five.
    Passing,
    /// The same, after waiting for an answer for up to fifteen.
    Waiting,
    /// Pauses that grow from a second to thirty.
    Lasting,
    /// As long as it was told.
    Told(u64),
    /// Answers are used, and distrusted: a heartbeat keeps its rhythm.
    Rhythm,
}

/// Where redirects lead to.
pub struct Elsewhere(TcpListener);

// === impl Pace ===

impl Pace {
    /// The most requests of one mechanism in so long a time.
    pub fn at_most(self, window: Duration) -> usize {
        let seconds = window.as_secs_f64();
        match self {
            // The pauses are random: with 2.5 s on average, so many more than the dozen expected do
            // not happen. Without pauses there would be thousands.
            Self::Passing | Self::Waiting => 12 + seconds as usize,
            // Half of each pause is certain: 0.5, 1, 2, 4, 8 and then 15 s.
            Self::Lasting => 6 + (seconds / 15.0) as usize,
            Self::Told(told) => 2 + (seconds / told as f64) as usize,
            // A heartbeat each second of two questions; a watch that asks twice and then pauses.
            Self::Rhythm => 12 + 3 * seconds as usize,
        }
    }

    /// The longest that it may take until a change arrives, once Consul answers well. The pause that
    /// is under way then, the spread of full reads after an outage, a round, and a slow machine.
    pub fn heals_within(self) -> Duration {
        Duration::from_secs(match self {
            Self::Passing | Self::Rhythm => 5 + 5 + 10,
            Self::Waiting => 15 + 5 + 5 + 10,
            Self::Told(told) => told * 5 / 4 + 5 + 10,
            Self::Lasting => 30 + 5 + 10,
        })
    }
}

// === impl Case ===

impl Case {
    fn new(name: impl Into<String>, fault: Fault, shows: Shows, pace: Pace) -> Self {
        Self { name: name.into(), fault, shows, pace, content_only: false }
    }

    fn malformed(name: impl Into<String>, fault: Fault) -> Self {
        Self::new(name, fault, Shows::Failed("malformed", ""), Pace::Passing)
    }

    /// What `init` exits with if there is no backup either.
    pub fn exit(&self) -> i32 {
        match self.shows {
            Shows::Failed("denied", _) => 77,
            Shows::Failed(..) | Shows::Held(_) => 69,
            Shows::Distrusted | Shows::Nothing => 0,
        }
    }

    /// The files may not be confirmed by anything.
    pub fn is_an_outage(&self) -> bool {
        matches!(self.shows, Shows::Failed(..))
    }
}

/// Faults that show within seconds.
pub fn quick(elsewhere: &Elsewhere) -> Vec<Case> {
    let mut cases = cut();
    cases.extend(bodies());
    cases.extend(refused(elsewhere.addr()));
    cases.extend(errors());
    cases.extend(indexes());
    cases.extend(gigantic());
    cases
}

/// Faults that show only when patience is over.
pub fn slow() -> Vec<Case> {
    let timeout = |name: &str, send, words| {
        Case::new(name, Fault::sent(send), Shows::Failed("timeout", words), Pace::Waiting)
    };
    vec![
        timeout("silence", Send::Silence, "no answer within"),
        timeout("a head, then silence", Send::HeadThenSilence, "the body stalled"),
        timeout("a byte a second from the start", Send::DripHead, "no answer within"),
        timeout("a byte a second of the body", Send::Drip, "the body stalled"),
    ]
}

fn cut() -> Vec<Case> {
    let cut = |name: &str, send, outcome| {
        Case::new(name, Fault::sent(send), Shows::Failed(outcome, ""), Pace::Passing)
    };
    vec![
        cut("reset before any byte", Send::Reset, "connect_error"),
        cut("closed before any byte", Send::HeadTo(0), "connect_error"),
        cut("closed inside the head", Send::HeadTo(60), "connect_error"),
        cut("closed after the head", Send::LengthTo(0), "malformed"),
        cut("closed inside the body", Send::LengthTo(10), "malformed"),
        cut("closed inside a chunk", Send::ChunkedTo(30), "malformed"),
        cut("closed after a chunk", Send::ChunksTo(30), "malformed"),
        cut("closed before the last chunk", Send::ChunksTo(usize::MAX), "malformed"),
        Case::malformed("half of it, called whole", Fault::body(|b| b[..b.len() / 2].to_vec())),
        Case::malformed(
            "all but the end, called whole",
            Fault::body(|b| b[..b.len() - 1].to_vec()),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let texts = [
        ("nothing", ""),
        ("a page", "<html><body>Please sign in</body></html>"),
        ("null", "null"),
        ("a number", "42"),
        ("a string", "\"down for maintenance\""),
        ("an object", r#"{"errors":[]}"#),
        ("a list of numbers", "[1,2]"),
        ("a key that is a number", r#"[{"Key":1,"Value":null}]"#),
        ("no key", r#"[{"Value":"MQ=="}]"#),
        ("a value that is a number", r#"[{"Key":"x","Value":1}]"#),
        ("a negative flag", r#"[{"Key":"x","Flags":-1,"Value":null}]"#),
        ("a key of another prefix", r#"[{"Key":"elsewhere/x","Value":"MQ=="}]"#),
        ("a lone comma", "[,]"),
        ("a broken escape", r#"["\ud800"]"#),
    ];
    let mut cases: Vec<Case> = texts
        .iter()
        .map(|(name, text)| Case::malformed(*name, Fault::body(|_| text.as_bytes().to_vec())))
        .collect();
    cases.extend([
        Case::malformed("not UTF-8", Fault::body(|_| vec![0xFF; 300])),
        Case::malformed("more after the end", Fault::body(|b| [b, b"x"].concat())),
        Case::malformed("twice", Fault::body(|b| [b, b].concat())),
        Case::malformed("no commas", Fault::body(without_commas)),
        Case::malformed("each key twice", Fault::body(each_twice)),
        Case::malformed("values that are not base64", Fault::body(|b| with_values(b, "!!"))),
        Case::malformed("deep", Fault::body(|_| vec![b'['; 200_000])),
        Case::malformed(
            "deep in an entry",
            Fault::body(|_| [b"[{\"Key\":", &[b'['; 200_000][..]].concat()),
        ),
        Case::malformed("compressed", compressed(1)),
        Case::malformed("a compressed bomb", compressed(10_000_000)),
    ]);
    cases
}

fn refused(elsewhere: SocketAddr) -> Vec<Case> {
    let redirected = |status: u16| {
        let to = format!("http://{elsewhere}/v1/kv/app/?recurse");
        let fault = Fault::answer(status, &[("location", &to)], "");
        Case::new(format!("{status}"), fault, Shows::Failed("redirected", "HTTP 3"), Pace::Lasting)
    };
    let mut cases: Vec<Case> = [301, 302, 303, 307, 308].into_iter().map(redirected).collect();
    let lasting = [
        (400, "Invalid index", "bad_request"),
        (401, "", "denied"),
        (403, "ACL not found", "denied"),
        (403, "Permission denied", "denied"),
        (405, "", "bad_request"),
        (413, "", "bad_request"),
        (204, "", "bad_request"),
        (429, "Your IP is issuing too many concurrent connections", "rate_limited"),
        (429, "", "rate_limited"),
    ];
    cases.extend(lasting.map(|(status, words, outcome)| {
        let shows = Shows::Failed(outcome, if words.is_empty() { "HTTP " } else { words });
        let fault = Fault::answer(status, &[], words);
        Case::new(format!("{status} {words}"), fault, shows, Pace::Lasting)
    }));
    for told in ["soon", "-1", "99999999999999999999", "1.5"] {
        let fault = Fault::answer(429, &[("retry-after", told)], "");
        let shows = Shows::Failed("rate_limited", "HTTP 429");
        cases.push(Case::new(format!("429, after {told}"), fault, shows, Pace::Lasting));
    }
    for (status, outcome) in [(429, "rate_limited"), (503, "server_error")] {
        let fault = Fault::answer(status, &[("retry-after", "3")], "");
        let shows = Shows::Failed(outcome, "HTTP ");
        cases.push(Case::new(format!("{status}, after 3 s"), fault, shows, Pace::Told(3)));
    }
    // A proxy that shows what it was sent, token and all.
    let echo = Fault::edited(|asked, answer| {
        let token = asked.header("x-consul-token").unwrap_or_default();
        (answer.status, answer.body) = (400, format!("bad header x-consul-token: {token}").into());
    });
    cases.push(Case::new(
        "400 with the request",
        echo,
        Shows::Failed("bad_request", "repeats our credentials"),
        Pace::Lasting,
    ));
    let gone = Fault::edited(|_, answer| (answer.status, answer.body) = (404, Vec::new()));
    cases.push(Case::new("404", gone, Shows::Held(Reason::Empty), Pace::Rhythm));
    let empty = Fault::body(|_| b"[]".to_vec());
    cases.push(Case::new("an empty list", empty, Shows::Held(Reason::Empty), Pace::Rhythm));
    cases.push(Case::malformed("a 404 without an index", Fault::answer(404, &[], "not found")));
    cases
}

fn errors() -> Vec<Case> {
    let words = [
        (500, "No cluster leader"),
        (500, "rpc error making call: EOF"),
        (500, "rpc error making call: i/o deadline reached"),
        (500, "rpc error making call: No path to datacenter"),
        (
            500,
            "rpc error getting client: failed to get conn: dial tcp 127.0.0.1:8300: connect: connection refused",
        ),
        (500, "No known Consul servers"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
    ];
    let mut cases: Vec<Case> = words
        .into_iter()
        .map(|(status, words)| {
            let shows = Shows::Failed("server_error", words);
            Case::new(
                format!("{status} {words}"),
                Fault::answer(status, &[], words),
                shows,
                Pace::Passing,
            )
        })
        .collect();
    let shows = Shows::Failed("server_error", "HTTP 50");
    let page = Fault::answer(502, &[("content-type", "text/html")], "<html>Bad Gateway</html>");
    cases.push(Case::new("502 with a page", page, shows, Pace::Passing));
    let own = Fault::edited(|_, answer| answer.status = 500);
    cases.push(Case::new("500 with the content", own, shows, Pace::Passing));
    cases
}

fn indexes() -> Vec<Case> {
    let mut cases = vec![Case::malformed("no index", Fault::index(|_, _| None))];
    for index in ["", "-1", "18446744073709551616", "1e3", "0x10", "many"] {
        let fault = Fault::index(move |_, _| Some(index.to_owned()));
        cases.push(Case::malformed(format!("index {index:?}"), fault));
    }
    let odd = |name: &str, fault: Fault, shows| Case::new(name, fault, shows, Pace::Rhythm);
    let constant = |index: u64| Fault::index(move |_, _| Some(index.to_string()));
    let raised = |by: u64| Fault::index(move |_, own| Some((own + by).to_string()));
    cases.extend([
        odd("index 0", constant(0), Shows::Distrusted),
        odd("index 2", constant(2), Shows::Distrusted),
        odd(
            "an index lower than asked",
            Fault::index(|sent, own| Some(if sent > 0 { sent - 1 } else { own }.to_string())),
            Shows::Distrusted,
        ),
        odd(
            "an index as asked, and early",
            Fault::index(|sent, own| Some(if sent > 0 { sent } else { own }.to_string())).at_once(),
            Shows::Distrusted,
        ),
        odd("an index above 2^53", raised(1 << 53), Shows::Nothing),
        odd("an index above 2^63", raised(1 << 63), Shows::Nothing),
        odd("the highest index", constant(u64::MAX), Shows::Nothing),
        odd(
            "404 to the doorbell alone",
            Fault::edited(|asked, answer| {
                if asked.target.contains("?keys") {
                    (answer.status, answer.body) = (404, Vec::new());
                }
            }),
            Shows::Nothing,
        ),
    ]);
    cases
}

fn gigantic() -> Vec<Case> {
    let too_large = |name: &str, (content, names): (&'static str, &'static str), claimed| {
        let fault = Fault::edited(move |asked, answer| {
            let body = if asked.target.contains("?keys") { names } else { content };
            answer.body = body.as_bytes().to_vec();
        });
        let fault = fault.then(Send::Endless { claimed });
        Case::new(name, fault, Shows::Failed("too_large", "larger than"), Pace::Lasting)
    };
    let shows = Shows::Failed("too_large", "larger than");
    let too_many =
        Case::new("more keys than allowed", Fault::body(many_keys), shows, Pace::Lasting);
    let (value, blanks) = ((r#"[{"Key":"x","Value":"A"#, r#"["A"#), ("[ ", "[ "));
    let claimed = Some(10_000_000_000);
    vec![
        too_large("an endless value", value, None),
        too_large("a value of 10 GB", value, claimed),
        too_large("endless blanks", blanks, None),
        too_large("10 GB of blanks", blanks, claimed),
        Case::malformed(
            "endless zeros",
            Fault::body(|_| vec![0]).then(Send::Endless { claimed: None }),
        ),
        Case::malformed(
            "endless brackets",
            Fault::body(|_| b"[".to_vec()).then(Send::Endless { claimed: None }),
        ),
        Case { content_only: true, ..too_many },
    ]
}

/// A gzip body that nobody asked for: Consul's own, followed by so many zeros.
fn compressed(zeros: usize) -> Fault {
    Fault::edited(move |_, answer| {
        answer.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        answer.body.extend(std::iter::repeat_n(b' ', zeros));
        answer.body = gzip(&answer.body);
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new("gzip");
    let child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("gzip");
    let mut input = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).expect("gzip reads"));
        child.wait_with_output().expect("gzip ends").stdout
    })
}

fn elements(body: &[u8]) -> Vec<Value> {
    serde_json::from_slice(body).unwrap_or_default()
}

fn without_commas(body: &[u8]) -> Vec<u8> {
    let elements: String = elements(body).iter().map(Value::to_string).collect();
    format!("[{elements}{elements}]").into_bytes()
}

fn each_twice(body: &[u8]) -> Vec<u8> {
    let one = elements(body);
    serde_json::to_vec(&[one.clone(), one].concat()).expect("JSON")
}

fn with_values(body: &[u8], value: &str) -> Vec<u8> {
    let mut elements = elements(body);
    for element in &mut elements {
        match element {
            Value::Object(entry) => drop(entry.insert("Value".to_owned(), value.into())),
            other => *other = Value::from(0),
        }
    }
    serde_json::to_vec(&elements).expect("JSON")
}

/// The first entry's key with a number behind it, a hundred thousand times.
fn many_keys(body: &[u8]) -> Vec<u8> {
    let elements = elements(body);
    let first =
        elements.first().map(|e| e["Key"].as_str().or(e.as_str()).unwrap_or_default().to_owned());
    let first = first.unwrap_or_default();
    let entry = |n: u32| format!(r#"{{"Key":"{first}{n}","Value":null}}"#);
    let entries: Vec<String> = (0..100_000).map(entry).collect();
    format!("[{}]", entries.join(",")).into_bytes()
}

// === impl Elsewhere ===

impl Elsewhere {
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("not blocking");
        Self(listener)
    }

    /// Whether anybody has come.
    pub fn was_visited(&self) -> bool {
        self.0.accept().is_ok()
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }
}
