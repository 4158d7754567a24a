template {
  contents    = "{{ key \"apps/web/db/host@dc1\" }}"
  destination = "out/host"
}
template {
  contents    = "{{ tree \"apps/web@dc1\" | explode | toJSON }}"
  destination = "out/web.json"
}
