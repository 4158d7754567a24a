template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
template {
  contents    = "{{ key \"apps/web/db/host@dc2\" }}"
  destination = "out/host-dc2"
}
template {
  contents    = "{{ key \"apps/web/db/host?ns=team\" }}"
  destination = "out/host-ns"
}
