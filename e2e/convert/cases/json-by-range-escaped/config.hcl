template {
  destination = "out/java.json"
  contents = <<EOF
{
  {{- range $i, $pair := tree "apps/java" }}
  {{- if ne $i 0 }},{{ end }}
  "{{ $pair.Key | replaceAll "/" "." }}": {{ $pair.Value | toJSON }}
  {{- end }}
}
EOF
}
