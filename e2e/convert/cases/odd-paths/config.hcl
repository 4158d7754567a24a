template {
  contents    = "{{ key \"top\" }}"
  destination = "out/top"
}
template {
  contents    = "{{ key \"apps/../x\" }}"
  destination = "out/dots"
}
template {
  contents    = "{{ tree \"/\" | explode | toJSON }}"
  destination = "out/all.json"
}
template {
  contents    = "{{ key \"apps/web/\" }}"
  destination = "out/directory"
}
