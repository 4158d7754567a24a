template {
  contents    = "{{ range tree \"apps/java\" }}{{ .Key }}={{ .Value }}\n{{ end }}"
  destination = "out/application.properties"
}
