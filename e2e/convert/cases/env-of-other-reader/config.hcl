template {
  destination = "out/web.conf"
  contents = "{{range ls \"apps/web/env\"}}{{.Key | toUpper}}={{.Value}}\n{{end}}"
}
