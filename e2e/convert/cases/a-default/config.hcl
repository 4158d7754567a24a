template {
  contents    = "{{ keyOrDefault \"apps/web/motd\" \"no message: \\\"today\\\" \u00e9\" }}"
  destination = "out/motd"
}
template {
  contents    = "{{ keyOrDefault `apps/web/greeting` `none` }}"
  destination = "out/greeting"
}
