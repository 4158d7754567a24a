//! What must hold for any input. Each oracle takes bytes, does with them what seedcar does with the
//! input of that kind, and panics where a promise is broken. The fuzz targets (`targets/`) and the
//! property tests (`properties.rs`) share them: this file is the library of the one and a module of
//! the other.

#[path = "oracles/admin.rs"]
pub mod admin;
#[path = "oracles/backup.rs"]
pub mod backup;
#[path = "oracles/config.rs"]
pub mod config;
#[path = "oracles/convert.rs"]
pub mod convert;
#[path = "oracles/keys.rs"]
pub mod keys;
#[path = "oracles/wire.rs"]
pub mod wire;

/// An oracle.
pub type Oracle = fn(&[u8]);

/// All of them, by the names of their targets and corpora.
pub const ALL: [(&str, Oracle); 6] = [
    ("admin", admin::check),
    ("backup", backup::check),
    ("config", config::check),
    ("convert", convert::check),
    ("keys", keys::check),
    ("wire", wire::check),
];

/// Between the parts of an input that is more than one text: no UTF-8 has it.
pub const SEPARATOR: u8 = 0xFF;

/// The parts of an input as texts.
pub(crate) fn texts(data: &[u8]) -> Vec<String> {
    data.split(|b| *b == SEPARATOR).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}
