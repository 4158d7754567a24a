//! A real cluster of three Consul servers with ACLs.

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[];
