//! The binary: parse, log, dispatch, exit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use seedcar::cli::{Cli, Command};
use seedcar::config::{self, Config, Env, Flags, Scope};
use seedcar::exit::Exit;
use seedcar::{cmd, log, supervise, sys};

fn main() -> ExitCode {
    sys::tune_allocator();
    sys::forbid_core_dumps();
    sys::set_umask();
    supervise::install_panic_hook();
    let cli = Cli::parse();
    let ended = catch_unwind(AssertUnwindSafe(|| dispatch(&cli.command)));
    ended.unwrap_or(Exit::Panic).into()
}

fn dispatch(command: &Command) -> Exit {
    let env: Env = std::env::vars_os().collect();
    let flags = command.flags().cloned().unwrap_or_default();
    // Not locked: the log of other threads goes there as well.
    let out = &mut std::io::stdout();
    let with = |scope: Scope, work: &mut dyn FnMut(Config) -> Exit| with(&flags, &env, scope, work);
    match command {
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
        Command::Version => {
            println!("seedcar {}", env!("CARGO_PKG_VERSION"));
            Exit::Ok
        }
    }
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
