//! `seedcar accept`: a person lets a held answer through.

use std::path::Path;

use crate::exit::Exit;
use crate::publisher::persist::{StatusFile, accept, is_digest_prefix};

/// Records the digest in `.seedcar/`; the sidecar asks Consul again and publishes that content if it
/// still is what Consul holds.
pub fn run(volume: &Path, digest: &str, source: Option<&str>) -> Exit {
    if !is_digest_prefix(digest) {
        super::complain(format_args!(
            "{digest}: not a digest (8 to 64 hexadecimal digits, as `seedcar status` shows it)"
        ));
        return Exit::Usage;
    }
    if let Err(error) = accept(volume, digest, source) {
        super::complain(format_args!(
            "{}: {error}; is this the volume of a seedcar?",
            volume.display()
        ));
        return Exit::Volume;
    }
    if is_held(volume, digest) {
        println!("accepted: it is published as soon as Consul confirms it");
    } else {
        println!("accepted, but nothing with this digest is held now: it counts when it is");
    }
    Exit::Ok
}

fn is_held(volume: &Path, digest: &str) -> bool {
    let text = std::fs::read(volume.join(".seedcar/status.json")).unwrap_or_default();
    let status: Option<StatusFile> = serde_json::from_slice(&text).ok();
    let digest = digest.to_ascii_lowercase();
    status.is_some_and(|status| {
        let held = status.sources.values().filter_map(|s| s.held_digest);
        held.map(|held| held.hex()).any(|held| held.starts_with(&digest))
    })
}
