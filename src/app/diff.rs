//! What would change if what Consul holds now were published.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use futures_util::future::try_join_all;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::Serialize;

use super::{App, FAREWELL, await_end};
use crate::config::Config;
use crate::consul::error::{Error, Kind as Trouble};
use crate::model::confirmation::Mechanism;
use crate::model::plan::{File, Part, Plan};
use crate::model::reading::Mode as Consistency;
use crate::model::snapshot::Snapshot;
use crate::published;
use crate::publisher::audit;
use crate::supervise::on_runtime;

/// What would become of everything. Names only, never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// By path.
    pub files: Vec<Change>,
    /// The keys that would be missing from an output: source, key, reason.
    pub skipped: Vec<(String, String, &'static str)>,
    /// Why all of it would be held, if it would by what can be checked here.
    pub invalid: Option<String>,
}

/// What would become of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its path below `live/`.
    pub path: String,
    /// What happens to it.
    pub change: Kind,
    /// The source that it comes from; none of a file that is made of several keys, or is gone.
    pub source: Option<String>,
    /// The sources whose key of this name it hides.
    pub over: Vec<String>,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It has another content or mode.
    Updated,
    /// It goes.
    Removed,
    /// Nothing.
    Same,
}

type OnDisk = BTreeMap<String, ([u8; 32], u32)>;

/// Asks Consul once for each source, and looks at the volume. A volume without a generation is empty.
pub fn diff(config: Config) -> Result<Diff, Error> {
    let app = App::new(config, None);
    let failed = |error: std::io::Error| Error::new(Trouble::Connect, error.to_string());
    let login = app.start_login().map_err(failed)?;
    let snapshots = on_runtime(app.read_all()).map_err(failed).flatten();
    // What logged in logs out.
    app.stop();
    await_end(&Vec::from_iter(login), FAREWELL);
    let snapshots = snapshots?;
    let sources = app.config.sources.iter().zip(&snapshots);
    let parts: Vec<Part<'_>> = sources.map(|(source, s)| (source.reads.prefix(), &**s)).collect();
    let plan = Plan::make(&app.config.outputs, &parts);
    Ok(app.compare(&plan, &app.on_disk()?))
}

impl App {
    async fn read_all(&self) -> Result<Vec<Arc<Snapshot>>, Error> {
        let clients: Vec<_> = self
            .sources
            .iter()
            .map(|source| (source, self.client(Mechanism::Seed.word())))
            .collect();
        let lists = clients.iter().map(|(source, client)| async {
            let listed = source.list(client, Consistency::Default, None).await?;
            Ok(listed.reading.snapshot)
        });
        try_join_all(lists).await
    }

    fn on_disk(&self) -> Result<OnDisk, Error> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Error::new(Trouble::Connect, format!("what is published cannot be read: {why}"))
        };
        let data = published::home(&self.config.volume).join("..data/");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, data, flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(OnDisk::new()),
            Err(error) => Err(unreadable(&error)),
            Ok(root) => audit::contents(root.as_fd()).map_err(|damage| unreadable(&damage)),
        }
    }

    fn compare(&self, plan: &Plan, on_disk: &OnDisk) -> Diff {
        let name = |source: usize| self.config.sources[source].name.clone();
        let mut over: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
        for hidden in &plan.overridden {
            let below = self.config.sources[hidden.source].reads.prefix().below(&hidden.entry.key);
            over.entry((hidden.by, below)).or_default().push(name(hidden.source));
        }
        let there = plan.files.iter().map(|file| {
            let key = file.source.zip(file.key()).map(|(source, key)| {
                (source, self.config.sources[source].reads.prefix().below(key))
            });
            Change {
                path: file.path().to_owned(),
                change: kind(file, on_disk),
                source: file.source.map(name),
                over: key.and_then(|key| over.get(&key)).cloned().unwrap_or_default(),
            }
        });
        let gone = on_disk.keys().filter(|path| plan.get(path).is_none()).map(|path| Change {
            path: path.clone(),
            change: Kind::Removed,
            source: None,
            over: Vec::new(),
        });
        let mut files: Vec<_> = there.chain(gone).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let skipped = plan.skipped.iter();
        let skipped = skipped.map(|s| (name(s.source), s.entry.key.to_string(), s.why.word()));
        let rules = self.config.validate.as_ref().map(|validate| &validate.rules);
        let invalid = rules.and_then(|rules| rules.check(plan).err()).map(|invalid| invalid.0);
        let too_large = plan.too_large.as_ref().map(ToString::to_string);
        Diff { files, skipped: skipped.collect(), invalid: too_large.or(invalid) }
    }
}

fn kind(file: &File, on_disk: &OnDisk) -> Kind {
    match on_disk.get(file.path()) {
        None => Kind::Added,
        Some((hash, mode)) if hash == file.value_hash() && *mode == file.mode => Kind::Same,
        Some(_) => Kind::Updated,
    }
}
