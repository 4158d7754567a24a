exec {
  command = "cd /srv && exec ./web"
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
  exec {
    command = "systemctl restart web"
    timeout = "10s"
  }
}
