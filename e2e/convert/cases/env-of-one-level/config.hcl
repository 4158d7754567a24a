template {
  source      = "app.env.ctmpl"
  destination = "out/app.env"
  perms       = 0440
}
