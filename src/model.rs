//! The pure core: values and decisions, without I/O and without a clock of its own.
//!
//! Everything here takes what it needs as arguments, the time included, so that a test or a
//! simulation can drive it. Nothing here may import anything outside `model`.

pub mod key;
pub mod snapshot;
