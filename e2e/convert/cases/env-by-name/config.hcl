template {
  destination = "out/web.env"
  perms       = 0400
  command     = "true"
  contents = <<EOF
# database
DB_HOST={{ key "apps/web/db/host" }}
DB_PORT="{{ key "apps/web/db/port" }}"

LOG_LEVEL={{ key "apps/web/log-level" }}
EOF
}
