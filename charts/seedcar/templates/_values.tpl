{{/*
What the templates are called with: the root of the chart that uses them, or
(dict "root" . "values" X) where X wins over .Values.seedcar, for a chart with several workloads; with
"name" N, too, where a workload has objects of its own: what `seedcar.objects` makes of the same dict has
that name then, or with "name" "" the name of the release.
*/}}
{{- define "seedcar.values" -}}
{{- $root := .root | default . -}}
{{- if not (hasKey $root.Values "seedcar") -}}
{{- fail "seedcar: no values found at .Values.seedcar; the dependency must keep its name, without an alias" -}}
{{- end -}}
{{- $values := mergeOverwrite (deepCopy $root.Values.seedcar) (deepCopy (.values | default dict)) -}}
{{- include "seedcar.check" $values -}}
{{- if and .values (not (kindIs "string" .name)) -}}
{{- include "seedcar.check.shared" (dict "shared" $root.Values.seedcar "own" $values) -}}
{{- end -}}
{{- toYaml $values -}}
{{- end -}}

{{/* A workload without a name uses the objects of the chart: they must be there. Prints nothing. */}}
{{- define "seedcar.check.shared" -}}
{{- $lacks := list -}}
{{- $asked := ternary .shared (dict "backup" (dict "type" "none") "events" dict) .shared.enabled -}}
{{- if and .own.enabled (eq .own.backup.type "secrets") -}}
{{- if ne $asked.backup.type "secrets" -}}
{{- $lacks = append $lacks "backup.type secrets" -}}
{{- else if gt (int .own.backup.secrets.count) (int $asked.backup.secrets.count) -}}
{{- $lacks = append $lacks (printf "backup.secrets.count %d" (int .own.backup.secrets.count)) -}}
{{- else if and (ne .own.backup.mode "read") (eq $asked.backup.mode "read") -}}
{{- $lacks = append $lacks (printf "backup.mode %s" .own.backup.mode) -}}
{{- end -}}
{{- end -}}
{{- if and .own.enabled .own.events.enabled (not $asked.events.enabled) -}}
{{- $lacks = append $lacks "events.enabled" -}}
{{- end -}}
{{- if and (include "seedcar.api" .own) (ne .own.serviceAccount.name .shared.serviceAccount.name) -}}
{{- $lacks = append $lacks (printf "serviceAccount.name %s" .own.serviceAccount.name) -}}
{{- end -}}
{{- if $lacks -}}
{{- fail (printf "seedcar: the values of one workload ask for %s, and the objects of .Values.seedcar have no such: give the workload a name, (dict \"root\" . \"values\" X \"name\" \"worker\"), and include seedcar.objects with the same dict, too" (join " and " $lacks)) -}}
{{- end -}}
{{- end -}}

{{/* What a schema cannot say. Prints nothing. */}}
{{- define "seedcar.check" -}}
{{- if .enabled -}}
{{- if and .prefix .sources -}}
{{- fail "seedcar: set seedcar.prefix or seedcar.sources, not both" -}}
{{- end -}}
{{- if not (or .prefix .sources) -}}
{{- fail "seedcar: seedcar.prefix is needed: the Consul prefix to mirror, such as apps/web" -}}
{{- end -}}
{{- if not .consul.address -}}
{{- fail "seedcar: seedcar.consul.address is needed: where Consul answers, such as consul-server.consul:8500" -}}
{{- end -}}
{{- if and (hasPrefix "https://" .consul.address) (not .consul.tls.caSecret) -}}
{{- fail "seedcar: seedcar.consul.tls.caSecret is needed for an https address: the image has no authorities of its own" -}}
{{- end -}}
{{- if and .consul.login.method .consul.tokenSecret.name -}}
{{- fail "seedcar: set seedcar.consul.login.method or seedcar.consul.tokenSecret.name, not both: a login makes its own token" -}}
{{- end -}}
{{- if and .consul.login.audience (not .consul.login.method) -}}
{{- fail "seedcar: seedcar.consul.login.method is needed where seedcar.consul.login.audience is set" -}}
{{- end -}}
{{- if not (or .watch.enabled .heartbeat.enabled) -}}
{{- fail "seedcar: seedcar.watch.enabled and seedcar.heartbeat.enabled are both false: nothing would keep the files fresh" -}}
{{- end -}}
{{- if and (eq .backup.type "existingClaim") (not .backup.existingClaim) -}}
{{- fail "seedcar: seedcar.backup.existingClaim is needed where seedcar.backup.type is existingClaim" -}}
{{- end -}}
{{- if and .backup.existingClaim (ne .backup.type "existingClaim") -}}
{{- fail (printf "seedcar: seedcar.backup.existingClaim is set, but seedcar.backup.type is %s" .backup.type) -}}
{{- end -}}
{{- if and .exec.enabled (hasPrefix (printf "%s/" (trimSuffix "/" .volume.mountPath)) (printf "%s/" .exec.mountPath)) -}}
{{- fail (printf "seedcar: seedcar.exec.mountPath (%s) lies in seedcar.volume.mountPath (%s), which the application cannot write; name a path of its own" .exec.mountPath .volume.mountPath) -}}
{{- end -}}
{{- $payload := include "seedcar.mebibytes" .guards.maxBytes | int64 -}}
{{- $made := include "seedcar.made" . | int64 -}}
{{- $room := mul $payload (add1 (mul 2 $made)) -}}
{{- if lt (include "seedcar.mebibytes" .volume.sizeLimit | int64) $room -}}
{{- if $made -}}
{{- fail (printf "seedcar: seedcar.volume.sizeLimit (%s) is less than %dMi: seedcar.guards.maxBytes (%s) once for the tree and twice for each file of all keys (seedcar.files, seedcar.config.outputs), which is written anew beside the old one; raise it, or lower guards.maxBytes" .volume.sizeLimit $room .guards.maxBytes) -}}
{{- else -}}
{{- fail (printf "seedcar: seedcar.volume.sizeLimit (%s) is less than seedcar.guards.maxBytes (%s): what is let through would not fit; two or three times as much is right" .volume.sizeLimit .guards.maxBytes) -}}
{{- end -}}
{{- end -}}
{{- $given := .resources.limits.memory -}}
{{- if $given -}}
{{- $least := include "seedcar.memory.least" . | int64 -}}
{{- if lt (include "seedcar.mebibytes" $given | int64) $least -}}
{{- fail (printf "seedcar: seedcar.resources.limits.memory is %s, but %dMi are needed: 1.25 x volume.sizeLimit (%s) + 2.2 x guards.maxBytes (%s) + 8Mi, and more for backups in Secrets and for files; leave it empty, or lower those" $given $least .volume.sizeLimit .guards.maxBytes) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity in whole MiB, rounded up. The schema allows Ki, Mi and Gi. */}}
{{- define "seedcar.mebibytes" -}}
{{- $text := toString . -}}
{{- if hasSuffix "Gi" $text -}}
{{- mul (trimSuffix "Gi" $text | int64) 1024 -}}
{{- else if hasSuffix "Mi" $text -}}
{{- trimSuffix "Mi" $text | int64 -}}
{{- else -}}
{{- div (add (trimSuffix "Ki" $text | int64) 1023) 1024 -}}
{{- end -}}
{{- end -}}

