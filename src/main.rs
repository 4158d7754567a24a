//! The binary: parse, log, dispatch, exit.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use seedcar::cli::{self, Cli, Command};
use seedcar::config::{self, Config, Env, Flags, Scope};
use seedcar::exit::Exit;
use seedcar::{cmd, log, supervise, sys};

fn main() -> ExitCode {
    sys::tune_allocator();
    sys::forbid_core_dumps();
    supervise::install_panic_hook();
    let cli = Cli::parse();
    // An application inherits both: what it makes of them is its own affair.
    if !matches!(cli.command, Command::Exec(_)) {
        sys::limit_core_dumps();
        sys::set_umask();
    }
    let ended = catch_unwind(AssertUnwindSafe(|| dispatch(&cli.command)));
    ended.unwrap_or(Exit::Panic.code()).into()
}

/// The application's container may have variables of Consul's that are its own.
fn start_application(exec: &cli::Exec) -> u8 {
    let ours = |(name, _): &(OsString, OsString)| name.as_encoded_bytes().starts_with(b"SEEDCAR_");
    let env: Env = std::env::vars_os().filter(ours).collect();
    match cmd::checked(config::load(&exec.settings.0, &env, Scope::Offline)) {
        Ok(config) => cmd::exec::run(&config, exec),
        Err(exit) => exit.code(),
    }
}

fn dispatch(command: &Command) -> u8 {
    let env: Env = std::env::vars_os().collect();
    let flags = command.flags().cloned().unwrap_or_default();
    // Not locked: the log of other threads goes there as well.
    let out = &mut std::io::stdout();
    let with = |scope: Scope, work: &mut dyn FnMut(Config) -> Exit| with(&flags, &env, scope, work);
    let exit = match command {
        Command::Init(init) => with(Scope::Full, &mut |c| {
            log::install(&c.log);
            cmd::init::run(c, init.accept.as_deref())
        }),
        Command::Run(_) => with(Scope::Full, &mut |c| {
            log::install(&c.log);
            cmd::run::run(c)
        }),
        Command::Status(status) => with(Scope::Offline, &mut |c| {
            let url = status.url.clone().unwrap_or_else(|| c.http_url());
            cmd::status::run(&url, status.output.form, status.check, out)
        }),
        Command::Healthcheck(check) => with(Scope::Offline, &mut |c| {
            cmd::healthcheck::run(&check.url.clone().unwrap_or_else(|| c.http_url()))
        }),
        Command::Wait(wait) => {
            with(Scope::Offline, &mut |c| cmd::wait::run(&c.volume, wait.timeout.into()))
        }
        Command::Accept(accept) => with(Scope::Offline, &mut |c| {
            cmd::accept::run(&c.volume, &accept.digest, accept.source.as_deref())
        }),
        Command::Diff(diff) => with(Scope::Full, &mut |c| cmd::diff::run(c, diff, out)),
        Command::Freeze(freeze) => {
            with(Scope::Offline, &mut |c| cmd::freeze::run(&c.volume, freeze.off))
        }
        Command::Backup(backup) => {
            with(Scope::Offline, &mut |c| cmd::backup::run(c, &backup.action, out))
        }
        Command::Config(args) => {
            cmd::config::run(&args.action, &flags, &env, out, &mut std::io::stderr().lock())
        }
        Command::Demo(demo) => cmd::demo::run(demo.keep, demo.consul.as_deref()),
        Command::Manifest(manifest) => cmd::manifest::run(manifest, out),
        Command::Export(export) => cmd::export::run(export.what, out),
        // The application's own code, which may be any.
        Command::Exec(exec) => return start_application(exec),
        Command::Version => {
            println!("seedcar {}", env!("CARGO_PKG_VERSION"));
            Exit::Ok
        }
    };
    exit.code()
}

fn with(flags: &Flags, env: &Env, scope: Scope, work: &mut dyn FnMut(Config) -> Exit) -> Exit {
    let outcome = config::load(flags, env, scope);
    let checked = match scope {
        Scope::Full => cmd::checked_in_pod(outcome),
        Scope::Offline => cmd::checked(outcome),
    };
    match checked {
        Ok(config) => work(config),
        Err(exit) => exit,
    }
}
