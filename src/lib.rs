//! seedcar keeps an application's Consul configuration in memory-backed files.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod demo;
pub mod model;
pub mod store;
