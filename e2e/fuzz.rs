//! Hostile input to every parser.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
