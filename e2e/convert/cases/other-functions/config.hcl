template {
  destination = "out/machine.txt"
  contents = <<EOF
host: {{ env "HOSTNAME" }}
EOF
}
template {
  destination = "out/time.txt"
  contents    = "{{ timestamp }} {{ key \"apps/web/db/host\" }}"
}
template {
  destination = "out/static.txt"
  contents    = "nothing from Consul"
}
template {
  destination = "out/greeting.b64"
  contents    = "{{ key \"apps/web/greeting\" | base64Encode }}"
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
