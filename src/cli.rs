//! The command line.
//!
//! What a command does alone is declared here with clap's derive. The settings that commands share
//! come from the table in [`config`](crate::config): clap only collects their text, and the check of
//! the configuration reads it, so that all mistakes are reported together.

mod settings;

use clap::{Args, Parser, Subcommand, ValueEnum};

use std::ffi::OsString;

pub use self::settings::{PlaceSettings, Settings, WrapperSettings};
use crate::config::{Flags, is_dns_label};
use crate::model::application::is_name;
use crate::model::selection::Glob;
use crate::signal::{OnChange, Signal};
use crate::units::Period;

/// seedcar keeps an application's Consul configuration in memory-backed files
#[derive(Parser)]
#[command(
    name = "seedcar",
    version,
    term_width = 0,
    after_help = "\
Examples:
  seedcar demo                                    see it work, with nothing else installed
  seedcar run --seed --prefix apps/web --volume /dev/shm/web --backup ./backup
  seedcar config check --config seedcar.yaml"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Fill the volume once, from Consul or from the backup, and exit
    Init(Init),
    /// Keep the volume fresh
    Run(Run),
    /// Show on a scratch volume what happens when things change and fail
    Demo(Demo),
    /// Show how fresh the volume is, and why
    Status(Status),
    /// Exit 0 if the running seedcar is alive (for exec probes)
    Healthcheck(Healthcheck),
    /// Wait until the volume is filled
    Wait(Wait),
    /// Start an application, in its own container, and tell it of changes
    Exec(Exec),
    /// Let an answer through that a guard holds back
    Accept(Accept),
    /// Show what would change if what Consul holds now were published
    Diff(Diff),
    /// Stop changes from being published, or let them go on
    Freeze(Freeze),
    /// List, check and use backups
    Backup(BackupArgs),
    /// Check, show or write a configuration
    Config(ConfigArgs),
    /// Print a manifest of an application with seedcar, for Kubernetes
    Manifest(Manifest),
    /// Print alert rules, inhibit rules, dashboard or runbook
    Export(ExportArgs),
    /// Print the version
    Version,
}

/// `seedcar init`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar init --prefix apps/web
  seedcar init --source shared=apps/shared --source web=apps/web --accept 3f9c0a1b2c3d")]
pub struct Init {
    /// Digest of a held answer to let through
    #[arg(long, value_name = "DIGEST")]
    pub accept: Option<String>,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// `seedcar run`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar run --prefix apps/web                   beside an application, after seedcar init
  seedcar run --seed --prefix apps/web            both in one")]
pub struct Run {
    /// Fill the volume first; keeps trying for as long as it takes
    #[arg(long)]
    pub seed: bool,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// `seedcar demo`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar demo
  seedcar demo --keep                             leaves it running to play with")]
pub struct Demo {
    /// Leave everything running at the end and print where it is
    #[arg(long)]
    pub keep: bool,
    /// A real Consul to use, through a proxy of our own [default: an embedded one]
    #[arg(long, value_name = "ADDR")]
    pub consul: Option<String>,
}

/// `seedcar status`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar status
  seedcar status --check -o json")]
pub struct Status {
    /// How to print.
    #[command(flatten)]
    pub output: Output,
    /// Exit 75 unless the volume is filled and fresh
    #[arg(long)]
    pub check: bool,
    /// Where seedcar serves its status [default: from --http]
    #[arg(long)]
    pub url: Option<String>,
    /// Where things are.
    #[command(flatten)]
    pub settings: PlaceSettings,
}

/// `seedcar healthcheck`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar healthcheck
  seedcar healthcheck --url http://127.0.0.1:4292")]
pub struct Healthcheck {
    /// Where seedcar serves its health [default: from --http]
    #[arg(long)]
    pub url: Option<String>,
    /// Where things are.
    #[command(flatten)]
    pub settings: PlaceSettings,
}

/// `seedcar wait`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar wait --timeout 2m && exec my-service")]
pub struct Wait {
    /// How long to wait before exit 75 [default: 60s]
    #[arg(long, value_name = "PERIOD", default_value = "60s", hide_default_value = true)]
    pub timeout: Period,
    /// Where things are.
    #[command(flatten)]
    pub settings: PlaceSettings,
}

/// `seedcar exec`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar exec --on-change HUP -- nginx -g 'daemon off;'
  seedcar exec --on-change restart --only 'db/**' --splay 1m -- java -jar app.jar")]
pub struct Exec {
    /// On a change: the name or number of a signal, restart, or none [default: restart]
    #[arg(long, value_name = "ACTION", default_value = "restart", hide_default_value = true)]
    pub on_change: OnChange,
    /// Only changes of files whose path matches; * stays within a name, ** does not
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub only: Vec<Glob>,
    /// Quiet time after a change before it is acted on [default: 1s]
    #[arg(long, value_name = "PERIOD", default_value = "1s", hide_default_value = true)]
    pub debounce: Period,
    /// The most that changes which follow each other put it off [default: 10s]
    #[arg(long, value_name = "PERIOD", default_value = "10s", hide_default_value = true)]
    pub debounce_max: Period,
    /// Add a random time of at most this, so that a fleet does not act at once [default: 0s]
    #[arg(long, value_name = "PERIOD", default_value = "0s", hide_default_value = true)]
    pub splay: Period,
    /// What asks the application to end before a restart [default: TERM]
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", hide_default_value = true)]
    pub stop_signal: Signal,
    /// How long it may take to end before it is killed [default: 10s]
    #[arg(long, value_name = "PERIOD", default_value = "10s", hide_default_value = true)]
    pub stop_timeout: Period,
    /// How long to wait for the first generation before exit 75 [default: 60s]
    #[arg(long, value_name = "PERIOD", default_value = "60s", hide_default_value = true)]
    pub timeout: Period,
    /// Its name in status and metrics [default: the program's]
    #[arg(long, value_name = "NAME", value_parser = application_name)]
    pub name: Option<String>,
    /// The application and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// Where things are.
    #[command(flatten)]
    pub settings: WrapperSettings,
}

fn application_name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has at most 63 letters, digits, '-', '_' and '.', the latter not first"
            .to_owned())
    }
}

