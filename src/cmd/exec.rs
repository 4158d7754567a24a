//! `seedcar exec`: start an application and tell it of changes.

use crate::cli::Exec;
use crate::config::Config;
use crate::exec::{self, Setup};
use crate::log;
use crate::model::application::is_name;
use crate::model::debounce::Rules;

/// The application's exit code, or why it was not started: 75 where the volume is not filled in time, 126
/// and 127 where there is no such program.
pub fn run(config: &Config, exec: &Exec) -> u8 {
    log::install_on_stderr(&config.log);
    let name = exec.name.clone().or_else(|| Some(exec::name_of(&exec.command)));
    let name = name.filter(|name| is_name(name)).unwrap_or_else(|| "app".to_owned());
    exec::run(Setup {
        volume: config.volume.clone(),
        command: exec.command.clone(),
        on_change: exec.on_change,
        only: exec.only.clone(),
        debounce: Rules { quiet: exec.debounce.into(), most: exec.debounce_max.into() },
        splay: exec.splay.into(),
        stop_signal: exec.stop_signal,
        stop_timeout: exec.stop_timeout.into(),
        timeout: exec.timeout.into(),
        report: config.exec_dir.clone().map(|directory| (directory, name)),
    })
}
