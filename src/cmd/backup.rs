//! `seedcar backup`: list, check and use backups.

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::restore;
use crate::cli::{BackupAction, Form};
use crate::config::{Config, Source};
use crate::exit::Exit;
use crate::model::service::Service;
use crate::store::export::export;
use crate::store::frame::Header;
use crate::store::{Access, Backup, Identity, Limits, Listed, State, Store};

/// Does what `action` says.
pub fn run(config: Config, action: &BackupAction, out: &mut impl Write) -> Exit {
    let Some(backup) = &config.backup else {
        super::complain(format_args!("backups are off; leave out --no-backup"));
        return Exit::Usage;
    };
    let store = match Store::open_place(&backup.place, Access::Read, limits(&config)) {
        Ok(store) => store,
        Err(error) => {
            super::complain(format_args!("{error}"));
            return Exit::NothingToSeedFrom;
        }
    };
    let done = match action {
        BackupAction::Ls { output } => list(&store, output.form, out),
        BackupAction::Show { name, output } => show(&store, name, output.form, out),
        BackupAction::Verify { output } => verify(&store, output.form, out),
        BackupAction::Export { name } => print_export(&config, &store, name.as_deref(), out),
        BackupAction::Restore { name, to } => Ok(restore_one(config, &store, name, to.clone())),
    };
    unread(&store);
    done.unwrap_or_else(|error| {
        super::complain(format_args!("{error}"));
        Exit::Internal
    })
}

/// Says what could not be looked at: what is there is not all of it.
fn unread(store: &Store) {
    if let Some(error) = store.unread() {
        super::complain(format_args!("{error}"));
    }
}

/// The limits for looking at a backup are wide: it is wanted when it is wanted.
fn limits(config: &Config) -> Limits {
    let guards = &config.guards;
    Limits {
        max_bytes: guards.max_bytes.saturating_mul(16),
        max_keys: (guards.max_keys as u64).saturating_mul(16),
    }
}

fn list(store: &Store, output: Form, out: &mut impl Write) -> io::Result<Exit> {
    let listed = store.list(None).map_err(io::Error::other)?;
    match output {
        Form::Json => {
            let rows: Vec<Value> = listed.iter().map(row).collect();
            super::print_json(&rows, out)?;
        }
        Form::Table => listed.iter().try_for_each(|l| writeln!(out, "{}", line(l)))?,
    }
    Ok(Exit::Ok)
}

/// Exit 65 if any file is damaged, or cannot be looked at.
fn verify(store: &Store, output: Form, out: &mut impl Write) -> io::Result<Exit> {
    let code = list(store, output, out)?;
    let listed = store.list(None).map_err(io::Error::other)?;
    let damaged = |l: &Listed| matches!(l.state, State::Refused(_));
    let sound = !listed.iter().any(damaged) && store.unread().is_none();
    Ok(if sound { code } else { Exit::BackupDamaged })
}

fn line(listed: &Listed) -> String {
    let name = &listed.name;
    match &listed.state {
        State::Valid(h) | State::Foreign(h) => format!(
            "{name}\n  valid, prefix {}, confirmed {}, index {}, {} keys, {} bytes, digest {}, by {}",
            h.identity.prefix,
            h.confirmed,
            h.index,
            h.keys,
            h.bytes,
            h.digest.short(),
            h.writer
        ),
        State::Refused(why) => format!("{name}\n  DAMAGED: {why}"),
        State::SetAside => format!("{name}\n  damaged, set aside"),
        State::Temporary => format!("{name}\n  being written, or left over"),
    }
}

fn row(listed: &Listed) -> Value {
    let (name, size) = (&listed.name, listed.size);
    match &listed.state {
        State::Valid(header) | State::Foreign(header) => {
            json!({"name": name, "size": size, "state": "valid", "header": header})
        }
        State::Refused(why) => {
            json!({"name": name, "size": size, "state": "damaged", "reason": why.to_string()})
        }
        State::SetAside => json!({"name": name, "size": size, "state": "set_aside"}),
        State::Temporary => json!({"name": name, "size": size, "state": "temporary"}),
    }
}

