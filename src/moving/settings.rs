//! consul-template's configuration: which of its settings seedcar has, and what is said of the others. The settings
//! are those of consul-template 0.42 (config/*.go).

mod said;

use std::collections::HashMap;

use super::exec;
use super::hcl::{Entry, Text, Value};
use super::note::{Note, Weight};
use said::SAID;

/// What was read from all files. A later file wins.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What is known of Consul, by the key in our file, without `address`.
    pub consul: Vec<(&'static str, Given)>,
    /// Where Consul is.
    pub address: Option<Given>,
    /// Whether it is spoken to by TLS: said, and because something of TLS is said.
    pub tls: (Option<bool>, bool),
    /// How much is logged, in our word.
    pub log_level: Option<&'static str>,
    /// All templates, in order.
    pub templates: Vec<Template>,
    /// The application that is run.
    pub exec: Option<Exec>,
    /// What actions stand between, unless a template says otherwise.
    pub delimiters: (Option<String>, Option<String>),
}

/// A text and where it was typed.
#[derive(Clone, Debug)]
pub struct Given {
    /// The text.
    pub text: String,
    /// The file as it was named, and the line.
    pub at: (String, usize),
}

/// A template.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// Where it was typed.
    pub at: (String, usize),
    /// The file that has it.
    pub source: Option<Given>,
    /// Itself.
    pub contents: Option<Text>,
    /// The file that is made of it.
    pub destination: Option<String>,
    /// That file's mode.
    pub mode: Option<u32>,
    /// What is run after a change.
    pub command: Option<Given>,
    /// What actions stand between.
    pub delimiters: (Option<String>, Option<String>),
}

/// The application that consul-template runs.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// Where it was typed.
    pub at: (String, usize),
    /// What is run.
    pub command: String,
    /// The signal of a change; a restart where there is none.
    pub reload_signal: Option<String>,
    /// The signal of the end.
    pub kill_signal: Option<String>,
    /// How long the end may take.
    pub kill_timeout: Option<String>,
    /// The longest wait before a change is told.
    pub splay: Option<String>,
}

/// Blocks of which only the last one of a file counts.
const ONCE: [&str; 8] =
    ["consul", "auth", "ssl", "exec", "wait", "vault", "syslog", "default_delimiters"];

/// Walks one file after the other.
#[derive(Default)]
pub struct Reader {
    /// What was read.
    pub settings: Settings,
    /// What is said about it.
    pub notes: Vec<Note>,
    file: String,
}

// === impl Reader ===

impl Reader {
    /// Reads a file.
    pub fn file(&mut self, name: &str, entries: &[Entry]) {
        name.clone_into(&mut self.file);
        self.entries("", entries);
    }

    fn entries(&mut self, path: &str, entries: &[Entry]) {
        let keys = entries.iter().map(|entry| entry.key.to_ascii_lowercase());
        let last: HashMap<String, usize> = keys.zip(0..).collect();
        for (i, entry) in entries.iter().enumerate() {
            let key = entry.key.to_ascii_lowercase();
            let is_replaced = ONCE.contains(&key.as_str()) && last[&key] != i;
            if entry.value != Value::Nothing && !is_replaced {
                self.entry(&join(path, &key), entry);
            }
        }
    }

    fn entry(&mut self, path: &str, entry: &Entry) {
        match path {
            "consul" => match &entry.value {
                Value::Text(_) => self.consul("consul.address", entry),
                _ => self.blocks(entry, |reader, block| reader.entries("consul", block)),
            },
            "template" => self.templates(entry),
            "exec" => self.exec(entry),
            "default_delimiters" | "consul.ssl" => {
                self.blocks(entry, |reader, block| reader.entries(path, block));
            }
            "default_delimiters.left" => self.settings.delimiters.0 = self.text(entry),
            "default_delimiters.right" => self.settings.delimiters.1 = self.text(entry),
            "log_level" => self.log_level(entry),
            _ if path.starts_with("consul.") => self.consul(path, entry),
            _ => self.say(path, entry.line),
        }
    }

