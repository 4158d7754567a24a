template {
  destination = "out/.done"
  contents = <<EOF
{{ range tree "apps/web" }}
{{ .Value | writeToFile (printf "out/web/%s" .Key) "" "" "0400" }}
{{ end }}
EOF
}
