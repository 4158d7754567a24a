template {
  destination = "out/web.env"
  contents = <<EOF
PGHOST={{ key "apps/web/db/host" }}
PGPORT={{ key "apps/web/db/port" }}
EOF
}
template {
  contents    = "{{ key \"apps/web/db/port\" }}"
  destination = "out/port"
}
