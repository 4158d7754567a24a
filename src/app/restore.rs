//! Publishing a chosen backup.

use std::sync::Arc;

use super::App;
use crate::config::Config;
use crate::exit::Exit;
use crate::model::offer::{Content, Offer};
use crate::model::output::{Form, Instances, Listing, Output};
use crate::model::reads::Reads;
use crate::publisher::Publisher;
use crate::seed::Unseeded;
use crate::store::{Backup, Store};
use crate::supervise::Pulse;
use crate::{config, sys};

/// Publishes a backup to the configured volume, which no other seedcar may hold. Sources beside the
/// one that the backup is of are filled from their newest backups; without configured sources the
/// backup's own prefix or service is the one there is.
pub fn restore(config: &Config, store: &Store, backup: Backup) -> Result<(), Unseeded> {
    let refuse = |exit, text| Err(Unseeded { exit, text });
    let mut config = config.clone();
    if config.sources.is_empty() {
        let Some(reads) = Reads::of_prefix(&backup.header.identity.prefix) else {
            return refuse(Exit::BackupDamaged, "the backup's prefix is not one".to_owned());
        };
        config.outputs.iter_mut().for_each(|output| output.layers = vec![0]);
        if reads.service().is_some() {
            let (path, listing) = ("default.json".to_owned(), Listing::Json);
            let file = Instances { path, listing, max_bytes: u64::MAX };
            config.outputs = vec![Output::of(vec![0], Form::Instances(file))];
        }
        let name = "default".to_owned();
        config.sources = vec![config::Source { name, reads, required: true, atomic: false }];
    }
    let app = App::new(config, None);
    let setup = app.keeper_setup().expect("the backup came from a configured volume");
    let mut chosen = Some(backup);
    for (at, (name, identity)) in setup.sources.iter().enumerate() {
        let own = chosen.take_if(|b| b.header.identity.prefix == identity.prefix);
        let newest = || store.newest(identity).ok()?.best;
        let Some(backup) = own.or_else(newest) else {
            let text =
                format!("source {name}: there is no backup of it; all sources make one tree");
            return refuse(Exit::NothingToSeedFrom, text);
        };
        let confirmed = backup.header.confirmed.as_second();
        let content = Content::from_backup(Arc::new(backup.snapshot), confirmed, sys::now());
        app.inbox.put(at, Offer { content: Some(content), hold: Some(None) });
    }
    if chosen.is_some() {
        return refuse(Exit::Usage, "the backup is of none of the configured sources".to_owned());
    }
    app.inbox.slots.close();
    let setup = app.publisher_setup();
    let opened = Publisher::open(setup, app.board.clone(), app.metrics.clone());
    let publisher =
        opened.map_err(|error| Unseeded { exit: Exit::Volume, text: error.to_string() })?;
    publisher.run(&app.inbox, &Pulse::default());
    match app.board.read(|state| state.volume_error.clone()) {
        Some(error) => refuse(Exit::Volume, error.text),
        None => Ok(()),
    }
}
