//! `seedcar demo`.

use crate::exit::Exit;

/// Plays the acts.
pub fn run(_keep: bool, _consul: Option<&str>) -> Exit {
    Exit::Internal
}
