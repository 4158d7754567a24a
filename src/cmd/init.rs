//! `seedcar init`: fill the volume once and exit.

use crate::app::App;
use crate::config::Config;
use crate::exit::Exit;
use crate::publisher::persist::is_digest_prefix;
use crate::seed::Filled;

/// Exit 0 means that the volume is filled; nothing else does.
pub fn run(config: Config, accept: Option<&str>) -> Exit {
    if let Some(digest) = accept.filter(|digest| !is_digest_prefix(digest)) {
        super::complain(format_args!(
            "--accept {digest}: not a digest (8 to 64 hexadecimal digits)"
        ));
        return Exit::Usage;
    }
    let termination_log = config.termination_log.clone();
    let app = App::new(config, accept.map(str::to_ascii_lowercase));
    match app.init() {
        Ok(sources) => {
            for (name, filled) in sources {
                tracing::info!(event = "seeded", source = name, "{}", sentence(&filled));
            }
            Exit::Ok
        }
        Err(unseeded) => {
            super::last_words(&termination_log, &unseeded.text);
            unseeded.exit
        }
    }
}

fn sentence(filled: &Filled) -> String {
    match filled {
        Filled::Consul => "seeded from Consul".to_owned(),
        Filled::Backup(file, _) => format!("seeded from the backup {file}"),
        Filled::Kept => "Consul gave no answer to use; what is published stays".to_owned(),
    }
}
