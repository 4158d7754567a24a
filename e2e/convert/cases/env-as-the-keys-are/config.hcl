template {
  destination = "out/app.env"
  contents = "{{range $k, $pair := ls \"apps/web/env/\"}}{{$pair.Key}}={{$pair.Value}}\n{{end}}"
}
