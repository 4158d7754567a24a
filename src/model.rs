//! The pure core: values and decisions, without I/O and without a clock of its own.
//!
//! Everything here takes what it needs as arguments, the time included, so that a test or a
//! simulation can drive it. Nothing here may import anything outside `model`.

pub mod application;
pub mod changed;
pub mod confirmation;
pub mod cursor;
pub mod debounce;
pub mod encoding;
pub mod follow;
pub mod format;
pub mod freeze;
pub mod full_read;
pub mod guard;
pub mod health;
pub mod keeping;
pub mod key;
pub mod layout;
pub mod moment;
pub mod names;
pub mod naming;
pub mod offer;
pub mod output;
pub mod pace;
pub mod parts;
pub mod percent;
pub mod plan;
pub mod reading;
pub mod reads;
pub mod renewal;
pub mod selection;
pub mod service;
pub mod snapshot;
pub mod validation;
