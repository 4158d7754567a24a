template {
  destination = "out/web.toml"
  contents = <<EOF
# made from apps/web
{{ tree "apps/web" | explode | toTOML }}
EOF
}
