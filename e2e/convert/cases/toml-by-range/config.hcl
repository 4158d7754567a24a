template {
  destination = "out/flags.toml"
  contents = "{{ range ls \"apps/web/flags\" }}{{ .Key }} = \"{{ .Value }}\"\n{{ end }}"
}
