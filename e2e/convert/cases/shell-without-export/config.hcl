template {
  destination = "out/settings.sh"
  contents = "{{ range ls \"apps/web/env\" }}{{ .Key | toUpper }}='{{ .Value }}'\n{{ end }}"
}
