template {
  source      = "greeting.ctmpl"
  destination = "out/greeting.txt"
  perms       = "0640"
}
