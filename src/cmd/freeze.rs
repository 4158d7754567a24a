//! `seedcar freeze`: a person stops changes, or lets them go on.

use std::path::Path;

use crate::exit::Exit;
use crate::publisher::frozen::freeze;

/// Leaves word in `.seedcar/`; the sidecar looks before each change.
pub fn run(volume: &Path, off: bool) -> Exit {
    if let Err(error) = freeze(volume, !off) {
        super::complain(format_args!(
            "{}: {error}; is this the volume of a seedcar?",
            volume.display()
        ));
        return Exit::Volume;
    }
    if off {
        println!("changes are published again, unless the fleet is frozen");
    } else {
        println!("no change is published any more; `seedcar freeze --off` ends it");
    }
    Exit::Ok
}
