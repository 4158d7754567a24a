{{/* Every object that is asked for beside the pod: one include in a file of its own. */}}
{{- define "seedcar.objects" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
{{- include "seedcar.podMonitor" . }}
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
