log_level = "err"
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
