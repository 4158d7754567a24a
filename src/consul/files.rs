//! Noticing that a token or certificate file was replaced.
//!
//! Each request reads them anew anyway; this only ends the wait of a mechanism that has been denied,
//! so that a new token counts at once and not after the back-off.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::tls::{File, Stamp, stat};
use crate::config::{Config, Token};

/// Watches as long as it lives.
pub struct Watching {
    _watcher: RecommendedWatcher,
}

/// Rings `pokes` whenever one of the files has changed, and `login` also when the JWT has with which that
/// is done: a token that was made with the one before is good for longer. `None` where there are no
/// files, or where they cannot be watched: then the next request reads them.
pub fn watch(config: &Config, pokes: Vec<Arc<Notify>>, login: Arc<Notify>) -> Option<Watching> {
    let config = config.clone();
    let directories = directories(&config);
    if directories.is_empty() {
        return None;
    }
    let last = Mutex::new(look(&config));
    let changed = move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and each request reads them.
        if event.is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        let now = look(&config);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever does not wait has no need of it: kept for later, it would cut a pause short.
        if last.login != now.login {
            login.notify_waiters();
        }
        let news = last.asked != now.asked;
        *last = now;
        if news {
            tracing::info!(
                event = "credentials_changed",
                "a token or certificate file has changed"
            );
            pokes.iter().for_each(|poke| poke.notify_one());
            login.notify_waiters();
        }
    };
    let watching = notify::recommended_watcher(changed).and_then(|mut watcher| {
        for directory in &directories {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(Watching { _watcher: watcher })
    });
    watching
        .inspect_err(|error| {
            tracing::warn!(event = "cannot_watch_files", %error,
                "changed credentials are noticed at the next request only");
        })
        .ok()
}

/// What the files look like.
#[derive(PartialEq)]
struct Look {
    /// Those that each question needs.
    asked: (Option<File>, Stamp),
    /// The JWT.
    login: Option<File>,
}

fn look(config: &Config) -> Look {
    let (token, login) = match &config.token {
        Token::File(path) => (stat(path), None),
        Token::Login(login) => (None, stat(&login.token_file)),
        Token::None | Token::Env(_) => (None, None),
    };
    Look { asked: (token, Stamp::of(&config.consul)), login }
}

/// The directories, not the files: Kubernetes replaces a link beside them.
fn directories(config: &Config) -> BTreeSet<PathBuf> {
    let tls = &config.consul.tls;
    let token = match &config.token {
        Token::File(path) => Some(path),
        Token::Login(login) => Some(&login.token_file),
        Token::None | Token::Env(_) => None,
    };
    let client = tls.client.iter().flat_map(|c| [&c.cert, &c.key]);
    let files = token.into_iter().chain(&tls.ca_file).chain(client);
    let parents = files.filter_map(|file| file.parent()).map(|parent| match parent {
        here if here.as_os_str().is_empty() => Path::new("."),
        other => other,
    });
    parents.map(Path::to_owned).chain(tls.ca_path.clone()).collect()
}
