//! Log lines: JSON objects off a terminal, readable text on one.
//!
//! What is logged are changes of state, each with a stable `event` word. Never a value, never a token.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};

static WARNINGS: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicU64 = AtomicU64::new(0);

/// One line an event.
struct Lines {
    json: bool,
    colour: bool,
}

/// An event's fields in order; `message` apart.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

/// Sets the subscriber. Lines go to standard output, where a log collector looks. A second call changes
/// nothing.
pub fn install(log: &Log) {
    install_on(std::io::stdout, std::io::stdout().is_terminal(), log);
}

/// The same on standard error, beside an application whose output is its own.
pub fn install_on_stderr(log: &Log) {
    install_on(std::io::stderr, std::io::stderr().is_terminal(), log);
}

fn install_on<W>(to: fn() -> W, terminal: bool, log: &Log)
where
    W: std::io::Write + 'static,
{
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level(log.level))
        // It would complain on standard error, and panic where that is gone as well.
        .log_internal_errors(false)
        .event_format(Lines { json, colour })
        .with_writer(to)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// How many events of this level there were.
pub fn counted(level: &str) -> u64 {
    match level {
        "warn" => WARNINGS.load(Ordering::Relaxed),
        _ => ERRORS.load(Ordering::Relaxed),
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    }
}

// === impl Lines ===

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match *event.metadata().level() {
            Level::WARN => WARNINGS.fetch_add(1, Ordering::Relaxed),
            Level::ERROR => ERRORS.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        // Libraries speak of addresses and bodies; only our own lines are known to be clean.
        if !event.metadata().target().starts_with("seedcar") {
            return Ok(());
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = format!("{:.3}", jiff::Timestamp::now());
        if self.json {
            write_json(&mut line, &now, event.metadata().level(), fields)
        } else {
            self.write_text(&mut line, &now, event.metadata().level(), &fields)
        }
    }
}

impl Lines {
    fn write_text(
        &self,
        line: &mut Writer<'_>,
        now: &str,
        level: &Level,
        fields: &Fields,
    ) -> fmt::Result {
        let paint = match *level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            _ => "2",
        };
        let time = &now[11..19];
        let word = level.as_str();
        if self.colour {
            write!(line, "\x1b[2m{time}\x1b[0m \x1b[{paint}m{word:<5}\x1b[0m {}", fields.message)?;
        } else {
            write!(line, "{time} {word:<5} {}", fields.message)?;
        }
        for (name, value) in fields.others.iter().filter(|(name, _)| *name != "event") {
            match value {
                Value::String(text) => write!(line, " {name}={text}")?,
                other => write!(line, " {name}={other}")?,
            }
        }
        writeln!(line)
    }
}

/// Written by hand to keep the order: time, level and message first.
fn write_json(line: &mut Writer<'_>, now: &str, level: &Level, fields: Fields) -> fmt::Result {
    let level = level.as_str().to_ascii_lowercase();
    write!(
        line,
        "{{\"ts\":\"{now}\",\"level\":\"{level}\",\"msg\":{}",
        Value::from(fields.message)
    )?;
    for (name, value) in fields.others {
        write!(line, ",\"{name}\":{value}")?;
    }
    writeln!(line, "}}")
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }
}
