//! `seedcar manifest`: what the chart makes, for those without Helm.
//!
//! The texts in `manifest/` are what Helm renders of the application chart, with words that begin with
//! `zz-` where a user's own belong; `e2e/manifest.rs` writes them and holds them to the chart. The one
//! for docker compose, which has no chart, is written by hand. Lines that end in a mark are for `--exec`.

use std::io::Write;

use crate::cli::{Kind, Manifest};
use crate::exit::Exit;

/// What ends the lines that are there for `--exec` alone: a comment, so that the texts are YAML.
const EXEC: &str = " # zz-exec";

/// Prints a manifest. A reader who has seen enough may close the pipe.
pub fn run(manifest: &Manifest, out: &mut dyn Write) -> Exit {
    if manifest.exec && manifest.kind == Kind::Compose {
        super::complain(format_args!(
            "--exec is for Kubernetes: compose has no init that puts the program into another container"
        ));
        return Exit::Usage;
    }
    let _ = out.write_all(text(manifest).as_bytes());
    Exit::Ok
}

fn text(manifest: &Manifest) -> String {
    let text = match manifest.kind {
        Kind::Pod => include_str!("manifest/pod.yaml"),
        Kind::Deployment => include_str!("manifest/deployment.yaml"),
        Kind::Statefulset => include_str!("manifest/statefulset.yaml"),
        Kind::Job => include_str!("manifest/job.yaml"),
        Kind::Cronjob => include_str!("manifest/cronjob.yaml"),
        Kind::Component => include_str!("manifest/component.yaml"),
        Kind::Compose => include_str!("manifest/compose.yaml"),
    };
    // Each of the first four is a whole YAML value in the text, and YAML takes JSON's strings: nothing
    // that a user types becomes anything but that value. A name is part of longer words, and its letters
    // need no quotes.
    let quoted = |value: &str| {
        let text = serde_json::Value::from(value).to_string();
        // Compose puts variables into its files, and takes a doubled sign for a plain one.
        if manifest.kind == Kind::Compose { text.replace('$', "$$") } else { text }
    };
    let words = [
        ("zz-app:zz", quoted(manifest.app_image.as_deref().unwrap_or_default())),
        ("zz-image:zz", quoted(&manifest.image)),
        ("zz-prefix", quoted(&manifest.prefix)),
        ("zz-consul", quoted(&manifest.consul)),
        ("zz-name", manifest.name.clone()),
    ];
    filled(&chosen(text, manifest.exec), &words)
}

/// The text with its lines for `--exec`, or without them.
fn chosen(text: &str, exec: bool) -> String {
    let lines = text.lines().filter_map(|line| match line.strip_suffix(EXEC) {
        Some(line) => exec.then_some(line),
        None => Some(line),
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// In one pass, so that a user's word is not taken for a place.
fn filled(text: &str, words: &[(&str, String)]) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("zz-") {
        made.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = words.iter().find(|(place, _)| rest.starts_with(place));
        let (place, word) = found.map_or(("zz-", "zz-"), |(place, word)| (*place, word.as_str()));
        made.push_str(word);
        rest = &rest[place.len()..];
    }
    made + rest
}
