{{/* What the pods of all parts have in common. */}}

{{/* A part's settings for its pods: `pod`, with the part's own before it. Takes (list $ part's values). */}}
{{- define "imagesearch.pod" -}}
{{- mergeOverwrite (deepCopy (first .).Values.pod) (last .).pod | toYaml -}}
{{- end }}

{{/* The pod template's metadata. Takes (list $ part part's values), and a string that restarts the pods when it changes. */}}
{{- define "imagesearch.podMetadata" -}}
{{- $pod := include "imagesearch.pod" (list (index . 0) (index . 2)) | fromYaml -}}
labels:
  {{- /* Without the chart's version: an upgrade restarts only what it changes. */}}
  {{- include "imagesearch.selector" (list (index . 0) (index . 1)) | nindent 2 }}
  app.kubernetes.io/part-of: imagesearch
  {{- with merge (dict) $pod.labels (index . 0).Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $checksum := dict -}}
{{- if gt (len .) 3 }}{{ $checksum = dict "checksum/config" (index . 3 | sha256sum) }}{{ end -}}
{{- with merge $checksum $pod.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the pods run and as whom: the start of a pod's spec. Takes (list $ part's values uid). */}}
{{- define "imagesearch.podSpec" -}}
{{- $pod := include "imagesearch.pod" (list (index . 0) (index . 1)) | fromYaml -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 2 }}
  runAsGroup: {{ index . 2 }}
  fsGroup: {{ index . 2 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with (index . 0).Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $pod $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What a restricted namespace asks of a container, and what tells a failed pod's last words. */}}
{{- define "imagesearch.restricted" -}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* One volume claim template, where the storage is enabled. Takes storage and labels. */}}
{{- define "imagesearch.volumeClaim" -}}
{{- $storage := first . -}}
{{- if $storage.enabled -}}
volumeClaimTemplates:
  - metadata:
      name: data
      labels:
        {{- last . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $storage.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources: {requests: {storage: {{ $storage.size }}}}
{{- end }}
{{- end }}

{{/* Variables of a container as a list of name and value, from a dict; what is empty is left out. */}}
{{- define "imagesearch.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end }}
{{- $text := toString $value }}
{{- if $text }}
- name: {{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}