/// `seedcar accept`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar status                                  shows the digest of what is held
  seedcar accept 3f9c0a1b2c3d")]
pub struct Accept {
    /// Digest of the held answer
    pub digest: String,
    /// Only for this source [default: whichever holds it]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Where things are.
    #[command(flatten)]
    pub settings: PlaceSettings,
}

/// `seedcar diff`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar diff --config seedcar.yaml
  seedcar diff --prefix apps/web --all            every file and the layer that it comes from
  seedcar diff --check -o json")]
pub struct Diff {
    /// Show unchanged files, too
    #[arg(long)]
    pub all: bool,
    /// Exit 75 if something would change
    #[arg(long)]
    pub check: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// `seedcar freeze`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar freeze                                  this volume stays as it is
  seedcar freeze --off
  consul kv put ops/seedcar/freeze yes            all of them, with --control ops/seedcar")]
pub struct Freeze {
    /// Let changes go on
    #[arg(long)]
    pub off: bool,
    /// Where things are.
    #[command(flatten)]
    pub settings: PlaceSettings,
}

/// `seedcar backup`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar backup ls --backup ./backup
  seedcar backup export | consul kv import -")]
pub struct BackupArgs {
    /// What to do with backups.
    #[command(subcommand)]
    pub action: BackupAction,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// What to do with backups.
#[derive(Subcommand)]
pub enum BackupAction {
    /// List them, newest first
    Ls {
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Show one, without its values
    Show {
        /// Its name in `backup ls`
        name: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Read each to its end and check it
    Verify {
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Publish one to the volume
    Restore {
        /// Its name in `backup ls`
        name: String,
        /// Another volume to publish to [default: from --volume]
        #[arg(long, value_name = "DIR")]
        to: Option<std::path::PathBuf>,
    },
    /// Print one as `consul kv import` takes it
    Export {
        /// Its name in `backup ls` [default: the newest valid]
        name: Option<String>,
    },
}

/// `seedcar config`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar config sample > seedcar.yaml
  seedcar config check --config seedcar.yaml
  seedcar config print --config seedcar.yaml -o json
  seedcar config from-consul-template consul-template.hcl > seedcar.yaml")]
pub struct ConfigArgs {
    /// What to do with the configuration.
    #[command(subcommand)]
    pub action: ConfigAction,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigAction {
    /// Report every mistake; exit 78 if there is one
    Check {
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Show each value in effect and where it came from, without secrets
    Print {
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Print a commented configuration file
    Sample,
    /// Turn a configuration of consul-template into one of seedcar; exit 75 if something is lost
    FromConsulTemplate(FromConsulTemplate),
}

/// `seedcar config from-consul-template`.
#[derive(Args)]
#[command(after_help = "\
What is different, or not carried over, is on standard error: FILE:LINE, how much it matters, what and why.
  not needed   left out; seedcar does it by itself
  look         carried over; in some cases the result is another
  differs      carried over, with another result
  by hand      not carried over
Exit 0 if there is nothing that differs and nothing by hand, 75 if there is, 78 if a file cannot be read.

Examples:
  seedcar config from-consul-template consul-template.hcl > seedcar.yaml
  seedcar config from-consul-template --template app.ctmpl:/etc/app.env > seedcar.yaml")]
pub struct FromConsulTemplate {
    /// Configuration files of consul-template (HCL or JSON), or templates (.ctmpl, .tpl, .tmpl)
    #[arg(value_name = "FILE", required_unless_present = "template")]
    pub files: Vec<String>,
    /// A template, as consul-template's own flag takes it
    #[arg(id = "template", long = "template", value_name = "SOURCE:DESTINATION[:COMMAND]")]
    pub templates: Vec<String>,
}

/// `seedcar manifest`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar manifest deployment --name web --app-image registry.example/web:1.2.3 \\
    --image registry.example/seedcar:0.1.0 --prefix apps/web --consul consul:8500 | kubectl apply -f -
  seedcar manifest component --name web --prefix apps/web --consul consul:8500 \\
    --image registry.example/seedcar:0.1.0 > kustomization.yaml
  seedcar manifest compose --name web --app-image web:1.2.3 --prefix apps/web --consul consul:8500 > compose.yaml")]
pub struct Manifest {
    /// What to print
    #[arg(value_enum)]
    pub kind: Kind,
    /// Name of the workload, and of the application's container in a component
    #[arg(long, value_parser = dns_label)]
    pub name: String,
    /// Image of the application; a component leaves it as it is
    #[arg(
        long,
        value_name = "IMAGE",
        required_if_eq_any = [
            ("kind", "pod"), ("kind", "deployment"), ("kind", "statefulset"), ("kind", "job"),
            ("kind", "cronjob"), ("kind", "compose"),
        ]
    )]
    pub app_image: Option<String>,
    /// Image of seedcar
    #[arg(long, value_name = "IMAGE", default_value_t = format!("seedcar:{}", env!("CARGO_PKG_VERSION")))]
    pub image: String,
    /// Consul prefix to mirror
    #[arg(long, value_name = "PREFIX")]
    pub prefix: String,
    /// Where Consul answers
    #[arg(long, value_name = "ADDR")]
    pub consul: String,
    /// Put seedcar where the application's container can start it; set that container's command
    /// yourself, as in `[/seedcar-exec/seedcar, exec, --on-change, HUP, --, app]`
    #[arg(long)]
    pub exec: bool,
}

/// Forms of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A Deployment.
    Deployment,
    /// A StatefulSet, each pod with a claim for its backups.
    Statefulset,
    /// A Job.
    Job,
    /// A CronJob.
    Cronjob,
    /// A file for docker compose.
    Compose,
    /// A kustomize component, which puts seedcar into Deployments, StatefulSets and others of yours.
    Component,
}

/// RFC 1123, short enough for what Kubernetes appends to it.
fn dns_label(text: &str) -> Result<String, String> {
    if is_dns_label(text) && text.len() <= 52 {
        Ok(text.to_owned())
    } else {
        Err("a name has at most 52 of a-z, 0-9 and - and begins and ends without a -".to_owned())
    }
}

/// `seedcar export`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  seedcar export rules > /etc/prometheus/rules/seedcar.yaml
  seedcar export dashboard > seedcar.json")]
pub struct ExportArgs {
    /// What to print.
    #[command(subcommand)]
    pub what: Export,
}

/// What monitoring is fed with.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Export {
    /// Alert rules for Prometheus
    Rules,
    /// Inhibit rules for Alertmanager: one alert, not one for each pod, while Consul is down
    Inhibit,
    /// The dashboard of a fleet for Grafana
    Dashboard,
    /// What each alert means and what to do, in Markdown
    Runbook,
}

/// How to print, as the option that many commands share.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// How to print [default: table]
    #[arg(
        id = "output",
        short = 'o',
        long = "output",
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        hide_default_value = true
    )]
    pub form: Form,
}

/// The forms of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// For programs.
    Json,
}

// === impl Command ===

impl Command {
    /// The settings that were given as flags, for the commands that take any.
    pub fn flags(&self) -> Option<&Flags> {
        match self {
            Self::Init(init) => Some(&init.settings.0),
            Self::Run(run) => Some(&run.settings.0),
            Self::Backup(backup) => Some(&backup.settings.0),
            Self::Config(config) => Some(&config.settings.0),
            Self::Status(status) => Some(&status.settings.0),
            Self::Healthcheck(healthcheck) => Some(&healthcheck.settings.0),
            Self::Wait(wait) => Some(&wait.settings.0),
            Self::Accept(accept) => Some(&accept.settings.0),
            Self::Diff(diff) => Some(&diff.settings.0),
            Self::Freeze(freeze) => Some(&freeze.settings.0),
            Self::Exec(exec) => Some(&exec.settings.0),
            Self::Demo(_) | Self::Manifest(_) | Self::Export(_) | Self::Version => None,
        }
    }
}

#[cfg(test)]
mod tests;
