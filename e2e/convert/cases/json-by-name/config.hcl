template {
  source      = "web.json.ctmpl"
  destination = "out/web.json"
}
