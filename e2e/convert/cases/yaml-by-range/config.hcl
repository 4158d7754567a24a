template {
  destination = "out/flags.yaml"
  contents = "{{ range ls \"apps/web/flags\" }}{{ .Key }}: \"{{ .Value }}\"\n{{ end }}"
}
