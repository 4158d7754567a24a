//! The whole of seedcar on a virtual clock, with seeded faults.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
