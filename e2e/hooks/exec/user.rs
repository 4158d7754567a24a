//! As in a pod: another user, no rights, a volume that is mounted read-only, the program that init left.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::application::{Application, TALKER, exec_dir};
use crate::consul::{Consul, Kind};
use crate::rig::Pod;

#[test]
fn another_user_with_a_read_only_volume_is_started_and_told() {
    let consul = Consul::start(Kind::Real);
    consul.put("app/a", "1");
    let dir = exec_dir();
    let path = dir.path().to_str().expect("UTF-8");
    let pod = Pod::new(consul.addr(), "app").arg(&["--exec-dir", path]);
    // As the kubelet makes them.
    let modes = [(pod.volume(), 0o1777), (dir.path(), 0o777)];
    for (path, mode) in modes {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("open it");
    }
    pod.init();
    let sidecar = pod.run(&[]);
    let volume = pod.volume().to_str().expect("UTF-8");
    let script = format!(
        "mount --bind {volume} {volume} && mount -o remount,bind,ro {volume} && umask 077 && \
         exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set=-all \
         {path}/seedcar exec --volume {volume} --exec-dir {path} --name app --on-change USR1 \
         --log-format json -- python3 -c \"$PROGRAM\""
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script]).env("PROGRAM", TALKER);
    // A Python that every user finds.
    unshare.env("SEEDCAR_DIR", pod.live()).env("PATH", "/usr/bin:/bin");
    let app = Application::spawn(unshare, dir.path());
    let (pid, value) = app.started(1);
    assert_eq!(value, "1");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.contains("Uid:\t1000\t1000\t1000\t1000"), "{status}");
    consul.put("app/a", "2");
    app.says("SIGUSR1 2");
    app.reports("it is written down", |report| report["counts"]["signalled"] == 1);
    crate::wait::eventually("the sidecar reads it", crate::rig::SOON, || {
        sidecar.status().exec.get("app").filter(|app| app.report.counts.signalled == 1).map(drop)
    });
}
