//! The story and conformance tests: the real binary, a real Consul and the embedded one.

mod conformance;
mod consul;
mod layers;
mod readme;
mod rig;
mod stories;
mod wait;
