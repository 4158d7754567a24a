template {
  destination = "out/app.env"
  contents = <<EOF
{{- range ls "shared/env" }}
{{ .Key | toUpper }}={{ .Value }}
{{- end }}
{{- range ls "apps/web/env" }}
{{ .Key | toUpper }}={{ .Value }}
{{- end }}
EOF
}
