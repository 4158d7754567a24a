//! seedcar keeps an application's Consul configuration in memory-backed files.
//!
//! # The walk of one change
//!
//! 1. [`watch`] has put a question to Consul; [`model::follow`] chose it. [`consul`] decodes the answer
//!    while it arrives ([`consul::wire`]) into a [`model::snapshot::Snapshot`] that shares every
//!    unchanged entry with the one before. What the answer means is decided in [`watch::round`].
//! 2. [`sync`] has [`model::guard`] judge it: accept, hold, or ask Consul once more. What is accepted
//!    goes as a [`model::offer::Offer`] into the source's slot of the publisher ([`slot`]). That is the
//!    last thing the watch knows of it.
//! 3. [`publisher`] takes it ([`publisher::pending`] says when it is due), lets [`model::plan`] lay the
//!    layers over each other, and makes a generation aside ([`publisher::generation`]). One rename of `..data`: the application's next
//!    open reads the new value. ([`publisher::plain`] is for applications that cannot take links.)
//! 4. The publisher writes on the [`board`] what is published and confirmed. [`keeper`] reads it there
//!    and, when [`model::keeping`] says so, writes a backup ([`store`]); [`status`], [`metrics`] and
//!    [`admin`] show it; `.seedcar/status.json` tells applications ([`publisher::persist`]).
//! 5. In another container [`exec`] sees the rename and tells the application that it has started; what it
//!    writes down of that, [`applications`] reads for status and metrics.
//! 6. Some minutes later [`heartbeat`] reads everything with a client of its own, and takes the same
//!    way; normally it only confirms. It has the publisher audit the files, too.
//! 7. Another day Consul is down and the pod is new: [`seed`] asks Consul for its share of the deadline,
//!    then takes the newest valid backup, through the same slot and the same publisher.
//!
//! # What holds it together
//!
//! * [`app`] alone knows all parts. Each mechanism has a thread and a client of its own; publisher and
//!   keeper are plain threads, each the only owner of its volume. A thread that panics is started
//!   again ([`supervise`]).
//! * Where a login to Consul takes the place of a token, one thread owns it ([`consul::login`]) and all
//!   clients read its token from one slot ([`consul::session`]).
//! * Mechanisms never import each other. A module imports only lower layers; a test holds that by
//!   path (`e2e/layers.rs`).
//! * [`model`] is pure: no I/O and no clock of its own, so that every decision can be driven by a test.
//!   The steps around it take the time as an argument too; a simulation plays hours of faults on them.
//! * "No keys" and "no answer" are different types, and nothing deletes on an error.
//! * Values and tokens are in no log line, metric, error or status.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod admin;
pub mod app;
pub mod applications;
pub mod board;
pub mod cli;
pub mod cmd;
pub mod config;
pub mod consul;
pub mod control;
pub mod demo;
pub mod events;
pub mod exec;
pub mod exit;
pub mod heartbeat;
pub mod hook;
pub mod keeper;
pub mod kubernetes;
pub mod local;
pub mod log;
pub mod metrics;
pub mod model;
pub mod monitoring;
pub mod moving;
pub mod published;
pub mod publisher;
pub mod request;
pub mod seed;
pub mod shutdown;
pub mod signal;
pub mod slot;
pub mod status;
pub mod store;
pub mod supervise;
pub mod sync;
pub mod sys;
pub mod tls;
pub mod units;
pub mod validate;
pub mod watch;
