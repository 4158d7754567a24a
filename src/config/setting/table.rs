//! The rows.

use super::{Id, Setting, Unit};

/// Every setting, in the order of [`Id`].
pub static TABLE: [Setting; 51] = [
    row(
        Id::Config,
        "config",
        Unit::File,
        "read settings from this YAML file; what begins with { is the YAML itself",
    ),
    row(Id::Volume, "volume", Unit::Dir, "memory-backed volume to keep filled")
        .file("volume")
        .or("/seedcar"),
    row(
        Id::Layout,
        "layout",
        Unit::Word("LAYOUT", "links, plain"),
        "what live/ holds: links to one change, or plain files, each by itself",
    )
    .file("layout")
    .or("links")
    .advanced(),
    row(Id::Backup, "backup", Unit::Dir, "directory that keeps backups for the day Consul is down")
        .file("backup.dir")
        .or("/backup"),
    row(
        Id::BackupSecrets,
        "backup-secrets",
        Unit::Name,
        "Kubernetes Secrets of this namespace that keep backups instead of a directory",
    )
    .repeats()
    .file("backup.secrets")
    .advanced(),
    row(
        Id::BackupMode,
        "backup-mode",
        Unit::Word("MODE", "write, read, off"),
        "what to do with backups: write, read (only) or off",
    )
    .file("backup.mode")
    .or("write")
    .advanced(),
    switch(Id::NoBackup, "no-backup", "neither write nor read backups"),
    row(
        Id::BackupId,
        "backup-id",
        Unit::Name,
        "name that keeps this application's backups apart from others'",
    )
    .file("backup.id")
    .advanced(),
    row(
        Id::BackupDelay,
        "backup-delay",
        Unit::Period,
        "quiet time after a change before it is backed up",
    )
    .file("backup.delay")
    .or("30s")
    .advanced(),
    row(
        Id::Prefix,
        "prefix",
        Unit::Prefix,
        "Consul prefix to mirror, as the one source named default",
    ),
    row(Id::Source, "source", Unit::Source, "Consul prefix to mirror under a name; later ones win")
        .repeats()
        .file("sources"),
    row(
        Id::Optional,
        "optional",
        Unit::Name,
        "name of a source that a pod may start without; the others are needed",
    )
    .repeats()
    .advanced(),
    row(
        Id::Atomic,
        "atomic",
        Unit::Name,
        "name of a source read in one Consul transaction with the others named so",
    )
    .repeats()
    .advanced(),
    row(
        Id::File,
        "file",
        Unit::File,
        "one more file, of all keys, as its ending says (json, yaml, toml, env ...)",
    )
    .repeats(),
    switch(Id::ExactPrefix, "exact-prefix", "take prefixes as typed, with no / added").advanced(),
    switch(
        Id::AllowRootPrefix,
        "allow-root-prefix",
        "allow the empty prefix: Consul's whole store",
    )
    .file("guards.allowRootPrefix")
    .advanced(),
    row(
        Id::Consul,
        "consul",
        Unit::Address,
        "where Consul answers; several are tried in order; none is assumed in a pod",
    )
    .repeats()
    .file("consul.addresses")
    .consul("CONSUL_HTTP_ADDR")
    .or("127.0.0.1:8500"),
    row(Id::Token, "token", Unit::Name, "token for Consul; a token file wins over it")
        .only_consul("CONSUL_HTTP_TOKEN")
        .secret(),
    row(
        Id::TokenFile,
        "token-file",
        Unit::File,
        "file with the token for Consul, read again when it changes",
    )
    .file("consul.tokenFile")
    .consul("CONSUL_HTTP_TOKEN_FILE"),
    row(
        Id::LoginMethod,
        "login-method",
        Unit::Name,
        "Consul auth method (kubernetes or jwt) to log in by, instead of a token",
    )
    .file("consul.login.method")
    .advanced(),
    row(
        Id::LoginTokenFile,
        "login-token-file",
        Unit::File,
        "file with the JWT to log in with; in a pod, its service account's",
    )
    .file("consul.login.tokenFile")
    .advanced(),
    row(Id::LoginMeta, "login-meta", Unit::Pair, "a note that Consul keeps with the token")
        .repeats()
        .file("consul.login.meta")
        .advanced(),
    row(Id::Auth, "auth", Unit::Name, "user:password for a proxy in front of Consul")
        .only_consul("CONSUL_HTTP_AUTH")
        .secret()
        .advanced(),
    switch(Id::Ssl, "ssl", "https for addresses that do not say so themselves")
        .only_consul("CONSUL_HTTP_SSL")
        .advanced(),
    switch(Id::SslVerify, "ssl-verify", "verify Consul's certificate; cannot be switched off")
        .only_consul("CONSUL_HTTP_SSL_VERIFY")
        .or("true")
        .advanced(),
    row(
        Id::Datacenter,
        "datacenter",
        Unit::Name,
        "Consul datacenter to read from; else the agent's own",
    )
    .file("consul.datacenter"),
    row(Id::Namespace, "namespace", Unit::Name, "Consul Enterprise namespace")
        .file("consul.namespace")
        .consul("CONSUL_NAMESPACE"),
    row(Id::Partition, "partition", Unit::Name, "Consul Enterprise admin partition")
        .file("consul.partition")
        .consul("CONSUL_PARTITION"),
    row(
        Id::CaFile,
        "ca-file",
        Unit::File,
        "PEM file of the authorities that may sign Consul's certificate",
    )
    .file("consul.caFile")
    .consul("CONSUL_CACERT"),
    row(Id::CaPath, "ca-path", Unit::Dir, "directory of such PEM files")
        .file("consul.caPath")
        .consul("CONSUL_CAPATH")
        .advanced(),
    row(Id::ClientCert, "client-cert", Unit::File, "PEM file of the certificate to show to Consul")
        .file("consul.clientCert")
        .consul("CONSUL_CLIENT_CERT")
        .advanced(),
    row(Id::ClientKey, "client-key", Unit::File, "PEM file of that certificate's key")
        .file("consul.clientKey")
        .consul("CONSUL_CLIENT_KEY")
        .advanced(),
    row(Id::TlsServerName, "tls-server-name", Unit::Name, "name to expect in Consul's certificate")
        .file("consul.tlsServerName")
        .consul("CONSUL_TLS_SERVER_NAME")
        .advanced(),
    row(Id::Wait, "wait", Unit::Period, "how long Consul holds a question that nothing answers")
        .file("watch.wait")
        .or("30s"),
    switch(Id::NoWatch, "no-watch", "do not watch; changes then wait for the heartbeat")
        .file("watch.enabled"),
    row(Id::Heartbeat, "heartbeat", Unit::Period, "time between full reads")
        .file("heartbeat.interval")
        .or("15m"),
    switch(
        Id::NoHeartbeat,
        "no-heartbeat",
        "no full reads; what the watch misses is then never noticed",
    )
    .file("heartbeat.enabled"),
    row(Id::SeedTimeout, "seed-timeout", Unit::Period, "how long the first fill may take")
        .file("seed.timeout")
        .or("30s"),
    row(Id::MaxBytes, "max-bytes", Unit::Bytes, "hold answers that need more of the volume")
        .file("guards.maxBytes")
        .or("16Mi"),
    row(Id::MaxKeys, "max-keys", Unit::Count, "hold answers with more keys")
        .file("guards.maxKeys")
        .or("20000"),
    row(
        Id::MaxShrinkPercent,
        "max-shrink-percent",
        Unit::Percent,
        "hold answers that lose more of the keys than this",
    )
    .file("guards.maxShrinkPercent")
    .or("50"),
    switch(Id::AllowEmpty, "allow-empty", "let an empty answer empty the volume")
        .file("guards.allowEmpty"),
    row(
        Id::Control,
        "control",
        Unit::Prefix,
        "Consul prefix whose keys freeze and accept speak to the whole fleet",
    )
    .file("control.prefix")
    .advanced(),
    row(Id::Http, "http", Unit::Listen, "where health, status and metrics are served")
        .file("http")
        .or("[::]:4292"),
    row(
        Id::ExecDir,
        "exec-dir",
        Unit::Dir,
        "directory shared with an application that `seedcar exec` starts",
    )
    .file("exec.dir")
    .advanced(),
    switch(Id::Events, "events", "tell Kubernetes of holds, backups used and recovery, as Events")
        .file("events")
        .advanced(),
    row(
        Id::PodName,
        "pod-name",
        Unit::Name,
        "name of this pod, for its Events; else the host name",
    )
    .advanced(),
    row(Id::PodUid, "pod-uid", Unit::Name, "uid of this pod, for its Events").advanced(),
    row(
        Id::LogFormat,
        "log-format",
        Unit::Word("FORMAT", "auto, json, text"),
        "form of a log line: json, text or auto (text on a terminal)",
    )
    .file("log.format")
    .or("auto")
    .advanced(),
    row(
        Id::LogLevel,
        "log-level",
        Unit::Word("LEVEL", "error, warn, info, debug"),
        "how much to log: error, warn, info or debug",
    )
    .file("log.level")
    .or("info"),
    row(
        Id::TerminationLog,
        "termination-log",
        Unit::File,
        "where Kubernetes looks for a last message",
    )
    .or("/dev/termination-log")
    .advanced(),
];

const fn row(id: Id, name: &'static str, unit: Unit, help: &'static str) -> Setting {
    Setting {
        id,
        name,
        flag: true,
        unit,
        repeats: false,
        file: None,
        consul: None,
        default: "",
        help,
        secret: false,
        advanced: false,
    }
}

const fn switch(id: Id, name: &'static str, help: &'static str) -> Setting {
    row(id, name, Unit::Switch, help).or("false")
}

impl Setting {
    const fn file(mut self, path: &'static str) -> Self {
        self.file = Some(path);
        self
    }

    const fn consul(mut self, variable: &'static str) -> Self {
        self.consul = Some(variable);
        self
    }

    const fn only_consul(mut self, variable: &'static str) -> Self {
        self.flag = false;
        self.consul(variable)
    }

    const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn advanced(mut self) -> Self {
        self.advanced = true;
        self
    }
}
