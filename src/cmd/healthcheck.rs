//! `seedcar healthcheck`: an exec probe for an image without a shell.

use crate::exit::Exit;
use crate::local;

/// Exit 0 while the running seedcar is alive, else 75.
pub fn run(url: &str) -> Exit {
    match local::get(url, "/livez") {
        Ok((200, _)) => Exit::Ok,
        Ok((code, body)) => {
            super::complain(format_args!("{url}/livez answered {code}: {}", body.trim()));
            Exit::NotMet
        }
        Err(error) => {
            super::complain(format_args!("{url}/livez: {error}"));
            Exit::NotMet
        }
    }
}
