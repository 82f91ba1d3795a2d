{{/* Pieces of NetworkPolicies. */}}

{{/* Any resolver: cluster DNS may be a pod, the node, or a link-local address. */}}
{{- define "imagesearch.toDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* Peers: pods of collections, in every namespace. Takes the list of their components. */}}
{{- define "imagesearch.collectionPods" -}}
- namespaceSelector: {}
  podSelector:
    matchLabels: {app.kubernetes.io/part-of: imagesearch}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " . }}]}
{{- end }}

{{/* Peers: the chart's own pods of a part. Takes (list $ part). */}}
{{- define "imagesearch.partPods" -}}
- podSelector:
    matchLabels:
      {{- include "imagesearch.selector" . | nindent 6 }}
{{- end }}

{{/* Ports of the addresses in a comma-separated list of URLs or host:port pairs, one rule for all. Takes (list addresses default port). */}}
{{- define "imagesearch.toPortsOf" -}}
- ports:
    {{- $default := last . }}
    {{- $ports := list }}
    {{- range splitList "," (first .) }}
    {{- $address := regexReplaceAll "^[a-z]+://" (trim .) "" | splitList "/" | first }}
    {{- $ports = append $ports (regexFind ":[0-9]+$" $address | trimPrefix ":" | default $default) }}
    {{- end }}
    {{- range uniq $ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* The way out to Kafka, Elasticsearch and MLflow. Yours are anywhere, so theirs is a port and no address. */}}
{{- define "imagesearch.toKafka" -}}
{{- if .Values.kafka.embedded.enabled -}}
- to:
    {{- include "imagesearch.partPods" (list . "kafka") | nindent 4 }}
  ports: [{port: 9092, protocol: TCP}]
{{- else -}}
{{ include "imagesearch.toPortsOf" (list .Values.kafka.bootstrapServers "9092") }}
{{- end -}}
{{- end }}

{{- define "imagesearch.toElasticsearch" -}}
{{- if .Values.elasticsearch.embedded.enabled -}}
- to:
    {{- include "imagesearch.partPods" (list . "elasticsearch") | nindent 4 }}
  ports: [{port: 9200, protocol: TCP}]
{{- else -}}
{{ include "imagesearch.toPortsOf" (list .Values.elasticsearch.url "9200") }}
{{- end -}}
{{- end }}

{{- define "imagesearch.toMlflow" -}}
{{- if .Values.mlflow.enabled -}}
- to:
    {{- include "imagesearch.partPods" (list . "mlflow") | nindent 4 }}
  ports: [{port: 5000, protocol: TCP}]
{{- else -}}
{{ include "imagesearch.toPortsOf" (list .Values.mlflow.trackingUri (ternary "443" "80" (hasPrefix "https:" .Values.mlflow.trackingUri))) }}
{{- end -}}
{{- end }}
