template {
  destination = "out/env.sh"
  contents = <<EOF
{{ range ls "apps/web/env" }}
export {{ .Key }}="{{ .Value }}"
{{ end }}
EOF
}
