{{/* The search API's settings, as environment variables: `SearchSettings` reads them. What is empty is left to its default. */}}
{{- define "imagesearch.searchSettings" -}}
IMAGESEARCH_ELASTICSEARCH_URL: {{ include "imagesearch.elasticsearchUrl" . | quote }}
IMAGESEARCH_ELASTICSEARCH_USERNAME: {{ include "imagesearch.elasticsearchUsername" . | quote }}
IMAGESEARCH_ELASTICSEARCH_CA_PATH: {{ include "imagesearch.elasticsearchCaPath" . | quote }}
IMAGESEARCH_DEFAULT_NAMESPACE: {{ .Values.search.defaultNamespace | quote }}
IMAGESEARCH_ALLOWED_HOSTS: {{ join "," .Values.fetch.allowedHosts | quote }}
IMAGESEARCH_ALLOWED_NETWORKS: {{ join "," .Values.fetch.allowedNetworks | quote }}
IMAGESEARCH_HOST: 0.0.0.0
IMAGESEARCH_PORT: "8080"
{{- end }}
