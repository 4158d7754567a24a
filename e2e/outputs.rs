//! Outputs beside the tree: what other languages read of them, and that all of them are one generation.

mod foreign;
mod hostile;
mod published;
