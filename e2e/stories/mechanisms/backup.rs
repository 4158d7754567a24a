//! The backup volume may be read-only, missing, strange or hung: watch, heartbeat and seed go on.

use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use seedcar::model::health::Health;

use super::super::scene::{
    A_WHILE, backed_up, newest_backup, seeded, stopped, up_metric, watching,
};
use crate::consul::{Consul, Kind};
use crate::rig::{Mount, Pod, SOON, Sidecar};
use crate::wait::{eventually, throughout};

told_on_both!(
    a_read_only_backup_volume_is_shown_and_the_other_two_go_on,
    a_missing_backup_volume_is_shown_and_the_other_two_go_on,
    a_file_in_place_of_the_backup_volume_is_shown_and_the_other_two_go_on,
    without_backups_init_is_quick_and_nothing_is_written,
    a_fifo_named_like_a_backup_hangs_nobody,
    a_hung_backup_volume_delays_no_change_and_no_probe,
    init_takes_consul_although_the_backup_volume_hangs,
    init_ends_at_its_deadline_where_consul_is_dead_and_the_backup_volume_hangs,
    a_hung_backup_volume_costs_one_thread_however_often_the_seed_is_tried,
);

fn a_read_only_backup_volume_is_shown_and_the_other_two_go_on(kind: Kind) {
    let (consul, mut pod) = seeded(kind, 2, 1);
    pod.mount_backup(Mount::ReadOnly);
    the_other_two_go_on(&consul, &pod, "read_only");
}

fn a_missing_backup_volume_is_shown_and_the_other_two_go_on(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    std::fs::remove_dir(pod.backup()).expect("it was empty");
    the_other_two_go_on(&consul, &pod, "missing");
}

fn a_file_in_place_of_the_backup_volume_is_shown_and_the_other_two_go_on(kind: Kind) {
    let (consul, pod) = seeded(kind, 2, 1);
    std::fs::remove_dir(pod.backup()).expect("it was empty");
    std::fs::write(pod.backup(), "not a directory").expect("a file");
    the_other_two_go_on(&consul, &pod, "io");
}

fn the_other_two_go_on(consul: &Consul, pod: &Pod, kind: &str) {
    pod.init();
    let sidecar = watching(pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    let source = sidecar
        .until("the backup's failure is shown", |s| s.mechanisms["backup"].last_error.is_some());
    let backup = &source.mechanisms["backup"];
    let error = backup.last_error.as_ref().expect("just seen");
    assert!(!backup.up && error.kind == kind, "{error:?}");
    assert_eq!(sidecar.status().state, Health::Degraded);
    assert_eq!(up_metric(&sidecar, "backup"), Some(0.0));
    let errors = r#"seedcar_backup_writes_total{result="error",source="default"}"#;
    assert!(sidecar.metric(errors).unwrap() >= 1.0);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    sidecar.until("watch and heartbeat are well", |s| {
        s.mechanisms["watch"].up && s.mechanisms["heartbeat"].up
    });
    probes_are_good(&sidecar);
    stopped(sidecar);
}

fn without_backups_init_is_quick_and_nothing_is_written(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    let pod = Pod::new(consul.addr(), "app").arg(&["--no-backup"]);
    let begun = Instant::now();
    pod.init();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "nobody has to be waited for: {took:?}");
    let sidecar = watching(&pod, &["--heartbeat", "1s"]);
    consul.put("app/a", "2");
    sidecar.shows("a", "2");
    sidecar.until_fresh();
    assert!(!sidecar.source().mechanisms["backup"].enabled);
    assert_eq!(up_metric(&sidecar, "backup"), None);
    stopped(sidecar);
    assert_eq!(pod.backups(), Vec::<std::path::PathBuf>::new());
}

