//! What `e2e/bench` runs: seedcar beside consul-template on one Consul, and the floor under both.

// The tests' rig, of which this uses a part.
#[allow(dead_code, unused_imports)]
mod consul;
mod fleet;
mod marked;
mod quantile;
mod scratch;
#[allow(dead_code)]
mod wait;

mod measure;

fn main() -> std::process::ExitCode {
    measure::run()
}
