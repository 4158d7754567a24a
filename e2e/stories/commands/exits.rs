//! The exit codes of `init`, each with one clear line where Kubernetes shows it.

use std::path::Path;

use tempfile::NamedTempFile;

use crate::consul::{Consul, Kind};
use crate::rig::{Ended, Pod};
use crate::stories::{seeded, watching};

told_on_both!(
    init_ends_69_when_consul_refuses_and_there_is_no_backup,
    init_ends_69_when_consul_hangs_and_there_is_no_backup,
    init_ends_69_when_the_prefix_is_empty,
    init_ends_65_when_consul_is_down_and_every_backup_is_damaged,
);

/// Runs `init` with a termination message file and checks that it says the same there and on
/// standard error: in one line, which begins with `seedcar: ` on the latter.
#[track_caller]
fn fails(pod: &Pod, args: &[&str], code: i32, says: &[&str]) -> Ended {
    let message = NamedTempFile::new().expect("a file");
    std::fs::write(
        &message,
        "what an earlier container left, much longer than a line of ours is\n".repeat(9),
    )
    .expect("write");
    let path = message.path().to_str().expect("UTF-8");
    let ended =
        pod.seedcar(&[&["init", "--seed-timeout", "1s", "--termination-log", path], args].concat());
    assert_eq!(ended.code(), code, "{}{}", ended.err, ended.log);
    assert_eq!(ended.err.lines().count(), 1, "one line: {}", ended.err);
    for words in says {
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
    }
    let left = std::fs::read_to_string(&message).expect("read");
    assert_eq!(Some(left.as_str()), ended.err.strip_prefix("seedcar: "));
    assert!(!pod.live().join("..data").exists(), "nothing is published");
    ended
}

fn init_ends_69_when_consul_refuses_and_there_is_no_backup(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    consul.kill();
    let pod = Pod::new(consul.addr(), "app");
    let says = ["source default (prefix app/)", "unreachable", "refused", "no backup"];
    fails(&pod, &[], 69, &says);
    fails(&pod, &["--no-backup"], 69, &["unreachable", "backups are off"]);
}

fn init_ends_69_when_consul_hangs_and_there_is_no_backup(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    consul.freeze();
    let pod = Pod::new(consul.addr(), "app");
    fails(&pod, &[], 69, &["unreachable", "no answer within 1s", "no backup"]);
    consul.thaw();
    pod.init();
}

fn init_ends_69_when_the_prefix_is_empty(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("other/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    fails(&pod, &[], 69, &["the prefix is empty", "--allow-empty", "no backup"]);
    let allowed = pod.seedcar(&["init", "--allow-empty"]);
    assert_eq!(allowed.code(), 0, "{}", allowed.err);
    assert!(pod.live().join("..data/..manifest.json").exists());
    assert!(pod.tree().is_empty());
}

fn init_ends_65_when_consul_is_down_and_every_backup_is_damaged(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1")]);
    let sidecar = watching(&pod, &[]);
    sidecar.until("it is backed up", |s| s.backup.is_some());
    sidecar.stop();
    consul.kill();
    pod.wipe_volume();
    for file in pod.backups() {
        flip_a_bit(&file);
    }
    fails(&pod, &[], 65, &["unreachable", "every backup is damaged", ".backup"]);
}

pub fn flip_a_bit(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a backup");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("damage it");
}

#[test]
fn init_ends_77_when_consul_does_not_know_the_token() {
    let consul = Consul::start_with_acl();
    consul.put("app/a", "1");
    let token = "0badcafe-0000-4000-8000-000000000000";
    let pod = Pod::new(consul.addr(), "app").env("CONSUL_HTTP_TOKEN", token);
    let ended = fails(&pod, &[], 77, &["denies", "403", "check the token", "no backup"]);
    assert!(!ended.err.contains(token) && !ended.log.contains(token));
}

#[test]
fn init_ends_77_when_the_token_file_cannot_be_read() {
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&["--token-file", "/no/such/token"]);
    fails(&pod, &[], 77, &["/no/such/token"]);
}

#[test]
fn init_ends_73_when_the_volume_cannot_be_used() {
    let consul = Consul::start(Kind::Embedded);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app");
    std::fs::write(pod.volume().join("live"), "in the way").expect("write");
    fails(&pod, &[], 73, &["volume"]);
    std::fs::remove_file(pod.volume().join("live")).expect("remove");
    pod.wipe_volume();
    std::fs::remove_dir(pod.volume()).expect("remove the volume");
    fails(&pod, &[], 73, &["cannot be opened", "emptyDir"]);
    std::fs::write(pod.volume(), "a file in its place").expect("write");
    fails(&pod, &[], 73, &["cannot be opened"]);
    std::fs::remove_file(pod.volume()).expect("remove");
    // Nobody, root included, makes a directory there.
    std::os::unix::fs::symlink("/proc", pod.volume()).expect("link");
    fails(&pod, &[], 73, &["make a directory of the volume"]);
    std::fs::remove_file(pod.volume()).expect("remove");
}

#[test]
fn init_ends_78_and_names_every_mistake_of_the_configuration() {
    let pod = Pod::bare();
    let message = NamedTempFile::new().expect("a file");
    let path = message.path().to_str().expect("UTF-8");
    let mistakes = ["--wait", "5", "--http", "nowhere", "--max-keys", "many"];
    let args = [&["init", "--termination-log", path], &mistakes[..]].concat();
    let ended = pod.seedcar(&args);
    assert_eq!(ended.code(), 78, "{}", ended.err);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 4, "three values and no source: {lines:#?}");
    for name in ["wait", "http", "max-keys", "prefix"] {
        assert!(lines.iter().any(|line| line.contains(name)), "{name}: {lines:#?}");
    }
    let left = std::fs::read_to_string(&message).expect("read");
    assert_eq!(left, ended.err.replace("seedcar: ", ""), "the same, for Kubernetes");
}

#[test]
fn init_ends_2_when_the_command_line_makes_no_sense() {
    let pod = Pod::bare();
    for args in [&["init", "--no-such-flag"][..], &["no-such-command"]] {
        let ended = pod.seedcar(args);
        assert_eq!(ended.code(), 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains("no-such"), "{}", ended.err);
    }
    let ended = pod.seedcar(&["init", "--prefix", "app", "--accept", "xyz"]);
    assert_eq!(ended.code(), 2, "{}", ended.err);
    assert!(ended.err.contains("not a digest"), "{}", ended.err);
}
