template {
  destination = "out/application.properties"
  contents = <<EOF
# the database
db.host={{ key "apps/java/db/host" }}
db.pool.max={{ key "apps/java/db/pool/max" }}

title={{ key "apps/java/title" }}
EOF
}
