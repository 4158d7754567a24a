template {
  destination = "out/a"
  contents = <<EOF
first line
{{ range ls "apps/web" }}
EOF
}
template {
  destination = "out/b"
  contents    = "{{ key \"apps/web/db/host }}"
}
template {
  destination = "out/c"
  source      = "there-is-none.ctmpl"
}
template {
  destination = "out/d"
}
template {
  contents = "{{ key \"apps/web/db/host\" }}"
}
unknown_setting = true
