//! seedcar keeps an application's Consul configuration in memory-backed files.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod cli;
pub mod cmd;
pub mod config;
pub mod demo;
pub mod exit;
pub mod model;
pub mod units;
