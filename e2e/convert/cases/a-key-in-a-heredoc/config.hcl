template {
  destination = "out/db-host"
  contents = <<EOF
{{ key "apps/web/db/host" }}
EOF
}
