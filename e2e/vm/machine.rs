//! One virtual machine: qemu in software, its serial console read line by line.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::ledger::Tally;
use crate::wait::eventually;

/// A hang guard: the guest boots in some seconds of a processor, which others may share.
const PATIENCE: Duration = Duration::from_secs(300);

/// Kernel and seedcar speak on the same console, so the kernel only speaks when it dies.
const KERNEL: &str = "console=ttyS0 quiet loglevel=1 panic=-1";

/// A running guest. Dropped, it loses its power.
pub struct Machine {
    qemu: Child,
    console: Arc<Mutex<Vec<String>>>,
    read: usize,
}

impl Machine {
    /// Switches one on that plays this act of `e2e/vm/guest/acts` with these settings. `disk` is an
    /// image of the only disk.
    pub fn boot(act: &str, settings: &[(&str, String)], disk: Option<&Path>) -> Self {
        let image = image();
        let words = settings.iter().map(|(name, value)| format!(" {name}={value}"));
        let append = format!("{KERNEL} act={act}{}", words.collect::<String>());
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-machine", "pc,accel=tcg", "-smp", "1", "-m", "256"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
            .args(["-serial", "stdio", "-append", &append])
            .arg("-kernel")
            .arg(image.join("vmlinuz"))
            .arg("-initrd")
            .arg(image.join("initramfs.gz"))
            .args(["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="]);
        if let Some(disk) = disk {
            // What the guest has written is the host's and outlives qemu; what it has not is lost.
            let file = disk.to_str().expect("a plain path");
            qemu.args(["-drive", &format!("file={file},if=virtio,format=raw,cache=writeback")]);
        }
        let qemu = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut qemu = qemu.expect("start qemu-system-x86_64; e2e/run tools installs it");
        let console = Arc::default();
        listen(qemu.stdout.take().expect("the console"), Arc::clone(&console));
        Self { qemu, console, read: 0 }
    }

    /// Waits for a line of the console that is wanted, from where the last wait ended.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        eventually(what, PATIENCE, || {
            // First, so that its last words are read.
            let ended = self.qemu.try_wait().expect("wait for qemu");
            let found = self.scan(&mut wanted);
            assert!(found.is_some() || ended.is_none(), "the machine has stopped before: {what}");
            found
        })
    }

    /// A wanted line, if it has been said.
    pub fn scan<T>(&mut self, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let console = self.console.lock().expect("the console");
        let rest = console.get(self.read..)?;
        let (at, found) = rest.iter().enumerate().find_map(|(n, l)| Some((n, wanted(l)?)))?;
        self.read += at + 1;
        Some(found)
    }

    /// Waits for the line `NAME: ...`.
    #[track_caller]
    pub fn field(&mut self, name: &str) -> String {
        let begin = format!("{name}: ");
        self.wait(name, |line| Some(line.strip_prefix(&begin)?.to_owned()))
    }

    /// Waits for the end of the act.
    #[track_caller]
    pub fn over(&mut self) {
        self.wait("the act is over", |line| (line == "the act is over").then_some(()));
    }

    /// Takes the power away, and gives all that was said.
    pub fn cut(mut self) -> Vec<String> {
        self.switch_off();
        // The reader lets go of the console when it has read it to its end.
        eventually("the console ends", PATIENCE, || {
            (Arc::strong_count(&self.console) == 1).then_some(())
        });
        std::mem::take(&mut *self.console.lock().expect("the console"))
    }

    fn switch_off(&mut self) {
        self.qemu.kill().expect("kill qemu");
        self.qemu.wait().expect("wait for qemu");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.switch_off();
        if std::thread::panicking() {
            let console = self.console.lock().map(|lines| lines.join("\n"));
            eprintln!("--- the console:\n{}", console.unwrap_or_default());
        }
    }
}

/// Counts each line by which the guest says that something is so or is not; how many there were.
pub fn count_checks(tally: &mut Tally, console: &[String]) -> usize {
    let said = console.iter().filter_map(|line| line.strip_prefix("check "));
    said.map(|said| tally.check(said.starts_with("ok: "), || said.to_owned())).count()
}

/// A disk of 64 MiB with an empty ext4 on it.
pub fn disk(at: &Path) -> PathBuf {
    let image = at.join("disk.img");
    let file = std::fs::File::create(&image).expect("a disk");
    file.set_len(64 << 20).expect("a disk");
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status();
    assert!(made.expect("mkfs.ext4; e2e/run tools installs it").success(), "mkfs.ext4");
    image
}

fn listen(console: ChildStdout, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.lock().expect("the console").push(line);
        }
    });
}

/// The directory with the kernel and the initramfs, made afresh once a run.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/vm/build");
        let mut script = Command::new(script);
        // Our own package's; a build script that looks at them would run again, and with it the
        // compilers of half of all crates.
        let names = std::env::vars_os().map(|(name, _)| name);
        let ours = |name: &OsString| {
            name.to_str()
                .is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
        };
        for name in names.filter(ours) {
            script.env_remove(name);
        }
        let built = script.arg(target).output().expect("run e2e/vm/build");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target.join("vm")
    })
}
