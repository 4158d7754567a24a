vault {
  address     = "https://vault.example:8200"
  token       = "s.c4n4ry-of-vault"
  renew_token = true
}
template {
  destination = "out/db.env"
  contents = <<EOF
{{ with secret "database/creds/web" }}
DB_USER={{ .Data.username }}
DB_PASSWORD={{ .Data.password }}
{{ end }}
EOF
}