{{/* How many files are made of all keys. */}}
{{- define "seedcar.made" -}}
{{- $made := len .files -}}
{{- range .config.outputs -}}
{{- if and .file (not .file.key) -}}{{- $made = add1 $made -}}{{- end -}}
{{- end -}}
{{- $made -}}
{{- end -}}

{{/* The documented minimum of the memory limit in MiB: tmpfs with its slab, payload, the program; what is
packed, where backups are in Secrets; and files of all keys, while they are made. */}}
{{- define "seedcar.memory.least" -}}
{{- $size := include "seedcar.mebibytes" .volume.sizeLimit | int64 -}}
{{- $payload := include "seedcar.mebibytes" .guards.maxBytes | int64 -}}
{{- $secrets := ternary (add 8 (mul 3 (int64 .backup.secrets.count))) 0 (eq .backup.type "secrets") -}}
{{- $made := include "seedcar.made" . | int64 -}}
{{- $files := ternary (div (add (mul $payload 11 (add1 $made)) 9) 10) 0 (gt $made 0) -}}
{{- add (div (add (mul $size 5) 3) 4) (div (add (mul $payload 22) 9) 10) 8 $secrets $files -}}
{{- end -}}

{{/* True where the sidecar is an init container that keeps running: stable from 1.29, but kubelets
may be three minors older than the cluster says. */}}
{{- define "seedcar.native" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- if eq $values.mode "auto" -}}
{{- if semverCompare ">=1.32.0-0" $root.Capabilities.KubeVersion.Version -}}true{{- end -}}
{{- else if eq $values.mode "native" -}}true{{- end -}}
{{- end -}}

{{/* True where the Kubernetes API is asked: only then a token for it is mounted, and in seedcar's
containers alone. The one to log in to Consul with is another, and asks for no right. */}}
{{- define "seedcar.api" -}}
{{- if and .enabled (or (eq .backup.type "secrets") .events.enabled) -}}true{{- end -}}
{{- end -}}

{{/* The names of the Secrets with backups, as a list. */}}
{{- define "seedcar.secrets" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $names := list -}}
{{- if eq $values.backup.type "secrets" -}}
{{- range $at := until (int $values.backup.secrets.count) -}}
{{- $names = append $names (printf "%s-backup-%d" (include "seedcar.name" $) $at) -}}
{{- end -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}

{{/* What pods and monitors find each other by, and what all objects are called. */}}
{{- define "seedcar.name" -}}
{{- $root := .root | default . -}}
{{- if .name -}}
{{- $name := printf "%s-%s-seedcar" $root.Release.Name .name -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "seedcar: %s is longer than 63 characters; give the workload or the release a shorter name" $name) -}}
{{- end -}}
{{- $name -}}
{{- else -}}
{{- printf "%s-seedcar" ($root.Release.Name | trunc 55 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "seedcar.image" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- $registry := ($root.Values.global | default dict).imageRegistry | default $values.image.registry -}}
{{- if $registry -}}{{- $registry -}}/{{- end -}}
{{- $values.image.repository -}}
{{- if $values.image.digest -}}
@{{- $values.image.digest -}}
{{- else -}}
:{{- $values.image.tag | default $root.Subcharts.seedcar.Chart.AppVersion -}}
{{- end -}}
{{- end -}}