/// Keys with their sizes and flags, never a value.
fn show(store: &Store, name: &str, output: Form, out: &mut impl Write) -> io::Result<Exit> {
    let backup = match store.read(name) {
        Ok(backup) => backup,
        Err(why) => return refused(name, &why),
    };
    let entries = backup.snapshot.entries();
    match output {
        Form::Json => {
            let keys: Vec<Value> = entries
                .iter()
                .map(|e| json!({"key": e.key, "bytes": e.value.len(), "flags": e.flags}))
                .collect();
            let shown = json!({"name": name, "header": backup.header, "keys": keys});
            super::print_json(&shown, out)?;
        }
        Form::Table => {
            let Header { identity, confirmed, index, .. } = &backup.header;
            writeln!(out, "prefix {}, confirmed {confirmed}, index {index}", identity.prefix)?;
            for entry in entries {
                writeln!(out, "{:>9} B  {}", entry.value.len(), entry.key.escape_debug())?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn print_export(
    config: &Config,
    store: &Store,
    name: Option<&str>,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let backup = match name {
        Some(name) => match store.read(name) {
            Ok(backup) => backup,
            Err(why) => return refused(name, &why),
        },
        None => match newest(config, store)? {
            Some(backup) => backup,
            None => {
                super::complain(format_args!("no valid backup; name one of `seedcar backup ls`"));
                return Ok(Exit::NothingToSeedFrom);
            }
        },
    };
    if let Some(service) = service_of(&backup.header.identity) {
        let why = "its instances register themselves, and `consul kv import` takes keys";
        super::complain(format_args!("the backup is of {service}: {why}"));
        return Ok(Exit::Usage);
    }
    export(&backup.snapshot, &mut *out)?;
    Ok(Exit::Ok)
}

fn service_of(identity: &Identity) -> Option<Service> {
    Service::of_prefix(&identity.prefix)
}

/// The newest valid one: of the configured source, or of whoever there is. None of a service, which is
/// nothing that Consul could take back.
fn newest(config: &Config, store: &Store) -> io::Result<Option<Backup>> {
    let listed = store.list(None).map_err(io::Error::other)?;
    for source in config.sources.iter().filter(|source| source.reads.service().is_some()) {
        let (name, service) = (&source.name, &source.reads);
        super::complain(format_args!("source {name} ({service}) has no keys: it is left out"));
    }
    let wanted = |identity: &Identity| {
        let of = |s: &Source| s.reads.prefix().as_str() == identity.prefix;
        service_of(identity).is_none()
            && (config.sources.is_empty() || config.sources.iter().any(of))
    };
    let name = listed.iter().find_map(|l| match &l.state {
        State::Valid(h) if wanted(&h.identity) => Some(&l.name),
        _ => None,
    });
    Ok(name.and_then(|name| store.read(name).ok()))
}

fn restore_one(mut config: Config, store: &Store, name: &str, to: Option<PathBuf>) -> Exit {
    let backup = match store.read(name) {
        Ok(backup) => backup,
        Err(why) => return refused(name, &why).unwrap_or(Exit::BackupDamaged),
    };
    config.volume = to.unwrap_or(config.volume);
    match restore(&config, store, backup) {
        Ok(()) => {
            let _ = writeln!(io::stdout(), "restored {name} to {}", config.volume.display());
            Exit::Ok
        }
        Err(unseeded) => {
            super::complain(format_args!("{}", unseeded.text));
            unseeded.exit
        }
    }
}

fn refused(name: &str, why: &dyn std::fmt::Display) -> io::Result<Exit> {
    super::complain(format_args!("{name}: {why}"));
    Ok(Exit::BackupDamaged)
}
