//! `seedcar init`: fill the volume once and exit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::app::App;
use crate::config::Config;
use crate::exec::program;
use crate::exit::Exit;
use crate::publisher::persist::is_digest_prefix;
use crate::seed::Filled;

/// Exit 0 means that the volume is filled, and the program for `seedcar exec` put where it was asked for;
/// nothing else does.
pub fn run(config: Config, accept: Option<&str>) -> Exit {
    if let Some(digest) = accept.filter(|digest| !is_digest_prefix(digest)) {
        super::complain(format_args!(
            "--accept {digest}: not a digest (8 to 64 hexadecimal digits)"
        ));
        return Exit::Usage;
    }
    let (termination_log, exec_dir) = (config.termination_log.clone(), config.exec_dir.clone());
    let patience = config.seed_timeout;
    let app = App::new(config, accept.map(str::to_ascii_lowercase));
    match app.init() {
        Ok(sources) => {
            for (name, filled) in sources {
                tracing::info!(event = "seeded", source = name, "{}", sentence(&filled));
            }
            exec_dir.map_or(Exit::Ok, |directory| installed(directory, patience, &termination_log))
        }
        Err(unseeded) => {
            super::last_words(&termination_log, &unseeded.text);
            unseeded.exit
        }
    }
}

/// Without the program the application's container could not start: it is told here why.
fn installed(directory: PathBuf, patience: Duration, termination_log: &Path) -> Exit {
    let shown = directory.display().to_string();
    match install(directory, patience) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            let text = format!("cannot put the program into --exec-dir {shown}: {error}");
            super::last_words(termination_log, &text);
            Exit::Volume
        }
    }
}

/// On a thread that is left behind where the disk hangs: init ends in any case.
fn install(directory: PathBuf, patience: Duration) -> io::Result<()> {
    let (done, told) = mpsc::channel();
    let work = move || {
        let _ = done.send(program::install(&directory));
    };
    thread::Builder::new().name("install".to_owned()).spawn(work)?;
    let hangs = |_| Err(io::Error::other("it does not answer"));
    told.recv_timeout(patience).unwrap_or_else(hangs)
}

fn sentence(filled: &Filled) -> String {
    match filled {
        Filled::Consul => "seeded from Consul".to_owned(),
        Filled::Backup(file, _) => format!("seeded from the backup {file}"),
        Filled::Nothing => {
            "starts without it: Consul gave no answer to use, and it is not required".to_owned()
        }
        Filled::Kept => "Consul gave no answer to use; what is published stays".to_owned(),
    }
}
