//! File names in a backup directory. They are hints for people and for a cheap first choice; what a
//! file is worth stands in its checked header. `frame` states their form.

use std::hash::{BuildHasher as _, Hasher as _};

use jiff::Timestamp;

use super::frame::Header;

const BACKUP: &str = "seedcar-";
const BACKUP_END: &str = ".backup";
const DAMAGED_END: &str = ".backup.damaged";
const TEMPORARY: &str = ".seedcar-tmp-";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// What a name says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Backup,
    Damaged,
    Temporary,
}

/// The class of a name, or nothing when it is not one of ours.
pub(super) fn class(name: &str) -> Option<Class> {
    if name.starts_with(TEMPORARY) {
        Some(Class::Temporary)
    } else if !name.starts_with(BACKUP) {
        None
    } else if name.ends_with(BACKUP_END) {
        Some(Class::Backup)
    } else {
        name.ends_with(DAMAGED_END).then_some(Class::Damaged)
    }
}

/// True when the name claims to belong to the identity of this stem.
pub(super) fn is_of(name: &str, stem: &str) -> bool {
    let rest = name.strip_prefix(TEMPORARY).or_else(|| name.strip_prefix(BACKUP));
    rest.and_then(|rest| rest.strip_prefix(stem)).is_some_and(|rest| rest.starts_with('-'))
}

/// A new name for a backup with this header.
pub(super) fn backup(header: &Header) -> String {
    format!("{}{}{BACKUP_END}", told(header), random())
}

/// True when the name says of its file what this header says of it.
pub(super) fn fits(name: &str, header: &Header) -> bool {
    name.starts_with(&told(header))
}

/// What the name of a backup tells of its header.
fn told(header: &Header) -> String {
    let confirmed = header.confirmed.strftime(TIME);
    format!("{BACKUP}{}-{confirmed}-{}-", header.identity.stem(), header.index)
}

/// A new name for a file that is being written.
pub(super) fn temporary(stem: &str) -> String {
    format!("{TEMPORARY}{stem}-{}", random())
}

/// The name under which what there is of a backup counts as being written.
pub(super) fn unfinished(name: &str) -> String {
    match name.strip_prefix(BACKUP) {
        Some(rest) => format!("{TEMPORARY}{rest}"),
        None => name.to_owned(),
    }
}

/// When Consul confirmed the content, as the name of a backup, or of what there is of one, says it.
pub(super) fn time(name: &str) -> Option<Timestamp> {
    let rest = name.strip_prefix(TEMPORARY).or_else(|| name.strip_prefix(BACKUP))?;
    let time = jiff::civil::DateTime::strptime(TIME, rest.split('-').nth(2)?).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// The name of a backup that was set aside.
pub(super) fn damaged(name: &str) -> String {
    format!("{name}.damaged")
}

/// True when `name` is one path element, so that it cannot lead out of the directory.
pub(super) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// 64 bits that no other writer draws. The standard library's hash keys come from the system's
/// entropy, also in two replicas that started in the same instant.
fn random() -> String {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    format!("{bits:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Snapshot;
    use crate::store::Identity;

    #[test]
    fn names_say_whose_they_are() {
        let stem = Identity::of_prefix("app/").stem();
        let temp = temporary(&stem);
        assert_eq!(class(&temp), Some(Class::Temporary));
        let backup = format!("seedcar-{stem}-20261123T044341Z-7-00ff.backup");
        assert_eq!(class(&backup), Some(Class::Backup));
        assert_eq!(class(&damaged(&backup)), Some(Class::Damaged));
        for name in [&temp, &backup, &damaged(&backup)] {
            assert!(is_of(name, &stem), "{name}");
            assert!(!is_of(name, &Identity::of_prefix("app2/").stem()), "{name}");
            assert!(!is_of(name, &stem[..stem.len() - 1]), "{name}");
        }
        for other in ["", "seedcar", "lost+found", "x.backup", "seedcar-x.tmp"] {
            assert_eq!(class(other), None, "{other}");
        }
    }

    #[test]
    fn names_say_when() {
        let id = Identity { id: Some("x".into()), ..Identity::of_prefix("a-b/") };
        let confirmed = Timestamp::from_second(1_790_000_000).unwrap();
        let header = Header::new(&id, &Snapshot::empty(7), confirmed, "");
        let name = backup(&header);
        assert_eq!(time(&name), Some(confirmed));
        assert_eq!(time(&damaged(&name)), Some(confirmed));
        assert_eq!(time(&unfinished(&name)), Some(confirmed));
        assert_eq!(class(&unfinished(&name)), Some(Class::Temporary));
        assert!(is_of(&unfinished(&name), &id.stem()));
        for other in ["", "seedcar-", "seedcar-a-b-c", "x-y-20261123T044341Z", &temporary("s-t")] {
            assert_eq!(time(other), None, "{other}");
        }
    }

    #[test]
    fn no_two_names_are_the_same() {
        let mut names: Vec<_> = (0..1000).map(|_| temporary("s")).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }
}
