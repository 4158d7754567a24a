template {
  source      = "haproxy.cfg.ctmpl"
  destination = "out/haproxy.cfg"
}
template {
  destination = "out/list.txt"
  contents    = "{{ range ls \"apps/web\" }}{{ .Key }}={{ .Value }};{{ end }}"
}
template {
  destination = "out/upper.txt"
  contents    = "{{ key \"apps/web/greeting\" | regexReplaceAll \"l+\" \"L\" }}"
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
