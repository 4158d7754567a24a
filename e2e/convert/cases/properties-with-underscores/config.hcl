template {
  contents    = "{{ range tree \"apps/java\" }}{{ .Key | replaceAll \"/\" \"_\" | toLower }}={{ .Value }}\n{{ end }}"
  destination = "out/application.properties"
}
