consul {
  address = "127.0.0.1:8500"
}

template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/etc/web/db-host"
  perms       = 0600
}
