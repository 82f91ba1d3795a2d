{{/* Names, labels, images. A part is operator, search, mlflow, kafka or elasticsearch; most templates take (list $ part). */}}

{{- define "imagesearch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "imagesearch.name" -}}
{{- printf "%s-%s" (include "imagesearch.fullname" (first .)) (last .) -}}
{{- end }}

{{/* The name by which a part's Service is reached from every namespace. */}}
{{- define "imagesearch.host" -}}
{{- printf "%s.%s.svc" (include "imagesearch.name" .) (first .).Release.Namespace -}}
{{- end }}

{{- define "imagesearch.selector" -}}
app.kubernetes.io/name: imagesearch
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "imagesearch.labels" -}}
{{- $root := first . -}}
{{ include "imagesearch.selector" . }}
app.kubernetes.io/part-of: imagesearch
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of a part's object that is named as the part is. */}}
{{- define "imagesearch.metadata" -}}
name: {{ include "imagesearch.name" . }}
namespace: {{ (first .).Release.Namespace }}
labels:
  {{- include "imagesearch.labels" . | nindent 2 }}
{{- end }}

{{/* registry/repository:tag or registry/repository@digest; takes an image, the registry and the default tag. */}}
{{- define "imagesearch.reference" -}}
{{- $image := index . 0 -}}
{{- with index . 1 }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 2) }}{{ end -}}
{{- end }}

{{/* The reference of an image of the project's own, by its key under `images`. */}}
{{- define "imagesearch.image" -}}
{{- $images := (first .).Values.images -}}
{{- include "imagesearch.reference" (list (index $images (last .)) $images.registry ($images.tag | default (first .).Chart.AppVersion)) -}}
{{- end }}
