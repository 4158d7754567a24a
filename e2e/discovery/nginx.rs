//! The reader that most come with: nginx, which includes the lines of a service in its upstream.

use std::process::Command;

use serde_json::json;

use super::scene::{deregister, pod, register_at};
use crate::consul::http::request;
use crate::consul::{Consul, Kind};
use crate::hooks::exec::application::Application;
use crate::rig::SOON;
use crate::stories::scene::{stopped, watching};
use crate::wait::{eventually, free_port};

/// As the README has it; the instances are servers of the same nginx.
const CONFIG: &str = "
pid OWN/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path OWN/body;
    proxy_temp_path OWN/proxy;
    fastcgi_temp_path OWN/fastcgi;
    uwsgi_temp_path OWN/uwsgi;
    scgi_temp_path OWN/scgi;
    upstream web {
        include LIVE/web.conf;
    }
    server { listen 127.0.0.1:FRONT; location / { proxy_pass http://web; } }
    server { listen 127.0.0.1:ONE; location / { return 200 one; } }
    server { listen 127.0.0.1:TWO; location / { return 200 two; } }
}
";

#[test]
fn an_upstream_follows_its_service() {
    let nginx = std::env::var_os("NGINX_BIN").expect("run ./e2e/run, or set NGINX_BIN");
    let consul = Consul::start(Kind::Real);
    let [front, one, two] = [free_port(), free_port(), free_port()];
    register_at(&consul, "a", "127.0.0.1", one, &[]);
    let pod = pod(&consul, &json!({"file": "web.conf", "line": "server {} max_fails=3;"}));
    pod.init();
    let sidecar = watching(&pod, &[]);
    let own = tempfile::tempdir().expect("a directory");
    let config = [
        ("OWN", own.path().display().to_string()),
        ("LIVE", pod.live().display().to_string()),
        ("FRONT", front.to_string()),
        ("ONE", one.to_string()),
        ("TWO", two.to_string()),
    ];
    let config = config.iter().fold(CONFIG.to_owned(), |text, (word, is)| text.replace(word, is));
    let path = own.path().join("nginx.conf");
    std::fs::write(&path, config).expect("write it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedcar"));
    command.arg("exec").arg("--volume").arg(pod.volume());
    command.args(["--on-change", "HUP", "--only", "web.conf", "--"]).arg(nginx);
    command.arg("-c").arg(path).arg("-p").arg(own.path());
    // As root it would take another user for its workers, which could not read a test's directories.
    command.args(["-g", "daemon off; user root;"]);
    let app = Application::spawn(command, pod.volume());
    let answers = |expected: &str| {
        eventually(expected, SOON, || {
            let address = format!("127.0.0.1:{front}").parse().ok()?;
            let answer = request(address, "GET", "/", &[], b"").ok()?;
            (answer.text() == expected).then_some(())
        });
    };
    answers("one");
    register_at(&consul, "b", "127.0.0.1", two, &[]);
    sidecar.shows(
        "web.conf",
        format!("server 127.0.0.1:{one} max_fails=3;\nserver 127.0.0.1:{two} max_fails=3;\n"),
    );
    deregister(&consul, "a");
    answers("two");
    drop(app);
    stopped(sidecar);
}
