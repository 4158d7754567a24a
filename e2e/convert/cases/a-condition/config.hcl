template {
  destination = "out/feature.conf"
  contents = <<EOF
# features
{{ if keyExists "apps/web/feature" }}
feature = on
{{ end }}
EOF
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
