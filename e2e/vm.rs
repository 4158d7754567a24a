//! A virtual machine: power cuts, sticky directories, cgroup v2. What this machine's own kernel cannot
//! show, or must not be made to: qemu in software boots Debian's kernel for clouds with the static
//! seedcar and busybox. Consul runs on the host.

mod machine;
mod memory;
mod power;
mod sticky;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P1",
        test: "vm::sticky::readers_of_another_uid_follow_our_links",
        shows: "uid 65532 writes, uid 1000 and root read, with `fs.protected_symlinks=1` on a 1777 volume",
        mutants: &["volume-takes-strangers-directory"],
    },
    Proof {
        promise: "P6",
        test: "vm::power::what_was_acknowledged_survives_a_cut",
        shows: "a machine loses its power while it writes backups to ext4, and boots again",
        mutants: &["store-forgets-file-sync", "store-forgets-directory-sync"],
    },
    Proof {
        promise: "P10",
        test: "vm::memory::the_documented_limit_is_enough",
        shows: "cgroup v2 with the README's limit, on a volume that gets full: nothing is killed",
        mutants: &["publisher-forgets-nothing"],
    },
];
