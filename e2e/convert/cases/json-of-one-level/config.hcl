template {
  source      = "web.json.tpl"
  destination = "out/web.json"
  perms       = 0444
}
