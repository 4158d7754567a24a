//! Asking others whether a generation may be seen: a command, and a service.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use url::Url;

use crate::config::Outside;
use crate::model::moment::Moment;
use crate::supervise::on_runtime;
use crate::{request, sys};

/// Variables that hold secrets of ours.
const SECRETS: [&str; 2] = ["CONSUL_HTTP_TOKEN", "CONSUL_HTTP_AUTH"];
/// How often a command is looked at that runs.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What they said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It may be seen.
    Yes,
    /// It may not, and who says so.
    No(String),
    /// There is no answer to rely on: to be asked again although nothing has changed.
    Nothing(String),
    /// The question was given up.
    GivenUp,
}

/// Asks about the generation in `directory`; `body` is what a service is told of it. Gives up once
/// `gives_up`, which is asked often with how long the question has taken, says so.
pub fn ask(
    outside: &Outside,
    directory: &Path,
    body: &str,
    gives_up: &dyn Fn(Duration) -> bool,
) -> Said {
    let began = sys::now();
    let gives_up = || gives_up(sys::now().since(began));
    if !outside.command.is_empty() {
        match ask_command(outside, directory, &gives_up) {
            Said::Yes => {}
            other => return other,
        }
    }
    match &outside.url {
        Some(url) => ask_service(url, body, outside.timeout, &gives_up),
        None => Said::Yes,
    }
}

fn ask_command(outside: &Outside, directory: &Path, gives_up: &dyn Fn() -> bool) -> Said {
    let program = &outside.command[0];
    let mut child = match start(&outside.command, directory) {
        Ok(child) => child,
        Err(error) => return Said::Nothing(format!("command {program} cannot be run: {error}")),
    };
    let until = sys::now() + outside.timeout;
    let ended = wait(&mut child, until, gives_up);
    // Whatever it has started ends with it.
    stop(&mut child);
    match ended {
        Some(status) if status.success() => Said::Yes,
        Some(status) => Said::No(format!("command {program} {}", words(status))),
        None if sys::now() < until => Said::GivenUp,
        None => {
            let limit = outside.timeout;
            Said::Nothing(format!("command {program} did not end within {limit:?}"))
        }
    }
}

/// On a thread of its own: looking up a name cannot be given up.
fn ask_service(url: &Url, body: &str, limit: Duration, gives_up: &dyn Fn() -> bool) -> Said {
    let host = url.host_str().unwrap_or_default().to_owned();
    let (tell, told) = channel();
    let (url, body) = (url.clone(), body.to_owned());
    let ask = move || {
        let answer = on_runtime(request::send("POST", url, body, limit));
        let _ = tell.send(answer.map_err(|error| error.to_string()).flatten());
    };
    if std::thread::Builder::new().name("validate".to_owned()).spawn(ask).is_err() {
        return Said::Nothing(format!("service {host}: no thread to ask it"));
    }
    // Somewhat later than the request itself, so that its own words are heard.
    let until = sys::now() + limit + Duration::from_millis(500);
    loop {
        match told.recv_timeout(LOOK_EVERY) {
            Ok(Ok(200..300)) => return Said::Yes,
            Ok(Ok(code @ 400..500)) => return Said::No(format!("service {host} answered {code}")),
            Ok(Ok(code)) => return Said::Nothing(format!("service {host} answered {code}")),
            Ok(Err(error)) => return Said::Nothing(format!("service {host}: {error}")),
            Err(RecvTimeoutError::Timeout) if gives_up() => return Said::GivenUp,
            Err(RecvTimeoutError::Timeout) if sys::now() < until => {}
            Err(_) => return Said::Nothing(format!("service {host} did not answer")),
        }
    }
}

/// In a process group of its own, so that whatever it starts ends with it; and it ends with us, should we
/// be killed: nobody would hear its answer. What it prints is its own affair and goes where our log goes.
fn start(command: &[String], directory: &Path) -> io::Result<Child> {
    let mut child = Command::new(OsStr::new(&command[0]));
    child.args(&command[1..]).env("SEEDCAR_DIR", directory).process_group(0);
    for name in SECRETS {
        child.env_remove(name);
    }
    sys::end_with_us(&mut child, Signal::KILL.as_raw());
    child.stdin(Stdio::null()).stdout(io::stderr()).spawn()
}

/// How it ended, unless it takes too long.
fn wait(child: &mut Child, until: Moment, gives_up: &dyn Fn() -> bool) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if sys::now() >= until || gives_up() {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn stop(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("says no (exit code {code})"),
        (None, Some(signal)) => format!("was killed (signal {signal})"),
        (None, None) => "did not end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: &dyn Fn(Duration) -> bool = &|_| false;

    fn shell(script: &str) -> Outside {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Outside { command, url: None, timeout: Duration::from_secs(20) }
    }

    #[test]
    fn a_command_says_yes_or_no_by_its_code() {
        let here = Path::new("/dev");
        assert_eq!(ask(&shell("test -e $SEEDCAR_DIR/null"), here, "", NEVER), Said::Yes);
        let no = "command /bin/sh says no (exit code 3)".to_owned();
        assert_eq!(ask(&shell("exit 3"), here, "", NEVER), Said::No(no));
        let mut missing = shell("");
        missing.command[0] = "/nowhere".to_owned();
        assert!(matches!(ask(&missing, here, "", NEVER), Said::Nothing(_)));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let scratch = tempfile::tempdir().unwrap();
        let script = "sleep 1000 & echo $! > $SEEDCAR_DIR/child; wait";
        let mut hanging = shell(script);
        hanging.timeout = Duration::from_millis(300);
        let said = ask(&hanging, scratch.path(), "", NEVER);
        assert_eq!(said, Said::Nothing("command /bin/sh did not end within 300ms".to_owned()));
        let child = std::fs::read_to_string(scratch.path().join("child")).unwrap();
        let stat = format!("/proc/{}/stat", child.trim());
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let until = sys::now() + Duration::from_secs(10);
        while runs() {
            assert!(sys::now() < until, "it runs on");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn a_question_can_be_given_up() {
        let gives_up = |taken: Duration| taken > Duration::from_millis(50);
        assert_eq!(ask(&shell("sleep 1000"), Path::new("/"), "", &gives_up), Said::GivenUp);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = Some(format!("http://{address}/").parse().unwrap());
        let silent = Outside { command: vec![], url, timeout: Duration::from_secs(20) };
        assert_eq!(ask(&silent, Path::new("/"), "", &gives_up), Said::GivenUp);
    }
}
