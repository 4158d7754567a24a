//! `seedcar wait`: block until the volume is filled.

use std::path::Path;
use std::time::Duration;

use crate::exit::Exit;
use crate::{published, sys};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Exit 0 once `..data` leads to a complete generation, 75 at the time-out. It looks at the
/// volume alone: the sidecar need not run, and the application's container need not reach it.
pub fn run(volume: &Path, timeout: Duration) -> Exit {
    let until = sys::now() + timeout;
    while !published::is_filled(volume) {
        if sys::now() >= until {
            let (volume, timeout) = (volume.display(), timeout.as_secs_f64());
            super::complain(format_args!("{volume} was not filled within {timeout} s"));
            return Exit::NotMet;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Exit::Ok
}