    fn consul(&mut self, path: &str, entry: &Entry) {
        let ours = match path {
            "consul.token_file" => "tokenFile",
            "consul.namespace" => "namespace",
            "consul.ssl.ca_cert" => "caFile",
            "consul.ssl.ca_path" => "caPath",
            "consul.ssl.cert" => "clientCert",
            "consul.ssl.key" => "clientKey",
            "consul.ssl.server_name" => "tlsServerName",
            "consul.address" => {
                self.settings.address = self.given(entry);
                return;
            }
            "consul.ssl.enabled" => {
                self.settings.tls.0 = self.switch(entry);
                return;
            }
            "consul.ssl.verify" => return self.verify(entry),
            _ => return self.say(path, entry.line),
        };
        self.settings.tls.1 |= path.starts_with("consul.ssl.");
        if let Some(given) = self.given(entry).filter(|given| !given.text.is_empty()) {
            self.settings.consul.retain(|(key, _)| *key != ours);
            self.settings.consul.push((ours, given));
        }
    }

    fn verify(&mut self, entry: &Entry) {
        self.settings.tls.1 = true;
        if self.switch(entry) == Some(false) {
            let text = "consul.ssl.verify: certificates are always verified: name the authority in \
                        consul.caFile, and in consul.tlsServerName the name in the certificate";
            self.note(entry.line, Weight::ByHand, text);
        }
    }

    fn log_level(&mut self, entry: &Entry) {
        let level = self.text(entry).unwrap_or_default();
        self.settings.log_level = match level.to_ascii_lowercase().as_str() {
            "trace" | "debug" => Some("debug"),
            "err" | "error" => Some("error"),
            "warn" => Some("warn"),
            "info" => None,
            _ => {
                return self.note(
                    entry.line,
                    Weight::ByHand,
                    "log_level: is no level of consul-template",
                );
            }
        };
    }

    fn exec(&mut self, entry: &Entry) {
        let mut exec = Exec { at: (self.file.clone(), entry.line), ..Exec::default() };
        if let Value::Text(command) = &entry.value {
            exec.command.clone_from(&command.text);
            self.settings.exec = Some(exec);
            return;
        }
        let mut is_enabled = true;
        self.blocks(entry, |reader, block| {
            for entry in block {
                let key = entry.key.to_ascii_lowercase();
                match key.as_str() {
                    "command" => exec.command = reader.command(entry).unwrap_or_default(),
                    "reload_signal" => exec.reload_signal = reader.text(entry),
                    "kill_signal" => exec.kill_signal = reader.text(entry),
                    "kill_timeout" => exec.kill_timeout = reader.text(entry),
                    "splay" => exec.splay = reader.text(entry),
                    "enabled" => is_enabled = reader.switch(entry).unwrap_or(true),
                    _ => reader.say(&join("exec", &key), entry.line),
                }
            }
        });
        if is_enabled && !exec.command.is_empty() {
            self.settings.exec = Some(exec);
        }
    }

    fn templates(&mut self, entry: &Entry) {
        if let Value::Text(text) = &entry.value {
            let at = (self.file.clone(), entry.line);
            let template = Template::of_flag(&text.text, at);
            self.settings.templates.push(template);
            return;
        }
        self.blocks(entry, |reader, block| {
            let is_in_list = matches!(entry.value, Value::List(_));
            let line = block.first().filter(|_| is_in_list).map_or(entry.line, |first| first.line);
            let at = (reader.file.clone(), line);
            let mut template = Template { at, ..Template::default() };
            for entry in block {
                reader.of_template(&mut template, entry);
            }
            reader.settings.templates.push(template);
        });
    }

    fn of_template(&mut self, template: &mut Template, entry: &Entry) {
        let key = entry.key.to_ascii_lowercase();
        match (key.as_str(), &entry.value) {
            (_, Value::Nothing) => {}
            ("source", _) => template.source = self.given(entry).filter(|g| !g.text.is_empty()),
            ("contents", Value::Text(text)) => template.contents = Some(text.clone()),
            ("destination", _) => template.destination = self.text(entry),
            ("perms", _) => template.mode = self.mode(entry),
            ("command", _) => self.command_of(template, entry),
            ("exec", _) => self.blocks(entry, |reader, block| {
                for entry in block {
                    match entry.key.as_str() {
                        "command" => reader.command_of(template, entry),
                        key => reader.say(&format!("exec.{key}"), entry.line),
                    }
                }
            }),
            ("left_delimiter", _) => template.delimiters.0 = self.text(entry),
            ("right_delimiter", _) => template.delimiters.1 = self.text(entry),
            _ => self.say(&join("template", &key), entry.line),
        }
    }

