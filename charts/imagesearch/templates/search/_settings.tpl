{{/* The search API's settings, as environment variables: `SearchSettings` reads them. What is empty is left to its default. */}}
{{- define "imagesearch.searchSettings" -}}
IMAGESEARCH_ELASTICSEARCH_URL: {{ include "imagesearch.elasticsearchUrl" . | quote }}
IMAGESEARCH_ELASTICSEARCH_USERNAME: {{ include "imagesearch.elasticsearchUsername" . | quote }}
IMAGESEARCH_ELASTICSEARCH_CA_PATH: {{ include "imagesearch.elasticsearchCaPath" . | quote }}
IMAGESEARCH_DEFAULT_NAMESPACE: {{ .Values.search.defaultNamespace | quote }}
IMAGESEARCH_ALLOWED_HOSTS: {{ join "," .Values.fetch.allowedHosts | quote }}
IMAGESEARCH_ALLOWED_NETWORKS: {{ join "," .Values.fetch.allowedNetworks | quote }}
IMAGESEARCH_ACCESS_KEYS_PATH: {{ ternary "" "/etc/imagesearch/access/keys.yaml" (empty .Values.search.access.keysSecret.name) | quote }}
IMAGESEARCH_TRUSTED_PROXIES: {{ join "," .Values.search.trustedProxies | quote }}
IMAGESEARCH_REQUESTS_PER_MINUTE: {{ .Values.search.requestsPerMinute | default "" | quote }}
IMAGESEARCH_MAX_CONCURRENT_SEARCHES: {{ .Values.search.maxConcurrentSearches | quote }}
IMAGESEARCH_REQUEST_TIMEOUT_SECONDS: {{ .Values.search.requestTimeoutSeconds | quote }}
IMAGESEARCH_CORS_ALLOWED_ORIGINS: {{ join "," .Values.search.cors.allowedOrigins | quote }}
IMAGESEARCH_LOG_QUERIES: {{ .Values.search.logQueries | quote }}
IMAGESEARCH_HOST: 0.0.0.0
IMAGESEARCH_PORT: "8080"
{{- end }}
