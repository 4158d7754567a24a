template {
  destination = "out/.done"
  contents    = "{{ range tree \"apps/web\" }}{{ .Value | writeToFile (printf \"out/web/%s\" .Key) \"root\" \"root\" \"0440\" }}{{ end }}"
}
