consul {
  address   = "consul.example:8501"
  token     = "c4n4ry-token"
  namespace = "team-a"
  auth {
    enabled  = true
    username = "web"
    password = "c4n4ry-password"
  }
  ssl {
    enabled     = true
    verify      = false
    ca_cert     = "/etc/consul/ca.pem"
    cert        = "/etc/consul/client.pem"
    key         = "/etc/consul/client.key"
    server_name = "server.dc1.consul"
  }
}
template {
  contents    = "{{ key \"apps/web/db/host\" }}"
  destination = "out/host"
  user        = "web"
  gid         = 1000
}
