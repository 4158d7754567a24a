//! What each command does, and how it ends.

mod asking;
mod backups;
mod exits;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::content::volume::{current, generations};
use super::{measured, seeded};
use crate::consul::{Consul, Kind};
use crate::rig::Pod;

told_on_both!(init_may_be_run_again, a_kill_at_any_moment_of_init_leaves_the_old_or_the_new,);

fn init_may_be_run_again(kind: Kind) {
    let (consul, pod) = seeded(kind, &[("app/a", "1"), ("app/b", "2")]);
    let (generation, tree) = (current(&pod), pod.tree());
    for _ in 0..3 {
        let again = pod.init();
        assert_eq!(again.events("published").len(), 0, "{}", again.log);
        assert_eq!((current(&pod), pod.tree()), (generation.clone(), tree.clone()));
    }
    consul.put("app/a", "3");
    pod.init();
    assert_ne!(current(&pod), generation);
    assert_eq!(pod.read("a").unwrap(), b"3");
    consul.kill();
    let kept = pod.init();
    assert_eq!(
        kept.events("seeded")[0]["msg"],
        "Consul gave no answer to use; what is published stays"
    );
    assert_eq!(pod.read("a").unwrap(), b"3");
}

/// The paths and contents of one state, two hundred files in ten directories.
fn state(n: usize) -> BTreeMap<String, Vec<u8>> {
    let file = |k: usize| (format!("{}/{k:03}", k % 10), format!("{n} of {k}").into_bytes());
    let directories = (0..10).map(|d| (format!("{d}/"), Vec::new()));
    (0..200).map(file).chain(directories).collect()
}

fn store(consul: &Consul, n: usize) {
    let state = state(n);
    let files = state.iter().filter(|(path, _)| !path.ends_with('/'));
    let keys: Vec<(String, &[u8])> =
        files.map(|(path, value)| (format!("app/{path}"), value.as_slice())).collect();
    let pairs: Vec<(&str, &[u8])> =
        keys.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    consul.txn_set(&pairs);
}

fn a_kill_at_any_moment_of_init_leaves_the_old_or_the_new(kind: Kind) {
    const KILLS: usize = 30;
    let consul = Consul::start(kind);
    let pod = Pod::new(consul.addr(), "app");
    store(&consul, 0);
    let timed_init = || {
        let begun = Instant::now();
        pod.init();
        begun.elapsed()
    };
    let mut takes = timed_init();
    let (mut killed, mut with_new) = (0, 0);
    for n in 1..=KILLS {
        if n % 3 == 0 {
            pod.wipe_volume();
        }
        let before = pod.tree();
        store(&consul, n);
        killed += usize::from(kill_init(&pod, takes.mul_f64(1.2 * fastrand::f64())));
        let after = pod.tree();
        with_new += usize::from(after == state(n));
        assert!(after == before || after == state(n), "half made: {:?}", after.keys());
        // How long it takes depends on who else is busy: the last one is the best guess.
        takes = timed_init();
        assert_eq!(pod.tree(), state(n));
        assert_tidy(&pod);
    }
    measured(&format!(
        "{killed} of {KILLS} inits killed on the way, {kind:?}; {with_new} times the new state was there"
    ));
    assert!(killed >= KILLS / 6, "only {killed} were still running");
}

/// Kills `init` this long after its start. False if it was done by then.
fn kill_init(pod: &Pod, after: Duration) -> bool {
    let mut command = pod.command(&["init"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut init = command.spawn().expect("start init");
    // A random moment is what is wanted; nothing is waited for.
    std::thread::sleep(after);
    init.kill().expect("kill init");
    let status = init.wait().expect("wait for init");
    status.signal() == Some(libc::SIGKILL)
}

/// No generation of a killed `init`, and no temporary name.
fn assert_tidy(pod: &Pod) {
    // Young ones are kept for their readers, until three newer ones are there.
    let (found, current) = (generations(pod), current(pod));
    assert!(found.len() <= 3 && found.contains(&current), "{found:?}");
    let entries = std::fs::read_dir(pod.live()).expect("live");
    let mut names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    assert_eq!(names.find(|name| name.ends_with("_tmp")), None);
}
