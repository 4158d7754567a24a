{{- define "app.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What the seedcar templates are called with. Before native sidecars a sidecar never lets a job end:
there the files are filled at the start and stay so. */}}
{{- define "app.jobs" -}}
{{- if has .Values.kind (list "Job" "CronJob") -}}true{{- end -}}
{{- end -}}

{{/* What wins over the values of seedcar. */}}
{{- define "app.seedcar" -}}
{{- $values := dict -}}
{{- if and (include "app.jobs" .) (not (include "seedcar.native" .)) -}}
{{- $_ := set $values "mode" "init-only" -}}
{{- end -}}
{{- if .Values.serviceAccountName -}}
{{- $_ := set $values "serviceAccount" (dict "name" .Values.serviceAccountName) -}}
{{- end -}}
{{- toYaml $values -}}
{{- end -}}

{{- define "app.pod" -}}
{{- $seedcar := dict "root" . "values" (include "app.seedcar" . | fromYaml) "name" "" -}}
metadata:
  labels:
    {{- include "app.labels" . | nindent 4 }}
    {{- include "seedcar.podLabels" $seedcar | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := mergeOverwrite (include "seedcar.podAnnotations" $seedcar | fromYaml) .Values.podAnnotations }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "seedcar.serviceAccountName" $seedcar }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if include "app.jobs" . }}
  restartPolicy: {{ .Values.job.restartPolicy }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "seedcar.initContainers" $seedcar }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - name: app
      image: {{ include "app.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with .Values.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- $env := concat (include "seedcar.env" $seedcar | fromYamlArray) .Values.env }}
      {{- with $env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.ports }}
      ports:
        {{- range $name, $port := . }}
        - name: {{ $name }}
          containerPort: {{ $port }}
        {{- end }}
      {{- end }}
      {{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" "resources" "securityContext" }}
      {{- with index $.Values $name }}
      {{ $name }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- $mounts := concat (include "seedcar.volumeMounts" $seedcar | fromYamlArray) .Values.volumeMounts }}
      {{- with $mounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with include "seedcar.containers" $seedcar }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- $volumes := concat (include "seedcar.volumes" $seedcar | fromYamlArray) .Values.volumes }}
  {{- with $volumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
  {{- with index $.Values $name }}
  {{ $name }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "app.image" -}}
{{- $image := .Values.image -}}
{{- $image.repository | required "seedcar-app: image.repository is needed: your application's image" -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag }}{{- end -}}
{{- end -}}

{{- define "app.job" -}}
{{- with .Values.job -}}
backoffLimit: {{ .backoffLimit }}
{{- with .activeDeadlineSeconds }}
activeDeadlineSeconds: {{ . }}
{{- end }}
{{- with .ttlSecondsAfterFinished }}
ttlSecondsAfterFinished: {{ . }}
{{- end }}
{{- end }}
template:
  {{- include "app.pod" . | nindent 2 }}
{{- end -}}
