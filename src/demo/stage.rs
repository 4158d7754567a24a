//! What the acts are played with: a Consul behind a proxy, a pod's volumes, seedcar itself as child
//! processes, and a terminal to say it on.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::proxy::{Mode, Proxy};
use super::server::{KvHandle, Running, Server};
use crate::local;
use crate::publisher::persist::StatusFile;
use crate::status::Status;

/// Nothing in the play takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The stage.
pub struct Stage {
    store: Store,
    /// Everything of seedcar's goes through it.
    pub proxy: Proxy,
    /// The prefix that is played with, with its slash.
    pub prefix: String,
    /// The scratch folder.
    pub scratch: PathBuf,
    /// Set when the play is to end early.
    pub interrupted: Arc<AtomicBool>,
    run: Option<Sidecar>,
    started: Instant,
    colour: bool,
}

/// The Consul that is written to.
enum Store {
    Embedded { kv: KvHandle, at: std::net::SocketAddr, server: Option<Running> },
    Real { at: String, token: Option<String> },
}

/// `seedcar run` as a child.
struct Sidecar {
    child: Child,
    url: String,
}

/// A check that failed, or a part that could not be used. Ends the play.
#[derive(Debug, thiserror::Error)]
pub enum Flop {
    /// What should have been so was not.
    #[error("not so: {0}")]
    Check(String),
    /// Told to stop.
    #[error("interrupted")]
    Interrupted,
    /// The machine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl Stage ===

impl Stage {
    /// Sets the stage: the embedded store, or the real Consul at `real` under a random prefix.
    pub fn set(real: Option<&str>) -> Result<Self, Flop> {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
        let (store, prefix) = match real {
            None => (Store::embedded()?, "apps/web/".to_owned()),
            Some(at) => (Store::real(at)?, format!("seedcar-demo-{random}/")),
        };
        let proxy = Proxy::start(store.address())?;
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let scratch = parent.join(format!("seedcar-demo-{random}"));
        fs::create_dir(&scratch)?;
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let (interrupted, started) = (Arc::default(), Instant::now());
        let stage = Self { store, proxy, prefix, scratch, interrupted, run: None, started, colour };
        fs::create_dir(stage.volume())?;
        fs::create_dir(stage.backup())?;
        Ok(stage)
    }

    /// The tmpfs volume.
    pub fn volume(&self) -> PathBuf {
        self.scratch.join("volume")
    }

    /// The backup volume.
    pub fn backup(&self) -> PathBuf {
        self.scratch.join("backup")
    }

    /// Where the running sidecar serves its status.
    pub fn url(&self) -> &str {
        self.run.as_ref().map_or("", |run| &run.url)
    }

    /// Where Consul itself answers, past the proxy.
    pub fn consul(&self) -> String {
        self.store.address()
    }

    /// A heading.
    pub fn act(&self, title: &str) {
        let at = self.started.elapsed().as_secs_f32();
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        println!("\n{bold}[{at:4.1} s] {title}{plain}");
    }

    /// A line.
    pub fn say(&self, text: &str) {
        println!("         {text}");
    }

    /// A line that was checked.
    pub fn good(&self, text: &str) {
        let (green, plain) = if self.colour { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        println!("      {green}ok{plain} {text}");
    }

    /// Checks that something is so, now.
    pub fn check(&self, what: &str, is: bool) -> Result<(), Flop> {
        if !is {
            return Err(Flop::Check(what.to_owned()));
        }
        self.good(what);
        Ok(())
    }

    /// Waits until something is so and says how long that took.
    pub fn until(&self, what: &str, mut is: impl FnMut() -> bool) -> Result<Duration, Flop> {
        let begun = Instant::now();
        while !is() {
            if begun.elapsed() > PATIENCE {
                return Err(Flop::Check(format!("{what} (waited {PATIENCE:.0?})")));
            }
            self.pause()?;
        }
        let took = begun.elapsed();
        self.good(&format!("{what} ({})", in_words(took)));
        Ok(took)
    }

    /// Returns when told to stop.
    pub fn wait_for_interrupt(&self) -> Result<(), Flop> {
        loop {
            self.pause()?;
        }
    }

    fn pause(&self) -> Result<(), Flop> {
        std::thread::sleep(LOOK_EVERY);
        if self.interrupted.load(Ordering::Relaxed) { Err(Flop::Interrupted) } else { Ok(()) }
    }

    /// What seedcar has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.join("seedcar.log")).unwrap_or_default()
    }