    fn command_of(&mut self, template: &mut Template, entry: &Entry) {
        let at = (self.file.clone(), entry.line);
        let command = self.command(entry).filter(|text| !text.is_empty());
        template.command = command.map(|text| Given { text, at });
    }

    /// A command, as a line or as a list of words.
    fn command(&mut self, entry: &Entry) -> Option<String> {
        let Value::List(words) = &entry.value else { return self.text(entry) };
        let mut line = Vec::new();
        for word in words {
            let Value::Text(word) = word else {
                self.mistyped(entry);
                return None;
            };
            line.push(word.text.as_str());
        }
        if let [one] = line.as_slice() {
            return Some((*one).to_owned());
        }
        Some(line.into_iter().map(exec::word).collect::<Vec<_>>().join(" "))
    }

    /// HCL's number is octal where it begins with 0, a text always is, and JSON has decimal ones.
    fn mode(&mut self, entry: &Entry) -> Option<u32> {
        let mode = match &entry.value {
            Value::Text(text) => u32::from_str_radix(&text.text, 8).ok(),
            Value::Number(number) => match number.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None if number.starts_with('0') => u32::from_str_radix(number, 8).ok(),
                None => number.parse().ok(),
            },
            _ => None,
        };
        // 0 is what consul-template takes for none.
        let mode = mode.filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            let text = "template.perms: is no mode from 0000 to 0777: write mode: \"0640\" below the output";
            self.note(entry.line, Weight::ByHand, text);
        }
        mode.filter(|mode| *mode != 0)
    }

    /// Each block of an entry: it may be one, or in JSON a list of them.
    fn blocks(&mut self, entry: &Entry, mut each: impl FnMut(&mut Self, &[Entry])) {
        match &entry.value {
            Value::Block(block) => each(self, block),
            Value::List(items) => {
                for item in items {
                    match item {
                        Value::Block(block) => each(self, block),
                        _ => self.mistyped(entry),
                    }
                }
            }
            _ => self.mistyped(entry),
        }
    }

    fn given(&mut self, entry: &Entry) -> Option<Given> {
        let text = self.text(entry)?;
        Some(Given { text, at: (self.file.clone(), entry.line) })
    }

    fn text(&mut self, entry: &Entry) -> Option<String> {
        match &entry.value {
            Value::Text(text) => Some(text.text.clone()),
            Value::Number(number) => Some(number.clone()),
            _ => {
                self.mistyped(entry);
                None
            }
        }
    }

    fn switch(&mut self, entry: &Entry) -> Option<bool> {
        match &entry.value {
            Value::Switch(on) => Some(*on),
            Value::Text(text) if text.text == "true" || text.text == "1" => Some(true),
            Value::Text(text) if text.text == "false" || text.text == "0" => Some(false),
            _ => {
                self.mistyped(entry);
                None
            }
        }
    }

    /// What there is to say of a setting that is not carried over.
    fn say(&mut self, path: &str, line: usize) {
        let known = SAID.iter().find(|(known, ..)| {
            path == *known || path.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'))
        });
        match known {
            Some((_, weight, why)) => self.note(line, *weight, &format!("{path}: {why}")),
            None => {
                let text = format!(
                    "{path}: is no setting of consul-template 0.42 that seedcar knows: see what it did"
                );
                self.note(line, Weight::ByHand, &text);
            }
        }
    }

    fn mistyped(&mut self, entry: &Entry) {
        let text =
            format!("{}: is not what consul-template takes here: look at its value", entry.key);
        self.note(entry.line, Weight::ByHand, &text);
    }

    fn note(&mut self, line: usize, weight: Weight, text: &str) {
        let file = self.file.clone();
        self.notes.push(Note { file, line, weight, text: text.to_owned() });
    }
}

// === impl Template ===

impl Template {
    /// Of the text that `-template` takes: `SOURCE:DESTINATION:COMMAND`.
    pub fn of_flag(text: &str, at: (String, usize)) -> Self {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(ToOwned::to_owned);
        let given = |text: String| Given { text, at: at.clone() };
        let (source, destination, command) = (next().map(given), next(), next().map(given));
        Self { at: at.clone(), source, destination, command, ..Self::default() }
    }

    /// Read from the file `source` and written to `destination`.
    pub fn with(self, source: &str, destination: &str) -> Self {
        let given = Given { text: source.to_owned(), at: self.at.clone() };
        Self { source: Some(given), destination: Some(destination.to_owned()), ..self }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
