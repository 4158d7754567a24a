template {
  contents    = "{{ tree \"apps/web\" | explode | toJSON }}"
  destination = "out/web.json"
}