    /// A file as an application reads it.
    pub fn file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.volume().join("live").join(path)).ok()
    }

    /// Waits until a file holds this.
    pub fn shows(&self, path: &str, value: &str) -> Result<Duration, Flop> {
        let what = format!("live/{path} reads {value:?}");
        self.until(&what, || self.file(path).as_deref() == Some(value))
    }

    /// The running sidecar's status.
    pub fn status(&self) -> Option<Status> {
        let (_, body) = local::get(self.url(), "/status").ok()?;
        serde_json::from_str(&body).ok()
    }

    /// The file that applications find beside `live/`.
    pub fn status_file(&self) -> Option<StatusFile> {
        let text = fs::read(self.volume().join(".seedcar/status.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes a key.
    pub fn put(&self, key: &str, value: &str) -> Result<(), Flop> {
        self.say(&format!("put {}{key} = {value:?}", self.prefix));
        self.store.put(&format!("{}{key}", self.prefix), value)
    }

    /// Deletes everything under the prefix.
    pub fn delete_all(&self) -> Result<(), Flop> {
        self.store.delete_recurse(&self.prefix)
    }

    /// Consul is gone: killed, or cut off where it is not ours to kill.
    pub fn kill_consul(&mut self) {
        self.proxy.set(Mode::Refuse);
        if let Store::Embedded { server, .. } = &mut self.store {
            *server = None;
        }
    }

    /// Consul is back, with its data.
    pub fn start_consul(&mut self) -> Result<(), Flop> {
        if let Store::Embedded { kv, at, server } = &mut self.store {
            *server = Some(Server::bind(*at)?.with_kv(kv.clone()).spawn()?);
        }
        self.proxy.clear();
        Ok(())
    }

    /// Runs `seedcar init` to its end: whether it exited 0.
    pub fn init(&self, args: &[&str]) -> Result<bool, Flop> {
        let mut command = self.seedcar("init")?;
        Ok(command.args(args).status()?.success())
    }

    /// Starts `seedcar run` and waits until it serves.
    pub fn start(&mut self, args: &[&str]) -> Result<(), Flop> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let http = listener.local_addr()?.to_string();
        drop(listener);
        let child = self.seedcar("run")?.args(["--http", &http]).args(args).spawn()?;
        self.run = Some(Sidecar { child, url: format!("http://{http}") });
        self.until("seedcar run is up", || self.status().is_some())?;
        Ok(())
    }

    /// SIGKILL.
    pub fn crash(&mut self) {
        self.run = None;
    }

    /// A new pod finds its memory empty.
    pub fn wipe_volume(&self) -> Result<(), Flop> {
        fs::remove_dir_all(self.volume())?;
        fs::create_dir(self.volume())?;
        Ok(())
    }

    /// seedcar with this stage's settings and no other; its log goes to a file.
    fn seedcar(&self, command: &str) -> Result<Command, Flop> {
        let log =
            File::options().append(true).create(true).open(self.scratch.join("seedcar.log"))?;
        let mut child = Command::new(std::env::current_exe()?);
        let keep = ["PATH", "HOME", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE"];
        let kept = keep.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        child.arg(command).env_clear().envs(kept);
        child.arg("--consul").arg(self.proxy.addr().to_string()).args(["--prefix", &self.prefix]);
        child.arg("--volume").arg(self.volume()).arg("--backup").arg(self.backup());
        child.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(child)
    }

    /// Takes everything down again, the keys in a real Consul too.
    pub fn strike(&mut self) {
        self.run = None;
        if let Store::Real { .. } = self.store {
            let _ = self.store.delete_recurse(&self.prefix);
        }
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

// === impl Store ===

impl Store {
    fn embedded() -> Result<Self, Flop> {
        let server = Server::bind(([127, 0, 0, 1], 0).into())?.spawn()?;
        Ok(Self::Embedded { kv: server.kv(), at: server.addr(), server: Some(server) })
    }

    fn real(at: &str) -> Result<Self, Flop> {
        let at = at.strip_prefix("http://").unwrap_or(at).trim_end_matches('/').to_owned();
        if at.contains("://") {
            let text = "the demo speaks plain http only: give host:port";
            return Err(Flop::Io(io::Error::other(text)));
        }
        let token = std::env::var("CONSUL_HTTP_TOKEN").ok();
        Ok(Self::Real { at, token })
    }

    fn address(&self) -> String {
        match self {
            Self::Embedded { at, .. } => at.to_string(),
            Self::Real { at, .. } => at.clone(),
        }
    }

    fn put(&self, key: &str, value: &str) -> Result<(), Flop> {
        match self {
            Self::Embedded { kv, .. } => kv.put(key, value),
            Self::Real { .. } => self.ask("PUT", &format!("/v1/kv/{key}"), value)?,
        }
        Ok(())
    }

    fn delete_recurse(&self, prefix: &str) -> Result<(), Flop> {
        match self {
            Self::Embedded { kv, .. } => kv.delete_recurse(prefix),
            Self::Real { .. } => self.ask("DELETE", &format!("/v1/kv/{prefix}?recurse"), "")?,
        }
        Ok(())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<(), Flop> {
        let Self::Real { at, token } = self else {
            return Ok(());
        };
        let headers: Vec<_> =
            token.iter().map(|token| ("X-Consul-Token", token.as_str())).collect();
        match local::ask(method, at, path, &headers, body.as_bytes())? {
            (200, _) => Ok(()),
            (code, said) => {
                let said = said.lines().next().unwrap_or_default().to_owned();
                Err(Flop::Io(io::Error::other(format!("Consul answered {code}: {said}"))))
            }
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Milliseconds while they are few, else seconds.
fn in_words(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f32())
    }
}
