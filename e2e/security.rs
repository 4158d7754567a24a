//! Secrets, TLS, hostile neighbours.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
