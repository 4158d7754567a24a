//! A virtual machine: power cuts, sticky directories, cgroup v2.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
