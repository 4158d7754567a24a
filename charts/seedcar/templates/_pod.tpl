{{/* Items for `volumes`. */}}
{{- define "seedcar.volumes" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
- name: seedcar
  emptyDir:
    medium: Memory
    sizeLimit: {{ $values.volume.sizeLimit }}
{{- if eq $values.backup.type "emptyDir" }}
- name: seedcar-backup
  emptyDir:
    sizeLimit: {{ $values.backup.size }}
{{- else if eq $values.backup.type "existingClaim" }}
- name: seedcar-backup
  persistentVolumeClaim:
    claimName: {{ $values.backup.existingClaim }}
{{- else if eq $values.backup.type "ephemeral" }}
- name: seedcar-backup
  ephemeral:
    volumeClaimTemplate:
      spec:
        {{- include "seedcar.claim" $values | nindent 8 }}
{{- end }}
{{- if $values.exec.enabled }}
- name: seedcar-exec
  emptyDir:
    sizeLimit: 64Mi
{{- end }}
{{- if include "seedcar.api" $values }}
- name: seedcar-kubernetes
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}
{{- with $values.consul.tokenSecret.name }}
- name: seedcar-token
  secret:
    secretName: {{ . }}
{{- end }}
{{- if $values.consul.login.method }}
- name: seedcar-login
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
          {{- with $values.consul.login.audience }}
          audience: {{ . | quote }}
          {{- end }}
{{- end }}
{{- with $values.consul.tls.caSecret }}
- name: seedcar-ca
  secret:
    secretName: {{ . }}
{{- end }}
{{- with $values.consul.tls.certSecret }}
- name: seedcar-cert
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Items for a StatefulSet's `volumeClaimTemplates`: one where backup.type is claimTemplate. */}}
{{- define "seedcar.volumeClaimTemplates" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if and $values.enabled (eq $values.backup.type "claimTemplate") -}}
- metadata:
    name: seedcar-backup
  spec:
    {{- include "seedcar.claim" $values | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "seedcar.claim" -}}
accessModes: [{{ .backup.accessMode }}]
{{- with .backup.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .backup.size }}
{{- end -}}

{{/* Items for `volumeMounts` of the application's container. The whole volume: a subPath that is
mounted before seedcar made it is root's, and seedcar can never publish there. */}}
{{- define "seedcar.volumeMounts" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
- name: seedcar
  mountPath: {{ $values.volume.mountPath }}
  readOnly: true
{{- if $values.exec.enabled }}
- name: seedcar-exec
  mountPath: {{ $values.exec.mountPath }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Items for `env` of the application's container: where its configuration is, also for `seedcar exec`. */}}
{{- define "seedcar.env" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
- name: SEEDCAR_DIR
  value: {{ printf "%s/live" (trimSuffix "/" $values.volume.mountPath) }}
{{- if $values.exec.enabled }}
- name: SEEDCAR_VOLUME
  value: {{ $values.volume.mountPath }}
- name: SEEDCAR_EXEC_DIR
  value: {{ $values.exec.mountPath }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Service account of the pod: the one that may do what seedcar is asked to; "" where it needs none. */}}
{{- define "seedcar.serviceAccountName" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.serviceAccount.name -}}
{{- $values.serviceAccount.name -}}
{{- else if include "seedcar.api" $values -}}
{{- include "seedcar.name" . -}}
{{- end -}}
{{- end -}}

{{/* Labels of the pod: what a PodMonitor finds it by. */}}
{{- define "seedcar.podLabels" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if $values.enabled -}}
seedcar/name: {{ include "seedcar.name" . }}
{{- end }}
{{- end -}}

{{/* Annotations of the pod: for a Prometheus that finds pods by them. */}}
{{- define "seedcar.podAnnotations" -}}
{{- $values := include "seedcar.values" . | fromYaml -}}
{{- if and $values.enabled $values.metrics.annotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ $values.http.port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end -}}
