consul {
  address    = "https://consul.example:8501"
  token_file = "/var/run/secrets/consul/token"
  ssl {
    ca_path = "/etc/consul/ca"
    cert    = "/etc/consul/client.pem"
  }
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
}
