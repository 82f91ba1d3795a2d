{{/* Kafka, Elasticsearch and MLflow: yours or the chart's. Addresses, credentials, and what is refused. */}}

{{- define "imagesearch.kafkaBootstrapServers" -}}
{{- if .Values.kafka.embedded.enabled -}}
{{ include "imagesearch.host" (list . "kafka") }}:9092
{{- else -}}
{{ .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end }}

{{- define "imagesearch.elasticsearchUrl" -}}
{{- if .Values.elasticsearch.embedded.enabled -}}
http://{{ include "imagesearch.host" (list . "elasticsearch") }}:9200
{{- else -}}
{{ .Values.elasticsearch.url }}
{{- end -}}
{{- end }}

{{- define "imagesearch.mlflowTrackingUri" -}}
{{- if .Values.mlflow.enabled -}}
http://{{ include "imagesearch.host" (list . "mlflow") }}:5000
{{- else -}}
{{ .Values.mlflow.trackingUri }}
{{- end -}}
{{- end }}

{{- define "imagesearch.elasticsearchUsername" -}}
{{- .Values.elasticsearch.username | default (ternary "elastic" "" .Values.elasticsearch.embedded.enabled) -}}
{{- end }}

{{/* The Secret with Elasticsearch's password; empty where there is none. */}}
{{- define "imagesearch.elasticsearchSecret" -}}
{{- .Values.elasticsearch.existingSecret | default (ternary (include "imagesearch.name" (list . "elasticsearch")) "" .Values.elasticsearch.embedded.enabled) -}}
{{- end }}

{{/* The key of the password in that Secret. */}}
{{- define "imagesearch.elasticsearchPasswordKey" -}}
{{- ternary .Values.elasticsearch.passwordKey "password" (not (empty .Values.elasticsearch.existingSecret)) -}}
{{- end }}

{{/* A variable of a container from a Secret. Takes (list name secret key). */}}
{{- define "imagesearch.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end }}

{{/* Names of the files with the CAs' certificates, in /etc/imagesearch/stores. */}}
{{- define "imagesearch.kafkaCaPath" -}}
{{- with .Values.kafka.caSecret -}}/etc/imagesearch/stores/kafka-ca.crt{{- end -}}
{{- end }}
{{- define "imagesearch.elasticsearchCaPath" -}}
{{- with .Values.elasticsearch.caSecret -}}/etc/imagesearch/stores/elasticsearch-ca.crt{{- end -}}
{{- end }}

{{/* The volume with the CAs' certificates of some stores. Takes (list $ stores...). */}}
{{- define "imagesearch.caVolume" -}}
- name: stores
  projected:
    sources:
      {{- $values := (first .).Values }}
      {{- range rest . }}
      {{- $store := get $values . }}
      {{- if $store.caSecret }}
      - secret:
          name: {{ $store.caSecret }}
          items: [{key: {{ $store.caKey }}, path: {{ . }}-ca.crt}]
      {{- end }}
      {{- end }}
{{- end }}

{{/* Refuse what cannot work, in words: the schema cannot say what to write instead. */}}
{{- define "imagesearch.validate" -}}
{{- $kafka := .Values.kafka -}}
{{- $elasticsearch := .Values.elasticsearch -}}
{{- if not (or $kafka.embedded.enabled $kafka.bootstrapServers) -}}
{{- fail "\n\nNo Kafka: set kafka.bootstrapServers to the address of yours (host:port), or for a trial kafka.embedded.enabled=true." -}}
{{- end -}}
{{- if and $kafka.embedded.enabled $kafka.bootstrapServers -}}
{{- fail "\n\nTwo Kafkas: unset kafka.bootstrapServers to run one in the cluster, or kafka.embedded.enabled to use yours." -}}
{{- end -}}
{{- if and $kafka.embedded.enabled (or (ne $kafka.securityProtocol "PLAINTEXT") $kafka.caSecret) -}}
{{- fail "\n\nThe embedded Kafka speaks PLAINTEXT only: unset kafka.securityProtocol and kafka.caSecret, or use a Kafka of yours (kafka.bootstrapServers)." -}}
{{- end -}}
{{- if and (hasPrefix "SASL" $kafka.securityProtocol) (not (and $kafka.username $kafka.existingSecret)) -}}
{{- fail (printf "\n\nkafka.securityProtocol=%s wants kafka.username, and kafka.existingSecret: the name of a Secret in namespace %s whose key %q (kafka.passwordKey) holds the password." $kafka.securityProtocol .Release.Namespace $kafka.passwordKey) -}}
{{- end -}}
{{- if not (or $elasticsearch.embedded.enabled $elasticsearch.url) -}}
{{- fail "\n\nNo Elasticsearch: set elasticsearch.url to the address of yours (https://host:9200), or for a trial elasticsearch.embedded.enabled=true." -}}
{{- end -}}
{{- if and $elasticsearch.embedded.enabled $elasticsearch.url -}}
{{- fail "\n\nTwo Elasticsearches: unset elasticsearch.url to run one in the cluster, or elasticsearch.embedded.enabled to use yours." -}}
{{- end -}}
{{- if and $elasticsearch.embedded.enabled (or (not (has $elasticsearch.username (list "" "elastic"))) $elasticsearch.caSecret) -}}
{{- fail "\n\nThe embedded Elasticsearch knows the user elastic only, and no TLS: unset elasticsearch.username and elasticsearch.caSecret, or use one of yours (elasticsearch.url)." -}}
{{- end -}}
{{- if and (not $elasticsearch.embedded.enabled) (ne (empty $elasticsearch.username) (empty $elasticsearch.existingSecret)) -}}
{{- fail (printf "\n\nelasticsearch.username and elasticsearch.existingSecret go together: the Secret is one of namespace %s whose key %q (elasticsearch.passwordKey) holds the password." .Release.Namespace $elasticsearch.passwordKey) -}}
{{- end -}}
{{- if and (not .Values.mlflow.enabled) (not .Values.mlflow.trackingUri) -}}
{{- fail "\n\nNo MLflow: set mlflow.trackingUri to the address of yours, or mlflow.enabled=true." -}}
{{- end -}}
{{- if and .Values.mlflow.enabled .Values.mlflow.trackingUri -}}
{{- fail "\n\nTwo MLflows: unset mlflow.trackingUri to run one in the cluster, or set mlflow.enabled=false to use yours." -}}
{{- end -}}
{{- if and .Values.search.ingress.enabled (not .Values.search.ingress.host) -}}
{{- fail "\n\nsearch.ingress.enabled wants search.ingress.host: the name under which people open the page." -}}
{{- end -}}
{{- end }}
