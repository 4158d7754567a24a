template {
  source      = "nginx.conf.ctmpl"
  destination = "out/nginx.conf"
  command     = "true"
}
template {
  contents    = "{{ key \"apps/web/greeting\" }}"
  destination = "out/index.txt"
  command     = ["true", "--reload nginx"]
}
