//! The embedded Consul-compatible store and the demonstration that plays on it.

pub mod kv;
