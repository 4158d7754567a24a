{{/* Items for `initContainers`: what fills the volume, and what keeps it fresh where that is native. */}}
{{- define "seedcar.initContainers" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
- name: seedcar-init
  {{- $root := .root | default . }}
  {{- include "seedcar.container" (dict "root" $root "values" .values "name" .name "init" true) | nindent 2 }}
  args: [init]
{{- if include "seedcar.native" . }}
- name: seedcar
  restartPolicy: Always
  {{- include "seedcar.sidecar" . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Items for `containers`: the sidecar where it cannot be native, else nothing. */}}
{{- define "seedcar.containers" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if and $values.enabled (ne $values.mode "init-only") (not (include "seedcar.native" .)) -}}
- name: seedcar
  {{- include "seedcar.sidecar" . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "seedcar.sidecar" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{ include "seedcar.container" . }}
args: [run]
ports:
  - name: seedcar
    containerPort: {{ $values.http.port }}
    protocol: TCP
livenessProbe:
  httpGet:
    path: /livez
    port: {{ $values.http.port }}
  {{- toYaml $values.livenessProbe | nindent 2 }}
{{- end -}}

{{/* What both containers have. */}}
{{- define "seedcar.container" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
image: {{ include "seedcar.image" . | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
env:
  {{- include "seedcar.settings" . | nindent 2 }}
volumeMounts:
  - name: seedcar
    mountPath: /seedcar
  {{- if not (has $values.backup.type (list "secrets" "none")) }}
  - name: seedcar-backup
    mountPath: /backup
    {{- if eq $values.backup.mode "read" }}
    readOnly: true
    {{- end }}
  {{- end }}
  {{- if $values.exec.enabled }}
  - name: seedcar-exec
    mountPath: /seedcar-exec
    {{- if not .init }}
    readOnly: true
    {{- end }}
  {{- end }}
  {{- if include "seedcar.api" $values }}
  - name: seedcar-kubernetes
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
  {{- if $values.consul.tokenSecret.name }}
  - name: seedcar-token
    mountPath: /etc/seedcar/token
    readOnly: true
  {{- end }}
  {{- if $values.consul.login.method }}
  - name: seedcar-login
    mountPath: /etc/seedcar/login
    readOnly: true
  {{- end }}
  {{- if $values.consul.tls.caSecret }}
  - name: seedcar-ca
    mountPath: /etc/seedcar/ca
    readOnly: true
  {{- end }}
  {{- if $values.consul.tls.certSecret }}
  - name: seedcar-cert
    mountPath: /etc/seedcar/cert
    readOnly: true
  {{- end }}
resources:
  {{- $resources := deepCopy $values.resources }}
  {{- if not $resources.limits.memory }}
  {{- $_ := set $resources.limits "memory" (printf "%sMi" (include "seedcar.memory.least" $values)) }}
  {{- end }}
  {{- toYaml $resources | nindent 2 }}
securityContext:
  {{- include "seedcar.securityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* What the profile `restricted` asks for, with a user where the cluster does not choose one. */}}
{{- define "seedcar.securityContext" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- $context := dict
      "allowPrivilegeEscalation" false
      "capabilities" (dict "drop" (list "ALL"))
      "readOnlyRootFilesystem" true
      "runAsNonRoot" true
      "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $found := $root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if not (ternary $found (eq (toString $values.openshift) "true") (eq (toString $values.openshift) "auto")) -}}
{{- $_ := merge $context (dict "runAsUser" 65532 "runAsGroup" 65532) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $context $values.securityContext) -}}
{{- end -}}

{{/* The settings that differ from the program's own. */}}
{{- define "seedcar.settings" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $settings := list -}}
{{- $services := false -}}
{{- range $values.sources -}}{{- if .service -}}{{- $services = true -}}{{- end -}}{{- end -}}
{{- $config := $values.config -}}
{{- if $values.prefix -}}
{{- $settings = append $settings (list "SEEDCAR_PREFIX" $values.prefix) -}}
{{- else if $services -}}
{{- /* Only the file can say what is said of a service. */ -}}
{{- $config = merge (dict "sources" $values.sources) $config -}}
{{- else -}}
{{- $pairs := list -}}
{{- range $values.sources -}}{{- $pairs = append $pairs (printf "%s=%s" .name .prefix) -}}{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_SOURCE" (join "," $pairs)) -}}
{{- $optional := list -}}
{{- range $values.sources -}}{{- if eq (toString .required) "false" -}}{{- $optional = append $optional .name -}}{{- end -}}{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_OPTIONAL" (join "," $optional)) -}}
{{- $atomic := list -}}
{{- range $values.sources -}}{{- if eq (toString .atomic) "true" -}}{{- $atomic = append $atomic .name -}}{{- end -}}{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_ATOMIC" (join "," $atomic)) -}}
{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_FILE" (join "," $values.files)) -}}
{{- if $config -}}
{{- /* A $ would begin a reference to another variable. */ -}}
{{- $settings = append $settings (list "SEEDCAR_CONFIG" ($config | toJson | replace "$" "$$")) -}}
{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_CONSUL" $values.consul.address) -}}
{{- $settings = append $settings (list "SEEDCAR_DATACENTER" $values.consul.datacenter) -}}
{{- $settings = append $settings (list "SEEDCAR_NAMESPACE" $values.consul.namespace) -}}
{{- $settings = append $settings (list "SEEDCAR_PARTITION" $values.consul.partition) -}}
{{- if $values.consul.tokenSecret.name -}}
{{- $settings = append $settings (list "SEEDCAR_TOKEN_FILE" (printf "/etc/seedcar/token/%s" $values.consul.tokenSecret.key)) -}}
{{- end -}}
{{- if $values.consul.login.method -}}
{{- $settings = append $settings (list "SEEDCAR_LOGIN_METHOD" $values.consul.login.method) -}}
{{- $settings = append $settings (list "SEEDCAR_LOGIN_TOKEN_FILE" "/etc/seedcar/login/token") -}}
{{- $settings = append $settings (list "SEEDCAR_LOGIN_META" (printf "namespace=%s" (.root | default .).Release.Namespace)) -}}
{{- end -}}
{{- if $values.consul.tls.caSecret -}}
{{- $settings = append $settings (list "SEEDCAR_CA_FILE" (printf "/etc/seedcar/ca/%s" $values.consul.tls.caKey)) -}}
{{- end -}}
{{- if $values.consul.tls.certSecret -}}
{{- $settings = append $settings (list "SEEDCAR_CLIENT_CERT" "/etc/seedcar/cert/tls.crt") -}}
{{- $settings = append $settings (list "SEEDCAR_CLIENT_KEY" "/etc/seedcar/cert/tls.key") -}}
{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_TLS_SERVER_NAME" $values.consul.tls.serverName) -}}
{{- $settings = append $settings (list "SEEDCAR_NO_WATCH" (ternary "" "true" $values.watch.enabled)) -}}
{{- $settings = append $settings (list "SEEDCAR_WAIT" $values.watch.wait) -}}
{{- $settings = append $settings (list "SEEDCAR_NO_HEARTBEAT" (ternary "" "true" $values.heartbeat.enabled)) -}}
{{- $settings = append $settings (list "SEEDCAR_HEARTBEAT" $values.heartbeat.interval) -}}
{{- $settings = append $settings (list "SEEDCAR_SEED_TIMEOUT" $values.seed.timeout) -}}
{{- $settings = append $settings (list "SEEDCAR_ALLOW_EMPTY" (ternary "true" "" $values.guards.allowEmpty)) -}}
{{- $settings = append $settings (list "SEEDCAR_MAX_SHRINK_PERCENT" $values.guards.maxShrinkPercent) -}}
{{- $settings = append $settings (list "SEEDCAR_MAX_BYTES" $values.guards.maxBytes) -}}
{{- $settings = append $settings (list "SEEDCAR_MAX_KEYS" $values.guards.maxKeys) -}}
{{- if eq $values.backup.type "none" -}}
{{- $settings = append $settings (list "SEEDCAR_NO_BACKUP" "true") -}}
{{- else -}}
{{- $settings = append $settings (list "SEEDCAR_BACKUP_MODE" (ternary "read" "" (eq $values.backup.mode "read"))) -}}
{{- $settings = append $settings (list "SEEDCAR_BACKUP_ID" $values.backup.id) -}}
{{- end -}}
{{- if eq $values.backup.type "secrets" -}}
{{- $settings = append $settings (list "SEEDCAR_BACKUP_SECRETS" (include "seedcar.secrets" . | fromYamlArray | join ",")) -}}
{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_LAYOUT" (ternary "plain" "" (eq $values.volume.layout "plain"))) -}}
{{- $settings = append $settings (list "SEEDCAR_EXEC_DIR" (ternary "/seedcar-exec" "" $values.exec.enabled)) -}}
{{- $settings = append $settings (list "SEEDCAR_EVENTS" (ternary "true" "" $values.events.enabled)) -}}
{{- if ne (int64 $values.http.port) 4292 -}}
{{- $settings = append $settings (list "SEEDCAR_HTTP" (printf "[::]:%d" (int64 $values.http.port))) -}}
{{- end -}}
{{- $settings = append $settings (list "SEEDCAR_LOG_LEVEL" $values.log.level) -}}
{{- $env := list -}}
{{- range $settings -}}
{{- $value := last . -}}
{{- if not (kindIs "string" $value) -}}{{- $value = int64 $value | toString -}}{{- end -}}
{{- if $value -}}{{- $env = append $env (dict "name" (first .) "value" $value) -}}{{- end -}}
{{- end -}}
{{- $facts := dict -}}
{{- if or $values.events.enabled $values.consul.login.method -}}{{- $_ := set $facts "SEEDCAR_POD_NAME" "metadata.name" -}}{{- end -}}
{{- if $values.events.enabled -}}{{- $_ := set $facts "SEEDCAR_POD_UID" "metadata.uid" -}}{{- end -}}
{{- range $name, $path := $facts -}}
{{- $env = append $env (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $path))) -}}
{{- end -}}
{{- toYaml (concat $env $values.extraEnv) -}}
{{- end -}}
