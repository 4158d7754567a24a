//! seedcar keeps an application's Consul configuration in memory-backed files.

pub mod demo;
