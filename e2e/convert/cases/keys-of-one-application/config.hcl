template {
  contents    = "{{key \"apps/web/db/host\"}}"
  destination = "out/db/host"
}
template {
  contents    = "{{key \"apps/web/greeting\"}}"
  destination = "out/greeting"
}
template {
  contents    = "{{key \"shared/tls/cert\"}}"
  destination = "out/tls/tls.crt"
}
template {
  contents    = "{{key \"shared/tls/key\"}}"
  destination = "out/tls/tls.key"
  perms       = 0400
}
