template {
  destination = "out/web.yaml"
  contents = <<EOF
---
# made from apps/web
{{ tree "apps/web" | explode | toYAML }}
EOF
}
