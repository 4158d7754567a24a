//! Pods of a real Kubernetes: the image, the chart and a real Consul. Run by `e2e/run cluster` in what
//! `e2e/cluster/with` starts, or on a cluster of yours by `e2e/cluster/with --kubeconfig`.

mod alerted;
mod cluster;
mod ends;
mod identity;
mod image;
mod limits;
mod names;
mod outage;
mod plain;
mod prometheus;
mod release;
mod seeded;
mod tenants;
mod traps;
mod upgraded;
mod watcher;
