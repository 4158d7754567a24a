template {
  destination = "out/flags.yml"
  contents = "{{ range ls \"apps/web/flags\" }}{{ .Key }}: {{ .Value }}\n{{ end }}"
}
