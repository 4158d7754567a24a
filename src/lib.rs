//! seedcar keeps an application's Consul configuration in memory-backed files.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod admin;
pub mod app;
pub mod board;
pub mod cli;
pub mod cmd;
pub mod config;
pub mod consul;
pub mod demo;
pub mod exit;
pub mod heartbeat;
pub mod keeper;
pub mod local;
pub mod log;
pub mod metrics;
pub mod model;
pub mod publisher;
pub mod seed;
pub mod shutdown;
pub mod slot;
pub mod status;
pub mod store;
pub mod supervise;
pub mod sync;
pub mod sys;
pub mod units;
pub mod watch;
