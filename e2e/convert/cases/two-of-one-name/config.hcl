template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/a/value"
}
template {
  contents    = "{{ key \"apps/web/db/port\" }}"
  destination = "out/b/value"
}
template {
  contents    = "{{ tree \"apps/web/env\" | explode | toJSON }}"
  destination = "out/env.json"
}
template {
  contents    = "{{ tree \"shared/env\" | explode | toJSON }}"
  destination = "out/shared.json"
}
