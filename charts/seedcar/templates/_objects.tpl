{{/* Every object that is asked for beside the pod: one include in a file of its own. */}}
{{- define "seedcar.objects" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
{{- include "seedcar.kubernetes" . }}
{{- include "seedcar.podMonitor" . }}
{{- include "seedcar.rules" . }}
{{- include "seedcar.dashboard" . }}
{{- end }}
{{- end -}}

{{/* True where an object of this kind is to be made: (dict "root" . "kind" K "mode" renderMode). */}}
{{- define "seedcar.renders" -}}
{{- $kind := printf "monitoring.coreos.com/v1/%s" .kind -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has $kind) -}}
true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "seedcar: this cluster has no %s; install the Prometheus operator's, or set renderMode to skipIfMissing" $kind) -}}
{{- end -}}
{{- end -}}

{{- define "seedcar.labels" -}}
{{- $root := .root | default . -}}
app.kubernetes.io/name: seedcar
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* Where the Kubernetes API is asked: the Secrets, empty (nobody can be allowed to make Secrets of
certain names only; without `data` here an upgrade leaves what is in them), and the right to use them. */}}
{{- define "seedcar.kubernetes" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- if include "seedcar.api" $values -}}
{{- $name := include "seedcar.name" . -}}
{{- $secrets := include "seedcar.secrets" . | fromYamlArray -}}
{{- $labels := include "seedcar.labels" . -}}
{{- range $secrets }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ . }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
type: Opaque
{{- end }}
{{- if not $values.serviceAccount.name }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
automountServiceAccountToken: false
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- if $secrets }}
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      {{- toYaml $secrets | nindent 6 }}
    verbs: {{ ternary "[get]" "[get, patch]" (eq $values.backup.mode "read") }}
  {{- end }}
  {{- if $values.events.enabled }}
  - apiGroups: [""]
    resources: [events]
    verbs: [create]
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "seedcar.serviceAccountName" . }}
    namespace: {{ $root.Release.Namespace }}
{{ end }}
{{- end -}}

{{/* Pods, not a Service: the port of a native sidecar is not found by a Service's named port before
Kubernetes 1.32. */}}
{{- define "seedcar.podMonitor" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- $monitor := $values.metrics.podMonitor -}}
{{- if and $monitor.enabled (include "seedcar.renders" (dict "root" $root "kind" "PodMonitor" "mode" $monitor.renderMode)) -}}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "seedcar.name" . }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "seedcar.labels" . | nindent 4 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "seedcar.podLabels" . | nindent 6 }}
  podMetricsEndpoints:
    - port: seedcar
      path: /metrics
      interval: {{ $monitor.interval }}
{{ end }}
{{- end -}}

{{/* The alerts of files/rules.yaml, with the thresholds of the values. */}}
{{- define "seedcar.rules" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- $rules := $values.metrics.rules -}}
{{- if and $rules.enabled (include "seedcar.renders" (dict "root" $root "kind" "PrometheusRule" "mode" $rules.renderMode)) -}}
{{- $file := $root.Subcharts.seedcar.Files.Get "files/rules.yaml" -}}
{{- range $name, $value := $rules.thresholds -}}
{{- $file = replace (printf "@%s@" $name) (toString $value) $file -}}
{{- end -}}
{{- $known := list -}}
{{- $alerts := list -}}
{{- range $alert := (index (fromYaml $file).groups 0).rules -}}
{{- $known = append $known $alert.alert -}}
{{- with index $rules.for $alert.alert -}}{{- $_ := set $alert "for" . -}}{{- end -}}
{{- if $rules.runbookUrl -}}
{{- $_ := set $alert.annotations "runbook_url" (printf "%s#%s" $rules.runbookUrl (lower $alert.alert)) -}}
{{- end -}}
{{- if not (has $alert.alert $rules.disabled) -}}{{- $alerts = append $alerts $alert -}}{{- end -}}
{{- end -}}
{{- range $name := concat $rules.disabled (keys $rules.for) -}}
{{- if not (has $name $known) -}}
{{- fail (printf "seedcar: there is no alert %s; there are %s" $name (join ", " $known)) -}}
{{- end -}}
{{- end }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ include "seedcar.name" . }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "seedcar.labels" . | nindent 4 }}
    {{- with $rules.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  groups:
    - name: seedcar
      rules:
        {{- toYaml $alerts | nindent 8 }}
{{ end }}
{{- end -}}

{{- define "seedcar.dashboard" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- $root := .root | default . -}}
{{- $dashboard := $values.metrics.dashboard -}}
{{- if $dashboard.enabled }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "seedcar.name" . }}-dashboard
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "seedcar.labels" . | nindent 4 }}
    {{- toYaml $dashboard.labels | nindent 4 }}
  {{- with $dashboard.folder }}
  annotations:
    grafana_folder: {{ . | quote }}
  {{- end }}
data:
  seedcar-fleet.json: |-
    {{- $root.Subcharts.seedcar.Files.Get "files/dashboard.json" | nindent 4 }}
{{ end }}
{{- end -}}
