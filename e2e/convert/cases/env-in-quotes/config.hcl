template {
  destination = "out/app.env"
  contents = <<EOF
{{ range safeLs "apps/web/env" }}{{ toUpper .Key }}="{{ .Value }}"
{{ end }}
EOF
}
