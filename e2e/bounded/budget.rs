//! The memory budget of the design, and the least container.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::memory::{self, Memory};
use crate::consul::{Consul, Kind};
use crate::ledger::{Tally, share};
use crate::rig::{Pod, SOON, Sidecar};
use crate::wait::eventually;

const VALUE: usize = 1024;
/// A debug build on a busy machine takes its time.
const LONG: Duration = Duration::from_secs(180);

fn fill(consul: &Consul, keys: usize, value: usize, letter: u8) {
    let names: Vec<String> = (0..keys).map(|n| format!("app/k{n:05}")).collect();
    let value = vec![letter; value];
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_slice())).collect();
    pairs.chunks(32).for_each(|some| consul.txn_set(some));
}

fn now(sidecar: &Sidecar<'_>) -> Memory {
    memory::of(sidecar.pid() as u32)
}

/// A full read with everything changed, and another that only confirms.
fn everything_is_read_again(pod: &Pod, sidecar: &Sidecar<'_>, consul: &Consul, keys: usize) {
    let backed_up = || {
        eventually("it is backed up", LONG, || {
            let source = sidecar.source();
            let backup = source.backup.map(|backup| backup.digest);
            (backup.is_some() && backup == source.digest).then_some(())
        });
    };
    backed_up();
    fill(consul, keys, VALUE, b'b');
    eventually("the last change is there", LONG, || {
        (*pod.read(&format!("k{:05}", keys - 1))?.last()? == b'b').then_some(())
    });
    backed_up();
    let confirmed = sidecar.source().confirmed;
    eventually("it is confirmed again", LONG, || {
        (sidecar.source().confirmed != confirmed).then_some(())
    });
}

/// Anonymous memory is what seedcar takes; pages of the program come and go as the machine has room,
/// and are as many as the build is large.
#[test]
fn at_rest_and_at_the_peak() {
    let mut tally = Tally::of("bounded::budget");
    let consul = Consul::start(Kind::Embedded);
    let keys = share(2_000, 10_000) as usize;
    let payload = (keys * (VALUE + 10)) as u64 / 1024;
    fill(&consul, keys, VALUE, b'a');
    // The budget is that of one full read: where there is much to read, the heartbeat's must not fall
    // on the watch's.
    let heartbeat = format!("{}s", share(2, 40));
    let pod = Pod::new(consul.addr(), "app").arg(&["--heartbeat", &heartbeat]);
    let pod = pod.arg(&["--backup-delay", "0s"]);
    let sidecar = pod.run(&["--seed"]);
    let (peak, ()) = memory::most_of(sidecar.pid() as u32, || {
        everything_is_read_again(&pod, &sidecar, &consul, keys)
    });
    let budget = (6 << 10) + payload * 13 / 10;
    // Between two heartbeats it is at rest.
    let rest = eventually("it is at rest", SOON, || {
        let memory = now(&sidecar);
        (memory.anonymous <= budget).then_some(memory)
    });
    eprintln!("payload {payload} KiB: at rest {rest:?}, peak {peak} KiB");
    tally.check(rest.anonymous <= budget, || format!("{rest:?}"));
    let most = (8 << 10) + payload * 22 / 10;
    tally.check(peak <= most, || format!("peak {peak} KiB, budget {most}"));
    tally.finish();
}

/// A memory cgroup, version 1 or 2. Dropped, it is gone.
struct Group {
    dir: PathBuf,
    limit: &'static str,
}

impl Group {
    /// `None` on a machine that lets us make none.
    fn make() -> Option<Self> {
        let name = format!("seedcar-e2e-{}", std::process::id());
        let kinds =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        kinds.into_iter().find_map(|(root, limit)| {
            let dir = Path::new(root).join(&name);
            std::fs::create_dir(&dir).ok()?;
            let group = Self { dir, limit };
            group.dir.join(limit).exists().then_some(group)
        })
    }

    fn set(&self, file: &str, value: &str) {
        std::fs::write(self.dir.join(file), value).expect("a file of the group");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// `limits.memory` is at least `sizeLimit` and 24 MiB: with as much content as that takes, and all of
/// it changing, nobody is killed.
#[test]
fn a_container_of_the_least_size_is_not_killed() {
    let mut tally = Tally::of("bounded::budget");
    let Some(group) = Group::make() else {
        eprintln!("no memory cgroup can be made here");
        tally.case();
        return tally.finish();
    };
    let size_limit: u64 = 16 << 20;
    group.set(group.limit, &(size_limit + (24 << 20)).to_string());
    let consul = Consul::start(Kind::Embedded);
    // Two generations of it at a time are most of the volume.
    fill(&consul, 500, 8_000, b'a');
    let mut pod =
        Pod::new(consul.addr(), "app").arg(&["--heartbeat", "1s", "--backup-delay", "0s"]);
    pod.mount_volume(crate::rig::Mount::Sized16M);
    pod.join(&group.dir.join("cgroup.procs"));
    let sidecar = pod.run(&["--seed"]);
    for letter in [b'b', b'c', b'd'] {
        fill(&consul, 500, 8_000, letter);
        let file = PathBuf::from(format!("/proc/{}/root", sidecar.pid()));
        let file = file.join(pod.live().join("..data/k00499").strip_prefix("/").expect("absolute"));
        eventually("the change arrives", LONG, || {
            (*std::fs::read(&file).ok()?.last()? == letter).then_some(())
        });
        tally.case();
    }
    eprintln!("in a group of {} KiB: {:?}", (size_limit >> 10) + (24 << 10), now(&sidecar));
    sidecar.stop();
    tally.finish();
}
