//! Incidents known elsewhere, each with the test that would have caught it.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
