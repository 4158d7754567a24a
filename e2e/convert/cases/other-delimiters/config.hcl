default_delimiters {
  left  = "[["
  right = "]]"
}
template {
  contents    = "[[ key \"apps/web/db/host\" ]]"
  destination = "out/host"
}
template {
  contents        = "<< key \"apps/web/db/port\" >>"
  destination     = "out/port"
  left_delimiter  = "<<"
  right_delimiter = ">>"
}
