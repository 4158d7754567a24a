//! Readers of every kind beside a writer that is killed.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
