//! Settings that are not carried over, each with the reason.

use crate::moving::note::Weight::{self, ByHand, NotNeeded};

/// A setting by its path, with all that is below it; the first that fits counts.
pub(super) const SAID: &[(&str, Weight, &str)] = &[
    (
        "consul.token",
        ByHand,
        "a token is not copied: put it into a file of its own, from a Secret, and name that in \
         consul.tokenFile",
    ),
    (
        "consul.auth",
        ByHand,
        "user and password are not copied: put USER:PASSWORD into the variable CONSUL_HTTP_AUTH, from a \
         Secret",
    ),
    (
        "consul.retry",
        NotNeeded,
        "seedcar never gives up: it asks again after 0.25 s to 5 s, for ever",
    ),
    ("consul.transport", NotNeeded, "seedcar has deadlines of its own for each request"),
    (
        "consul.ssl.ca_cert_bytes",
        ByHand,
        "put the authority's certificate into a file and name it in consul.caFile",
    ),
    (
        "wait",
        NotNeeded,
        "a burst of changes becomes a handful of generations by itself; `seedcar exec --debounce` waits \
         before the application is told",
    ),
    (
        "max_stale",
        NotNeeded,
        "what is stale is never published as fresh: its age is a metric, and an outage leaves the last \
         content",
    ),
    ("block_query_wait", NotNeeded, "watch.wait is 30s, which suits: set it if need be"),
    ("deduplicate", NotNeeded, "one question for each source is all that seedcar asks of Consul"),
    ("pid_file", NotNeeded, "health is at http://ADDRESS:4292/livez, and by `seedcar healthcheck`"),
    ("syslog", NotNeeded, "logs are JSON lines on standard output"),
    ("log_file", NotNeeded, "logs are JSON lines on standard output"),
    ("kill_signal", NotNeeded, "SIGTERM and SIGINT end seedcar"),
    (
        "reload_signal",
        NotNeeded,
        "there is nothing to reload by a signal: tokens and certificates are read anew \
      when their files change",
    ),
    ("template_error_fatal", NotNeeded, "there is no template that could fail"),
    (
        "err_on_failed_lookup",
        NotNeeded,
        "what is missing is left out, and the status names what is",
    ),
    (
        "vault",
        ByHand,
        "secrets of Vault are not carried over: mount them with Vault's agent, its CSI provider or External Secrets",
    ),
    ("nomad", ByHand, "Nomad is not read: keep consul-template for those templates"),
    ("exec.env", ByHand, "`seedcar exec` leaves the environment as it is: set it in the container"),
    ("exec.timeout", NotNeeded, "the application may run as long as it wants"),
    ("exec.enabled", NotNeeded, "it is there or not"),
    ("exec.reload_signal", NotNeeded, "no command is run that could be told"),
    ("exec.kill_signal", NotNeeded, "no command is run that could hang"),
    ("exec.kill_timeout", NotNeeded, "no command is run that could hang"),
    ("exec.splay", NotNeeded, "`seedcar exec --splay` spreads what a change does"),
    (
        "template.backup",
        NotNeeded,
        "seedcar keeps backups of all content, and old generations for a while",
    ),
    ("template.wait", NotNeeded, "a burst of changes becomes a handful of generations by itself"),
    ("template.create_dest_dirs", NotNeeded, "directories are made"),
    ("template.command_timeout", NotNeeded, "`seedcar exec` waits for no command"),
    ("template.error_on_missing_key", NotNeeded, "there is no look-up that could fail"),
    ("template.error_fatal", NotNeeded, "there is no template that could fail"),
    ("template.function_denylist", NotNeeded, "there are no functions"),
    ("template.function_blacklist", NotNeeded, "there are no functions"),
    ("template.sandbox_path", NotNeeded, "no file but those of the volume is touched"),
    ("template.user", ByHand, OWNER),
    ("template.uid", ByHand, OWNER),
    ("template.group", ByHand, OWNER),
    ("template.gid", ByHand, OWNER),
];

const OWNER: &str =
    "files have no owner of their own here: give the volume's group with fsGroup, or a mode";
