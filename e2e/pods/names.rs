//! Consul by a name: the static program in an image without any file asks the cluster's DNS.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::cluster::{Namespace, filled, given, is_ours};
use super::release::Release;
use super::watcher::Log;

/// The node's DNS, which knows one name. Dropped, it ends.
struct Dns(Child);

impl Dns {
    fn start() -> Self {
        let host = given("CLUSTER_HOST");
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv"])
            // What is not known does not exist: nobody else is asked.
            .args(["--local=/local/", "--local=/test/", "--user=root", "--pid-file="])
            .arg(format!("--listen-address={host}"))
            .arg("--bind-interfaces")
            .arg(format!("--host-record=consul.test,{host}"))
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("start dnsmasq"))
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn consul_is_found_by_its_name() {
    if !is_ours() {
        return;
    }
    let _dns = Dns::start();
    let consul = filled();
    let namespace = Namespace::new("names");
    let address = format!("consul.test:{}", consul.addr().port());
    let more = json!({"seedcar": {"consul": {"address": address}}});
    let release = Release::install(&namespace, "web", Release::values(&consul, more));
    let pod = release.until_ready(1).remove(0);
    let app = Log::follow(&namespace, &pod.name, "app");
    assert_eq!(app.until("first "), "hello");
    consul.put("app/n", "1");
    app.until_saw("1");
}
