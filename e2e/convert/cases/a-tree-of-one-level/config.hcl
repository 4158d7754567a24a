template {
  destination = "out/.done"
  contents    = "{{ range $p := ls \"apps/web/env\" }}{{ $p.Value | writeToFile (print \"out/env.d/\" $p.Key) \"\" \"\" \"0644\" }}{{ end }}"
}
