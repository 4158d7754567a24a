//! Our configuration file, as text.

use super::note::{Note, Weight};
use super::plan::{Content, Output, Plan};
use super::settings::{Given, Settings};
use crate::config::Address;
use crate::model::output::MAY_BE;

/// What is different of every conversion.
const HEAD: &str = "\
# Made of a configuration of consul-template by `seedcar config from-consul-template`.
#
# What is different everywhere: files lie in live/ of the volume (above each is where it was). A key that
# is missing is left out, where consul-template waits. A prefix takes a / at its end, so that
# apps/web2 is not part of apps/web. A value is read as it stands in Consul: quotes and escapes that were put there
# for the file are part of it now. Nobody may write into a file, whatever its mode was. All files of a change
# appear at once.
";

/// Writes the file; adds to `notes` what of Consul's settings cannot be.
pub fn write(settings: &Settings, plan: &Plan, notes: &mut Vec<Note>) -> String {
    let mut text = HEAD.to_owned();
    if plan.outputs.is_empty() {
        text.push_str("\n# No template could be carried over: name at least one source here.\n");
    } else {
        sources(plan, &mut text);
        outputs(plan, &mut text);
    }
    consul(settings, plan, &mut text, notes);
    if let Some(level) = settings.log_level {
        text.push_str(&format!("\nlog:\n  level: {level}\n"));
    }
    text
}

fn sources(plan: &Plan, to: &mut String) {
    to.push_str("\nsources:\n");
    for (name, prefix) in &plan.sources {
        to.push_str(&format!("- name: {}\n  prefix: {}\n", quoted(name), quoted(prefix)));
    }
}

fn outputs(plan: &Plan, to: &mut String) {
    to.push_str("\noutputs:\n");
    for output in &plan.outputs {
        let kind = if matches!(output.content, Content::Tree(_)) { "tree" } else { "file" };
        to.push_str(&format!("# {}\n- {kind}:\n", comment(&output.was)));
        for (key, value) in said(output, plan) {
            to.push_str(&format!("    {key}: {value}\n"));
        }
    }
}

/// What is said of an output, in the order of the sample.
fn said(output: &Output, plan: &Plan) -> Vec<(&'static str, String)> {
    let layers: Vec<String> = output.layers.iter().map(|i| plan.sources[*i].0.clone()).collect();
    let mut said = vec![("path", quoted(&output.path)), ("layers", list(&layers))];
    match &output.content {
        Content::Value(key, default) => {
            said.push(("key", quoted(key)));
            said.extend(default.as_ref().map(|default| ("default", always_quoted(default))));
        }
        Content::Tree(include) => said.extend(included(include)),
        Content::Keys(include, layout) => {
            said.push(("format", layout.format.word().to_owned()));
            if layout.format.is_structured() {
                said.push(("shape", if layout.is_nested { "nested" } else { "flat" }.to_owned()));
            }
            if layout.has_types {
                said.push(("types", "auto".to_owned()));
            }
            said.extend(included(include));
            said.extend(layout.separator.as_ref().map(|text| ("separator", always_quoted(text))));
            said.extend(layout.case.map(|case| ("case", case.to_owned())));
        }
    }
    said.extend(output.mode.map(|mode| mode_of(mode, &output.content)));
    said
}

/// Seedcar must be able to read what it wrote, and nobody may write: files are shared between generations.
fn mode_of(mode: u32, content: &Content) -> (&'static str, String) {
    let mode = format!("\"{:04o}\"", mode & MAY_BE | 0o400);
    match content {
        Content::Tree(_) => ("modes", format!("[{{keys: \"**\", mode: {mode}}}]")),
        _ => ("mode", mode),
    }
}

fn included(include: &[String]) -> Option<(&'static str, String)> {
    (!include.is_empty()).then(|| ("include", list(include)))
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn consul(settings: &Settings, plan: &Plan, to: &mut String, notes: &mut Vec<Note>) {
    let mut lines = Vec::new();
    let is_tls = settings.tls.0.unwrap_or(settings.tls.1);
    if let Some(given) = &settings.address {
        lines.extend(
            address(given, is_tls, notes)
                .map(|text| ("addresses", format!("[{}]", always_quoted(&text)))),
        );
    }
    let is_sound = |(key, given): &&(&str, Given)| fault(key, &given.text).is_none();
    let has = |key| settings.consul.iter().filter(is_sound).any(|(other, _)| *other == key);
    let has_pair = has("clientCert") && has("clientKey");
    for (key, given) in &settings.consul {
        match fault(key, &given.text) {
            _ if key.starts_with("client") && !has_pair => {
                say(
                    given,
                    format!("consul.ssl: {key} is of no use without the other of the pair"),
                    notes,
                );
            }
            Some(what) => {
                say(given, format!("consul: its value is no {what}: set consul.{key}"), notes)
            }
            None => lines.push((key, quoted(&given.text))),
        }
    }
    lines.extend(plan.datacenter.as_ref().map(|name| ("datacenter", quoted(name))));
    if !lines.is_empty() {
        to.push_str("\nconsul:\n");
    }
    for (key, value) in lines {
        to.push_str(&format!("  {key}: {value}\n"));
    }
}

/// The address with its scheme, where it needs one.
fn address(given: &Given, is_tls: bool, notes: &mut Vec<Note>) -> Option<String> {
    if let Err(error) = Address::parse(&given.text, is_tls) {
        // It may hold a password: it is not shown.
        say(given, format!("consul.address: {error}: write it to consul.addresses"), notes);
        return None;
    }
    let text = given.text.as_str();
    let host = text.strip_prefix("http://").unwrap_or(text);
    let is_plain = !text.contains("://") || text.starts_with("http://");
    Some(if is_tls && is_plain { format!("https://{host}") } else { text.to_owned() })
}

/// What a value is not, if the check of our file would say so.
fn fault(key: &str, value: &str) -> Option<&'static str> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    match key {
        "namespace" => (value.len() > 63 || !value.bytes().all(is_name)).then_some("name"),
        "tlsServerName" => {
            (value.len() > 253 || !value.bytes().all(is_name)).then_some("host name")
        }
        // A token where a file should be named is not repeated.
        _ => {
            (!value.contains('/') || value.chars().any(char::is_control)).then_some("path with a /")
        }
    }
}

fn say(given: &Given, text: String, notes: &mut Vec<Note>) {
    let (file, line) = given.at.clone();
    notes.push(Note { file, line, weight: Weight::ByHand, text });
}

/// A text for a comment, on one line.
fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c) { ' ' } else { c })
        .collect()
}

/// A text as YAML reads it back, with quotes unless it is a plain word.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./-".contains(&b);
    let is_plain =
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.bytes().all(plain);
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if is_plain && !is_word.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        text.to_owned()
    } else {
        always_quoted(text)
    }
}

/// In double quotes, all but ASCII that can be seen escaped: so every YAML reads it.
fn always_quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}
