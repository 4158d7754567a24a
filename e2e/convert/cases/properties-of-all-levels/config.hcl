template {
  source      = "application.properties.ctmpl"
  destination = "out/application.properties"
}
