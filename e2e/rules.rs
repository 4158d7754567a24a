//! The rules of a correct Consul client, a test each.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
