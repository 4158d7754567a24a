consul {
  address = "127.0.0.1:8500"
  retry {
    enabled  = true
    attempts = 12
    backoff  = "250ms"
  }
  transport {
    dial_timeout = "10s"
  }
}
reload_signal    = "SIGHUP"
kill_signal      = "SIGINT"
max_stale        = "10m"
block_query_wait = "60s"
log_level        = "debug"
pid_file         = "pid"
wait {
  min = "5s"
  max = "10s"
}
deduplicate {
  enabled = false
}
syslog {
  enabled = false
}
template_error_fatal = true
template {
  contents             = "{{ key \"apps/web/db/host\" }}"
  destination          = "out/host"
  create_dest_dirs     = true
  error_on_missing_key = true
  backup               = true
  wait                 = "2s:6s"
}
