consul { address = "127.0.0.1:8500" retry { attempts = 0 } }
template = { contents = "{{ key \"apps/web/db/host\" }}", destination = "out/host", perms = 0444 }
template { contents = "{{ key `apps/web/db/port` }}" destination = "out/port" } // the port
