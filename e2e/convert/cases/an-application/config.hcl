template {
  source      = "web.env.ctmpl"
  destination = "out/web.env"
}
exec {
  command       = ["/usr/local/bin/web", "--config", "/etc/web env/web.env"]
  reload_signal = "SIGUSR1"
  kill_signal   = "SIGTERM"
  kill_timeout  = "5s"
  splay         = "10s"
  env {
    pristine = true
  }
}
