//! `seedcar run`: keep the volume fresh until told to stop.

use crate::app::App;
use crate::config::Config;
use crate::exit::Exit;

/// Never ends because of Consul. On a volume that nobody filled it fills it first, whether `--seed`
/// was given or not, and keeps trying.
pub fn run(config: Config) -> Exit {
    let (http, termination_log) = (config.http, config.termination_log.clone());
    let bound = match App::new(config, None).bind() {
        Ok(bound) => bound,
        Err(error) => {
            let text = format!("cannot serve on {http}: {error}; choose another with --http");
            super::last_words(&termination_log, &text);
            return Exit::Internal;
        }
    };
    match bound.run() {
        Ok(()) => Exit::Ok,
        Err(error) => {
            super::last_words(&termination_log, &error.to_string());
            Exit::Internal
        }
    }
}
