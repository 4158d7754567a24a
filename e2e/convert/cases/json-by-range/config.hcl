template {
  destination = "out/web.json"
  contents = <<EOF
{
{{ range $i, $pair := ls "apps/web/env" }}{{ if $i }},{{ end }}
  "{{ $pair.Key }}": "{{ $pair.Value }}"{{ end }}
}
EOF
}
