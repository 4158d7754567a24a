template {
  destination = "out/.env"
  contents = <<-EOT
    {{ range tree "apps/api/" }}
    {{ .Key | replaceAll "/" "_" | replaceAll "-" "_" | toUpper }}={{ .Value }}
    {{- end }}
  EOT
}
