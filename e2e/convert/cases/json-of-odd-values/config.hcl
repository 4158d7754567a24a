template {
  contents    = "{{ tree \"apps/odd/\" | explode | toUnescapedJSONPretty }}"
  destination = "out/odd.json"
}
template {
  contents    = "{{ tree \"apps/odd/\" | explode | toYAML }}"
  destination = "out/odd.yaml"
}
template {
  contents    = "{{ tree \"apps/odd/\" | explode | toTOML }}"
  destination = "out/odd.toml"
}
