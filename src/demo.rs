//! The embedded Consul-compatible store and the demonstration that plays on it.

pub mod acts;
mod background;
pub mod kv;
pub mod proxy;
pub mod server;
pub mod stage;