fn a_fifo_named_like_a_backup_hangs_nobody(kind: Kind) {
    let (consul, pod) = backed_up(kind, 2, 1);
    let good = newest_backup(&pod);
    // Its name differs by one letter from a good one's.
    let fifo = good.to_str().unwrap().replace(".backup", "0.backup");
    let name = std::ffi::CString::new(std::path::Path::new(&fifo).as_os_str().as_bytes());
    // SAFETY: a system call on a string that lives until it returns.
    let made = unsafe { libc::mkfifo(name.expect("no NUL").as_ptr(), 0o600) };
    assert_eq!(made, 0, "mkfifo");
    let sidecar = watching(&pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    consul.put("app/new", "1");
    sidecar.shows("new", "1");
    let index = consul.index("app/");
    sidecar
        .until("the change is backed up", |s| s.backup.as_ref().is_some_and(|b| b.index == index));
    stopped(sidecar);
    consul.kill();
    pod.wipe_volume();
    let ended = pod.init();
    assert_eq!(pod.read("new").unwrap(), b"1");
    assert_eq!(ended.events("seeded_from_backup").len(), 1);
}

fn a_hung_backup_volume_delays_no_change_and_no_probe(kind: Kind) {
    let (consul, mut pod) = seeded(kind, 2, 1);
    pod.mount_backup(Mount::Silent);
    let begun = Instant::now();
    let sidecar = watching(&pod, &["--heartbeat", "1s", "--backup-delay", "0s"]);
    probes_are_good(&sidecar);
    for round in 0..20 {
        let value = round.to_string();
        consul.put("app/new", &value);
        sidecar.shows("new", &value);
    }
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
    sidecar.until("the heartbeat is well", |s| s.mechanisms["heartbeat"].up);
    throughout("the probes are good", A_WHILE, || {
        sidecar.get("/livez").0 == 200 && sidecar.get("/readyz").0 == 200
    });
    assert_eq!(up_metric(&sidecar, "backup"), Some(0.0));
    stopped(sidecar);
}

fn init_takes_consul_although_the_backup_volume_hangs(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    let mut pod = Pod::new(consul.addr(), "app").arg(&["--seed-timeout", "6s"]);
    pod.mount_backup(Mount::Silent);
    let begun = Instant::now();
    pod.init();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "within the deadline: {took:?}");
    assert_eq!(pod.read("a").unwrap(), b"1");
}

fn init_ends_at_its_deadline_where_consul_is_dead_and_the_backup_volume_hangs(kind: Kind) {
    let consul = Consul::start(kind);
    consul.kill();
    let mut pod = Pod::new(consul.addr(), "app").arg(&["--seed-timeout", "2s"]);
    pod.mount_backup(Mount::Silent);
    let begun = Instant::now();
    let ended = pod.seedcar(&["init"]);
    let took = begun.elapsed();
    assert_eq!(ended.code(), 69, "{}", ended.err);
    assert!(ended.err.contains("the backup volume does not answer"), "{}", ended.err);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(!pod.live().join("..data").exists());
}

fn a_hung_backup_volume_costs_one_thread_however_often_the_seed_is_tried(kind: Kind) {
    let consul = Consul::start(kind);
    consul.put("app/a", "1");
    consul.kill();
    let mut pod = Pod::new(consul.addr(), "app").arg(&["--seed-timeout", "1s"]);
    pod.mount_backup(Mount::Silent);
    let sidecar = pod.run(&[]);
    let threads_after = |tries| {
        eventually("it has tried again", SOON, || {
            (sidecar.events("not_seeded").len() >= tries).then_some(())
        });
        sidecar.metric("process_threads").expect("a metric")
    };
    let few = threads_after(1);
    assert!(threads_after(4) <= few, "one more thread for each try");
    assert_eq!(sidecar.get("/livez").0, 200);
    consul.restart();
    sidecar.shows("a", "1");
    stopped(sidecar);
}

fn probes_are_good(sidecar: &Sidecar<'_>) {
    for probe in ["/livez", "/startupz", "/readyz"] {
        eventually("a probe is good", SOON, || (sidecar.get(probe).0 == 200).then_some(()));
    }
}
