//! Backups: damage, sharing, power cuts.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
