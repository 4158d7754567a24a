//! Faults between seedcar and a real Consul.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
