//! Bounded: memory, descriptors, disk.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
